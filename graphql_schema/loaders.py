"""Batched reads of one operation: whatever the length of a list, each kind of thing is read once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from core.context import Context
from core.db import records
from core.db.keyset import Slice, Window
from core.resolvers import messages, nodes, provider_threads, runs, threads

Item = TypeVar("Item")

# What one statement takes; lists of the schema are shorter, but may be nested.
LARGEST_BATCH = 1000

MessagesKey = tuple[records.Thread, Window[int]]


class Loaders:
    """The loaders of one operation, on behalf of its caller.

    `cache=False` is for mutations, which change between their fields what loaders would remember.
    """

    def __init__(self, ctx: Context, *, cache: bool = True) -> None:
        self._ctx = ctx
        self._cache = cache
        self.threads = self._by_id(threads.threads_by_id)
        self.messages = self._by_id(messages.messages_by_id)
        self.runs = self._by_id(runs.runs_by_id)
        self.nodes = self._by_id(nodes.find_nodes, largest=nodes.MOST_IDS)
        self.active_runs = self._by_id(runs.active_runs)
        self._provider_threads: dict[str, DataLoader[UUID, records.ProviderThread | None]] = {}
        self.run_of_message: DataLoader[records.Message, records.Run | None] = DataLoader(
            self._runs_of_messages, LARGEST_BATCH, cache=cache, cache_key_fn=lambda message: message.id
        )
        self.thread_messages: DataLoader[MessagesKey, Slice[records.Message]] = DataLoader(
            self._slices, LARGEST_BATCH, cache=cache, cache_key_fn=lambda key: (key[0].id, key[1])
        )

    def provider_threads(self, provider: str) -> DataLoader[UUID, records.ProviderThread | None]:
        """The loader of what is kept for this provider, by thread."""
        found = self._provider_threads.get(provider)
        if found is None:
            found = self._provider_threads[provider] = self._by_id(
                partial(provider_threads.provider_threads_of, provider=provider)
            )
        return found

    async def _runs_of_messages(self, asked: list[records.Message]) -> list[records.Run | None]:
        found = await runs.runs_of_messages(self._ctx, asked)
        return [found.get(message.id) for message in asked]

    async def _slices(self, asked: list[MessagesKey]) -> Sequence[Slice[records.Message]]:
        return await messages.slice_messages(self._ctx, asked)

    def _by_id(
        self,
        find: Callable[[Context, Sequence[UUID]], Awaitable[Mapping[UUID, Item]]],
        *,
        largest: int = LARGEST_BATCH,
    ) -> DataLoader[UUID, Item | None]:
        async def load(ids: list[UUID]) -> list[Item | None]:
            found = await find(self._ctx, ids)
            return [found.get(key) for key in ids]

        return DataLoader(load, largest, cache=self._cache)
