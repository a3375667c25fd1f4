"""What the bodies of several nouns share."""

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, PlainSerializer

from core.db.records import Page

Instant = Annotated[
    datetime, PlainSerializer(lambda value: value.isoformat(), return_type=str, when_used="json")
]
JsonObject = dict[str, Any]


class Body(BaseModel):
    """A body of the contract: built from records, and deaf to fields that it does not know."""

    model_config = ConfigDict(from_attributes=True, protected_namespaces=(), extra="ignore")


class Problem(Body):
    """Why a request failed, in one sentence."""

    detail: str


class Pagination(Body):
    """Where a page stands in its list."""

    total: int
    page: int
    limit: int
    has_more: bool


Item = TypeVar("Item", bound=Body)


def _page_example(schema: dict[str, Any], page: type[BaseModel]) -> None:
    """Show the example of the items on a page of one."""
    (item,) = get_args(page.model_fields["items"].annotation)
    extra = getattr(item, "model_config", {}).get("json_schema_extra")
    if extra is not None:
        pagination = {"total": 1, "page": 1, "limit": 20, "has_more": False}
        schema["examples"] = [{"items": extra["examples"], "pagination": pagination}]


class PageBody(Body, Generic[Item]):
    """One page of a list."""

    model_config = ConfigDict(json_schema_extra=_page_example)

    items: list[Item]
    pagination: Pagination


def pagination_of(page: Page[Any]) -> Pagination:
    """The pagination of a page."""
    return Pagination.model_validate(page)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for the API's description."""
    return {status: {"model": Problem, "description": _MEANING[status]} for status in statuses}


_MEANING = {
    400: "The request can never succeed as it is",
    401: "No valid access token",
    403: "Outside the caller's allow lists, or not an administrator",
    404: "There is no such thing, or it is another user's",
    409: "Username or email is taken",
    413: "The body is too large",
    429: "Too many answers of this thread are waiting; retry later",
    502: "The LLM provider failed; the detail is its own message",
    503: "Switched off or not available for now; retry later",
}
