"""Core's errors in GraphQL: failures that a mutation names, and top-level errors with a code.

A failure that a client can handle is a type of the mutation's result. All else is a top-level error with
`extensions.code`. Nothing of an exception that core did not mean for callers ever leaves.
"""

from collections.abc import Iterable
from typing import Any, cast

import strawberry
from graphql import GraphQLError
from strawberry.types.field import StrawberryField

from core import errors
from core.logs import get_logger

INTERNAL = "INTERNAL"
BAD_USER_INPUT = "BAD_USER_INPUT"

_logger = get_logger(__name__)


@strawberry.interface(description="Why a mutation did nothing.")
class Error:
    code: str = strawberry.field(description="The failure in one stable word, for programs.")
    message: str = strawberry.field(description="The failure in one sentence, for people.")


@strawberry.type(description="One value of the input cannot be used.")
class InvalidInput(Error):
    field: str | None = strawberry.field(description="Which one, as a path; null if it is not known.")


@strawberry.type(description="The caller may not do this: not an administrator, or outside its allow lists.")
class NotAllowed(Error):
    pass


@strawberry.type(description="Username and password do not belong together, or the account is not active.")
class InvalidCredentials(Error):
    pass


@strawberry.type(description="The refresh token has expired, was revoked or is none; sign in again.")
class InvalidRefreshToken(Error):
    pass


@strawberry.type(description="Username or email is taken.")
class UserExists(Error):
    pass


@strawberry.type(description="There is no such account.")
class UserNotFound(Error):
    pass


@strawberry.type(description="The change would leave nobody to manage accounts.")
class LastAdmin(Error):
    pass


@strawberry.type(description="The caller has no such thread.")
class ThreadNotFound(Error):
    pass


@strawberry.type(description="The caller has no such message.")
class MessageNotFound(Error):
    pass


@strawberry.type(description="The caller has no such run.")
class RunNotFound(Error):
    pass


@strawberry.type(description="Neither the input nor the thread names a model.")
class ModelRequired(Error):
    pass


@strawberry.type(description="Too many answers of this thread wait already; send again when one is finished.")
class QueueFull(Error):
    pass


@strawberry.type(description="An attachment is not Base64, or has no content.")
class InvalidAttachment(Error):
    pass


@strawberry.type(description="The idempotency key was used with another input; use a new one.")
class IdempotencyMismatch(Error):
    pass


@strawberry.type(description="Only the newest question of a thread can be answered anew.")
class NotLatest(Error):
    pass


class _Handler:
    """Turns core's errors of some classes into one failure type, in mutations that name it."""

    def __init__(self, error_type: type[Error], *exception_types: type[errors.CoreError]) -> None:
        self.error_type = error_type
        self.exception_type = exception_types

    def handle(self, exception: errors.CoreError, *, field: StrawberryField, info: object) -> Error:
        """See `strawberry.ExceptionHandler`."""
        del field, info
        return self.error_type(code=exception.code, message=str(exception))


class _InvalidInputHandler(_Handler):
    def handle(self, exception: errors.CoreError, *, field: StrawberryField, info: object) -> Error:
        """See `strawberry.ExceptionHandler`."""
        del field, info
        if not isinstance(exception, errors.InvalidInput):
            return InvalidInput(code=exception.code, message=str(exception), field=None)
        name = field_name(exception.field)
        return InvalidInput(
            code=exception.code, message=str(exception).replace(exception.field, name), field=name
        )


HANDLERS = (
    _Handler(IdempotencyMismatch, errors.IdempotencyMismatch),
    _Handler(InvalidAttachment, errors.InvalidAttachment),
    _Handler(ModelRequired, errors.ModelRequired),
    _InvalidInputHandler(InvalidInput, errors.InvalidInput, errors.NotStorable),
    _Handler(NotAllowed, errors.NotAllowed),
    _Handler(InvalidCredentials, errors.InvalidCredentials),
    _Handler(InvalidRefreshToken, errors.Unauthenticated),
    _Handler(UserExists, errors.UserExists),
    _Handler(UserNotFound, errors.UserNotFound),
    _Handler(LastAdmin, errors.LastAdmin),
    _Handler(ThreadNotFound, errors.ThreadNotFound),
    _Handler(MessageNotFound, errors.MessageNotFound),
    _Handler(RunNotFound, errors.RunNotFound),
    _Handler(QueueFull, errors.QueueFull),
    _Handler(NotLatest, errors.NotLatest),
)


def field_name(path: str) -> str:
    """The field of an input that core calls `path`; below a JSON value the keys are the caller's own."""
    head, *keys = path.split(".")
    return ".".join([_RENAMED.get(head) or camel_case(head), *keys])


def camel_case(name: str) -> str:
    """`allowed_products` as the schema spells it: `allowedProducts`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


# Fields that the schema calls otherwise.
_RENAMED = {"tokens_count": "tokens"}


def refusal(message: str, code: str, **extensions: object) -> GraphQLError:
    """A top-level error of the server's own words."""
    return GraphQLError(message, extensions={"code": code, **extensions})


def told(found: Iterable[GraphQLError]) -> list[dict[str, Any]]:
    """The errors as a response tells them: each with a code, and in words meant for callers."""
    return [cast("dict[str, Any]", _told(error).formatted) for error in found]


def code_of(error: errors.CoreError) -> str:
    """The code of a top-level error; whatever is wrong with the input is one code."""
    if isinstance(error, errors.InvalidInput | errors.InvalidRequest):
        return BAD_USER_INPUT
    return error.code


def _told(error: GraphQLError) -> GraphQLError:
    if "code" in (error.extensions or {}):
        return error
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        # graphql-core tells of arguments in JSON's words, but for this one.
        message, code = error.message.replace("not to be None", "not to be null"), BAD_USER_INPUT
    elif isinstance(cause, errors.CoreError) and cause.code != errors.CoreError.code:
        message, code = str(cause), code_of(cause)
    else:
        _logger.error("internal error in a GraphQL field", path=error.path, exc_info=cause)
        message, code = "Internal error", INTERNAL
    return GraphQLError(
        message, nodes=error.nodes, source=error.source, path=error.path, extensions={"code": code}
    )
