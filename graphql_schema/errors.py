"""Core's errors as GraphQL errors: a sentence and `extensions.code`; nothing else ever leaves."""

from collections.abc import Iterator

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.types.execution import StreamExecutionResult

from core.errors import CoreError
from core.logs import get_logger

INTERNAL = "INTERNAL"
BAD_USER_INPUT = "BAD_USER_INPUT"

_logger = get_logger(__name__)


class TypedErrors(SchemaExtension):
    """Gives every error a code, and hides the words of those that are not meant for callers."""

    def on_operation(self) -> Iterator[None]:
        """Replace the errors of a finished operation."""
        yield
        _replace(self.execution_context.result)

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        """Replace the errors of one event of a subscription."""
        _replace(result)
        yield


def _replace(result: object) -> None:
    errors = getattr(result, "errors", None)
    if errors:
        result.errors = [_told(error) for error in errors]  # type: ignore[attr-defined]


def _told(error: GraphQLError) -> GraphQLError:
    if "code" in (error.extensions or {}):
        return error
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is None or isinstance(cause, GraphQLError):
        message, code = error.message, BAD_USER_INPUT
    elif isinstance(cause, CoreError) and cause.code != CoreError.code:
        message, code = str(cause), cause.code
    else:
        _logger.error("internal error in a GraphQL field", path=error.path, exc_info=cause)
        message, code = "Internal error", INTERNAL
    return GraphQLError(
        message, nodes=error.nodes, source=error.source, path=error.path, extensions={"code": code}
    )
