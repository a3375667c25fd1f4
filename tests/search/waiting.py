"""Waiting for the index of services in this process."""

import asyncio
from collections.abc import Awaitable, Callable

from core.context import Context
from core.resolvers.search_status import search_status

PATIENCE_SECONDS = 30


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Look again and again until this holds: what is waited for is in the database."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def indexed(ctx: Context) -> None:
    """Wait until nothing of the caller's waits."""

    async def is_indexed() -> bool:
        return not (await search_status(ctx)).pending

    await until(is_indexed)
