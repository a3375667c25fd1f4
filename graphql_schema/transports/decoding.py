"""JSON of requests: counted before values are made of it, and refused in words for callers."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from core.plain import holds_more_values
from core.settings import Settings
from graphql_schema.errors import BAD_USER_INPUT
from graphql_schema.limits import QUERY_TOO_COMPLEX

# Beside the variables: what else a request says.
OTHER_VALUES = 1000

_T = TypeVar("_T")

_JSON_NAMES = {"str": "string", "int": "number", "float": "number", "bool": "boolean"}
_TYPE_NAMES = re.compile(rf"\b({'|'.join(_JSON_NAMES)})\b")


class BadRequest(Exception):
    """The request is none that this API takes; the sentence says what to change."""

    def __init__(
        self, status: int, message: str, headers: dict[str, str] | None = None, *, code: str = BAD_USER_INPUT
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.code = code


async def check_size(payload: bytes, settings: Settings) -> None:
    """Raise `BadRequest` if this JSON holds far more values than any request may.

    Values take many times the memory of their text, and their limit is checked only when they are made.
    """
    most = OTHER_VALUES + settings.graphql_max_variables * settings.graphql_max_batch
    if await holds_more_values(payload, most):
        message = f"The body holds more than {most} values; see CHAT_GRAPHQL_MAX_VARIABLES"
        raise BadRequest(413, message, code=QUERY_TOO_COMPLEX)


def decoded(decode: Callable[[bytes | str], _T], payload: bytes | str) -> _T:
    """What `decode` makes of this JSON. Raises `BadRequest`."""
    try:
        return decode(payload)
    except msgspec.ValidationError as error:
        raise malformed(error) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadRequest(400, "This must be JSON in UTF-8, nested not too deeply") from None


def malformed(error: msgspec.ValidationError) -> BadRequest:
    """The refusal of JSON of another form."""
    # msgspec's words are for callers: which place, and which type it should have; but its names are Python's.
    words = _TYPE_NAMES.sub(lambda name: _JSON_NAMES[name[0]], str(error))
    return BadRequest(400, f"Malformed request: {words}")
