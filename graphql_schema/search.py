"""Search in GraphQL."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry
from strawberry import UNSET

from core.context import Context
from core.db.keyset import Window
from core.db.records import SenderType
from core.resolvers import search, search_status
from core.resolvers.search import MOST_THREADS, SearchMode
from core.resolvers.search_hits import SearchHit as FoundHit
from core.resolvers.search_hits import SearchMatch as FoundMatch
from core.resolvers.search_scope import SearchFilter
from core.search.ranking import MatchedBy
from graphql_schema import connections
from graphql_schema.connections import PAGE, Edge, PageInfo, position_cursor, window
from graphql_schema.context import Info
from graphql_schema.inputs import given
from graphql_schema.messages import Message
from graphql_schema.scalars import Cursor
from graphql_schema.threads import Thread


@strawberry.type(
    description="A range of a text, in code points: `[...text].slice(start, end)` in JavaScript."
)
class Highlight:
    start: int = strawberry.field(description="Its first code point, counted from 0.")
    end: int = strawberry.field(description="The first code point behind it.")


@strawberry.type(description="The part of a text that shows why it was found, on one line, as plain text.")
class Snippet:
    text: str = strawberry.field(description="The part; `…` stands for what is left out.")
    highlights: list[Highlight] = strawberry.field(description="What matched in `text`, in order.")


@strawberry.type(description="A message that fits, or the title and summary of its thread.")
class SearchMatch:
    message: Message | None = strawberry.field(
        description="The message; null where title and summary are what fits."
    )
    snippet: Snippet = strawberry.field(description="The part of the text that fits.")
    matched_by: list[MatchedBy] = strawberry.field(description="What found it.")
    similarity: float | None = strawberry.field(
        description="Cosine similarity to the query; null where meaning did not find it."
    )
    cursor: Cursor | None = strawberry.field(
        description="Opens the thread at the message: `messages(after:)` begins with it. Null without one."
    )

    @classmethod
    def of(cls, ctx: Context, thread_id: UUID, found: FoundMatch) -> Self:
        """The match as clients see it."""
        message = found.message
        return cls(
            message=Message.of(ctx, message) if message is not None else None,
            snippet=Snippet(
                text=found.snippet.text,
                highlights=[Highlight(start=start, end=end) for start, end in found.snippet.highlights],
            ),
            matched_by=list(found.matched_by),
            similarity=found.similarity,
            # Newest first: the page behind the next position begins with this one.
            cursor=position_cursor(thread_id, message.position + 1) if message is not None else None,
        )


@strawberry.type(description="A hit: a thread that fits a search, its place among the hits, and why it fits.")
class SearchHitEdge(Edge[Thread]):
    matches: list[SearchMatch] = strawberry.field(description="What fits in it, best first; at most three.")
    matched_by: list[MatchedBy] = strawberry.field(description="All that found any of the matches.")
    similarity: float | None = strawberry.field(
        description="The highest of the matches; null where meaning found none of them."
    )

    @classmethod
    def of(cls, ctx: Context, found: FoundHit) -> Self:
        """The hit as clients see it."""
        return cls(
            node=Thread.of(found.thread),
            cursor=connections.encode_cursor("s", found.rank),
            matches=[SearchMatch.of(ctx, found.thread.id, match) for match in found.matches],
            matched_by=list(found.matched_by),
            similarity=found.similarity,
        )


@strawberry.type(description=f"The threads that fit, best first; at most {MOST_THREADS} in all.")
class SearchHitConnection:
    edges: list[SearchHitEdge] = strawberry.field(description="The hits.")
    nodes: list[Thread] = strawberry.field(description="The threads alone.")
    page_info: PageInfo = strawberry.field(description="Where this page stands among the hits.")
    is_partial: bool = strawberry.field(
        description="Whether there may be more: the time was up, or meaning could not be searched for."
    )
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field(description="How many hits there are; counted only when it is asked for.")
    async def total_count(self) -> int:
        return await self.count()


@strawberry.input(
    description="What hits must be. What is left out may be anything; of a list, any item fits."
)
class SearchFilterInput:
    thread_id: UUID | None = strawberry.field(default=UNSET, description="In this thread.")
    models: list[str] | None = strawberry.field(default=UNSET, description="In threads with such a model.")
    products: list[str] | None = strawberry.field(default=UNSET, description="In threads of such a product.")
    agents: list[str] | None = strawberry.field(default=UNSET, description="In threads of such an agent.")
    sender: SenderType | None = strawberry.field(default=UNSET, description="Written by such a sender.")
    since: datetime | None = strawberry.field(default=UNSET, description="Written then or later.")
    until: datetime | None = strawberry.field(default=UNSET, description="Written before.")

    def read(self) -> SearchFilter:
        """The filter as the resolver takes it."""
        return SearchFilter(
            thread_id=given(self.thread_id),
            models=tuple(given(self.models) or ()),
            products=tuple(given(self.products) or ()),
            agents=tuple(given(self.agents) or ()),
            sender=given(self.sender),
            since=given(self.since),
            until=given(self.until),
        )


@strawberry.type(description="How far the search index has come with the caller's texts.")
class SearchStatus:
    indexed_through: datetime = strawberry.field(
        description="What was written before can be found; now, if nothing waits."
    )
    pending: int = strawberry.field(
        description="How many texts wait; by their words most can be found already."
    )
    model: str = strawberry.field(description="The embedding model.")
    healthy: bool = strawberry.field(description="Whether search by meaning works, and keeps up.")


@strawberry.type
class SearchQuery:
    @strawberry.field(
        description="The caller's threads that fit, best first, by titles, summaries and messages.",
        directives=[PAGE],
    )
    async def search(
        self,
        info: Info,
        query: Annotated[
            str,
            strawberry.argument(
                description="What to look for: 1 to 10,000 characters; a regular expression of at most 1,000."
            ),
        ],
        mode: Annotated[SearchMode, strawberry.argument(description="How to look.")] = SearchMode.HYBRID,
        filter: Annotated[  # noqa: A002
            SearchFilterInput | None, strawberry.argument(description="What hits must be.")
        ] = UNSET,
        first: connections.First = UNSET,
        after: connections.After = UNSET,
        last: connections.Last = UNSET,
        before: connections.Before = UNSET,
    ) -> SearchHitConnection:
        ctx = info.context.core
        chosen = given(filter)
        wanted = chosen.read() if chosen is not None else SearchFilter()
        part = window(_rank, first, after, last, before)
        found = await search.search(ctx, query, mode=mode, wanted=wanted, window=part)

        async def count() -> int:
            whole = await search.search(ctx, query, mode=mode, wanted=wanted, window=Window(last=1))
            return whole.hits.total or 0

        edges = [SearchHitEdge.of(ctx, hit) for hit in found.hits.items]
        return SearchHitConnection(
            edges=edges,
            nodes=[edge.node for edge in edges],
            page_info=PageInfo.of(found.hits, edges),
            is_partial=found.is_partial,
            count=count,
        )

    @strawberry.field(description="How far the search index has come with the caller's texts.")
    async def search_status(self, info: Info) -> SearchStatus:
        found = await search_status.search_status(info.context.core)
        return SearchStatus(
            indexed_through=found.indexed_through,
            pending=found.pending,
            model=found.model,
            healthy=found.is_healthy,
        )


def _rank(cursor: str) -> int:
    rank = int(connections.decode_cursor("s", cursor, 1)[0])
    if not 0 <= rank < MOST_THREADS:
        raise ValueError(rank)
    return rank
