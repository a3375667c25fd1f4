"""Batched reads of one operation: whatever the length of a list, each kind of thing is read once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property, partial
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
        self._provider_threads: dict[str, DataLoader[UUID, records.ProviderThread | None]] = {}

    # Each is made when it is first asked for: most operations need one or two.

    @cached_property
    def threads(self) -> DataLoader[UUID, records.Thread | None]:
        """Threads by their ids."""
        return self._by_id(threads.threads_by_id)

    @cached_property
    def messages(self) -> DataLoader[UUID, records.Message | None]:
        """Messages by their ids."""
        return self._by_id(messages.messages_by_id)

    @cached_property
    def runs(self) -> DataLoader[UUID, records.Run | None]:
        """Runs by their ids."""
        return self._by_id(runs.runs_by_id)

    @cached_property
    def nodes(self) -> DataLoader[UUID, nodes.Node | None]:
        """Nodes of any kind by their ids."""
        return self._by_id(nodes.find_nodes, largest=nodes.MOST_IDS)

    @cached_property
    def active_runs(self) -> DataLoader[UUID, records.Run | None]:
        """What each thread, by its id, is busy with."""
        return self._by_id(runs.active_runs)

    @cached_property
    def run_of_message(self) -> DataLoader[records.Message, records.Run | None]:
        """The run that a message began, or that wrote it."""
        return DataLoader(
            self._runs_of_messages, LARGEST_BATCH, cache=self._cache, cache_key_fn=lambda message: message.id
        )

    @cached_property
    def thread_messages(self) -> DataLoader[MessagesKey, Slice[records.Message]]:
        """A slice of a thread's messages."""
        return DataLoader(
            self._slices, LARGEST_BATCH, cache=self._cache, cache_key_fn=lambda key: (key[0].id, key[1])
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
