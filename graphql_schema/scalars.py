"""The scalars that GraphQL itself does not have, each with its specification."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, NewType
from uuid import UUID

import strawberry
from graphql import GraphQLError
from starlette.datastructures import UploadFile
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from core.errors import InvalidInput
from core.plain import DEEPEST_JSON, is_too_deep

Cursor = NewType("Cursor", str)
Upload = NewType("Upload", UploadFile)

LONGEST_CURSOR = 2048


def json_object(field: str, value: object) -> dict[str, Any] | None:
    """A JSON scalar that must be an object. Raises `InvalidInput`."""
    if value is None or value is strawberry.UNSET:
        return None
    if isinstance(value, dict):
        return value
    raise InvalidInput(field, f"{field} must be an object")


def parse_uuid(value: object) -> UUID:
    """The UUID in a string. Raises `GraphQLError`."""
    if isinstance(value, str):
        with suppress(ValueError):
            return UUID(value)
    raise GraphQLError('A UUID must be a string such as "0197b4e2-7c11-7000-8000-3d1c5b2a9f10"')


def _date_time(value: object) -> datetime:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise GraphQLError('A DateTime must be a string with an offset, such as "2026-01-31T12:00:00Z"')
    return instant


def _cursor(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_CURSOR:
        raise GraphQLError("A Cursor must be a string that this API gave out")
    return value


def _json(value: object) -> object:
    if is_too_deep(value):
        raise GraphQLError(f"JSON must be nested at most {DEEPEST_JSON} deep")
    return value


def _upload(value: object) -> UploadFile:
    if not isinstance(value, UploadFile):
        raise GraphQLError("An Upload must be a part of a multipart request, named by its `map`")
    return value


def _not_given(_value: object) -> object:
    raise GraphQLError("An Upload is never given out")


def _scalar(
    name: str,
    description: str,
    url: str,
    *,
    serialize: Callable[[Any], object] = lambda value: value,
    parse_value: Callable[[object], object],
) -> ScalarDefinition:
    return strawberry.scalar(
        name=name,
        description=description,
        specified_by_url=url,
        serialize=serialize,
        parse_value=parse_value,
    )


SCALARS: dict[object, ScalarDefinition] = {
    UUID: _scalar(
        "UUID",
        "The id of something, in its canonical text form; the same that the REST API uses.",
        "https://www.rfc-editor.org/rfc/rfc9562",
        serialize=str,
        parse_value=parse_uuid,
    ),
    datetime: _scalar(
        "DateTime",
        "An instant in ISO 8601 with an offset; what is given out is in UTC, to the microsecond.",
        "https://www.rfc-editor.org/rfc/rfc3339",
        serialize=datetime.isoformat,
        parse_value=_date_time,
    ),
    JSON: _scalar(
        "JSON",
        f"Any JSON value, nested at most {DEEPEST_JSON} deep.",
        "https://www.rfc-editor.org/rfc/rfc8259",
        parse_value=_json,
    ),
    Cursor: _scalar(
        "Cursor",
        "A place in a list or a stream. Opaque: keep it and give it back, never read or make one.",
        "https://relay.dev/graphql/connections.htm#sec-Cursor",
        parse_value=_cursor,
    ),
    Upload: _scalar(
        "Upload",
        "A file sent beside the operation, by the GraphQL multipart request specification.",
        "https://github.com/jaydenseric/graphql-multipart-request-spec",
        serialize=_not_given,
        parse_value=_upload,
    ),
}
