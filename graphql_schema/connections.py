"""Relay's cursor connections: pages of a list that stay right while the list grows."""

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Generic, Self, TypeVar
from uuid import UUID

import strawberry

from core.db.keyset import DEFAULT_SIZE, Slice, Window
from core.errors import CursorInvalid
from graphql_schema.costs import ListSize
from graphql_schema.inputs import given
from graphql_schema.scalars import Cursor

Node = TypeVar("Node")
Record = TypeVar("Record")
Key = TypeVar("Key")

# What a page costs: as many items as are asked for.
PAGE = ListSize(assumed_size=DEFAULT_SIZE, slicing_arguments=["first", "last"])

First = Annotated[
    int | None,
    strawberry.argument(description="How many items from the start of the page on, 1 to 100; 20 by default."),
]
After = Annotated[
    Cursor | None, strawberry.argument(description="Begin behind this item: an `endCursor` or an edge's.")
]
Last = Annotated[
    int | None,
    strawberry.argument(description="How many items from the end of the page back, 1 to 100."),
]
Before = Annotated[
    Cursor | None, strawberry.argument(description="End before this item: a `startCursor` or an edge's.")
]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether items follow; read on with `after`.")
    has_previous_page: bool = strawberry.field(description="Whether items precede; read back with `before`.")
    start_cursor: Cursor | None = strawberry.field(description="The first item's cursor; null if none.")
    end_cursor: Cursor | None = strawberry.field(description="The last item's cursor; null if none.")

    @classmethod
    def of(cls, found: Slice[Any], edges: Sequence["Edge[Any]"]) -> Self:
        """Of the page of `found`, which is shown as `edges`."""
        return cls(
            has_next_page=found.has_next,
            has_previous_page=found.has_previous,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        )


@strawberry.type(description="An item of a list and its place there.")
class Edge(Generic[Node]):
    node: Node = strawberry.field(description="The item.")
    cursor: Cursor = strawberry.field(description="The item's place, for `after` and `before`.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[Node]):
    edges: list[Edge[Node]] = strawberry.field(description="The items with their cursors.")
    nodes: list[Node] = strawberry.field(description="The items alone, where cursors are not needed.")
    page_info: PageInfo = strawberry.field(description="Where this page stands in the list.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="How many items the whole list has; counted only when it is asked for.")
    async def total_count(self) -> int:
        return await self.count()

    @classmethod
    def of(
        cls,
        found: Slice[Record],
        nodes: Sequence[Node],
        cursor_of: Callable[[Record], Cursor],
        count: Callable[[], Awaitable[int]],
        **more: Any,
    ) -> Self:
        """The page of `found`, whose items are shown as `nodes`; `more` is what else it tells."""
        edges = [
            Edge(node=node, cursor=cursor_of(item)) for node, item in zip(nodes, found.items, strict=True)
        ]
        return cls(edges=edges, nodes=list(nodes), page_info=PageInfo.of(found, edges), count=count, **more)


def window(
    decode: Callable[[str], Key],
    first: int | None,
    after: Cursor | None,
    last: int | None,
    before: Cursor | None,
) -> Window[Key]:
    """The arguments of a connection field, cursors decoded. Raises `CursorInvalid`."""
    return Window(
        first=given(first),
        after=_decoded(decode, given(after)),
        last=given(last),
        before=_decoded(decode, given(before)),
    )


def encode_cursor(kind: str, *parts: object) -> Cursor:
    """The opaque cursor of a place in lists of this kind."""
    text = json.dumps([kind, *map(str, parts)], ensure_ascii=False, separators=(",", ":"))
    return Cursor(base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode())


def decode_cursor(kind: str, cursor: str, parts: int) -> list[str]:
    """The parts that `encode_cursor` was given. Raises `ValueError` for any other text."""
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    match json.loads(base64.b64decode(padded, altchars=b"-_", validate=True)):
        case [str(found_kind), *found] if found_kind == kind and len(found) == parts:
            return [part for part in found if isinstance(part, str)]
    raise ValueError(kind)


def position_cursor(thread_id: UUID, position: int) -> Cursor:
    """The cursor of a message in its thread."""
    return encode_cursor("m", thread_id.hex[-8:], position)


def _decoded(decode: Callable[[str], Key], cursor: Cursor | None) -> Key | None:
    if cursor is None:
        return None
    try:
        return decode(cursor)
    except (ValueError, OverflowError, RecursionError, binascii.Error):
        raise CursorInvalid from None
