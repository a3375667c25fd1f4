"""Following the change feed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import UUID

from core.context import Context
from core.resolvers.changes import CaughtUp, ThreadChange, follow_threads

PATIENCE = 10.0
Items = list[ThreadChange | CaughtUp]


async def missed(ctx: Context, after: str | None) -> Items:
    """What a client that was away is told before it has caught up, with the word that it has."""
    told: Items = []
    async with aclosing(follow_threads(ctx, after)) as feed:
        async for items in feed:
            assert 0 < len(items) <= 100
            told += items
            if isinstance(items[-1], CaughtUp):
                break
    assert [isinstance(item, CaughtUp) for item in told] == [False] * (len(told) - 1) + [True]
    return told


async def live(feed: AsyncGenerator[Items, None]) -> Items:
    return await asyncio.wait_for(anext(feed), PATIENCE)


def changed(items: Items) -> list[UUID]:
    """The threads that are told of, in order."""
    return [item.thread_id for item in items if isinstance(item, ThreadChange)]


def number(cursor: str) -> int:
    """The number of the change that a cursor tells."""
    return int(cursor.partition("-")[2])
