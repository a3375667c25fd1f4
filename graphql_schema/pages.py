"""What pages of several nouns share."""

from typing import Any, Self

import strawberry

from core.db import records


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    total: int = strawberry.field(description="Items in the whole list.")
    page: int = strawberry.field(description="This page, from 1.")
    limit: int = strawberry.field(description="Items on a full page.")
    has_more: bool = strawberry.field(description="Whether a later page holds items.")

    @classmethod
    def of(cls, page: records.Page[Any]) -> Self:
        """The info of a page."""
        return cls(total=page.total, page=page.page, limit=page.limit, has_more=page.has_more)
