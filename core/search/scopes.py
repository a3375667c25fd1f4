"""The scopes of those who searched last, kept up to date with SQL, within a number of bytes."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.search.scope_rows import EntryArrays, Rows
from core.search.scoring import Scope, append
from core.search.vectors import READ_AT_ONCE, Collection, PieceIds, VectorStore, VectorStoreUnavailable

# A load of more than this part of the cache is a big one.
_BIG: Final = 1 / 8
# Looking for late vectors anew takes at most this part of the time.
_LATE: Final = 1 / 10
LATE_SECONDS: Final = 5

_Key = tuple[str, int]
LoadEntries = Callable[[int], Awaitable[EntryArrays]]


class _Loading:
    """A load under way, and what was forgotten since it began."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Scope]
        self.forgotten: list[NDArray[np.int64]] = []


class ScopeCache:
    """Scopes of those who searched last, within a number of bytes."""

    def __init__(self, store: VectorStore, most_bytes: int) -> None:
        self.nbytes = 0
        self._store = store
        self._most_bytes = most_bytes
        self._scopes: OrderedDict[_Key, Scope] = OrderedDict()
        self._loading: dict[_Key, _Loading] = {}
        self._reserved = 0
        self._big_loads = asyncio.Lock()

    async def scope(
        self, collection: Collection, owner_number: int, newest: int, load_entries: LoadEntries
    ) -> Scope:
        """All that this owner can find, as new as SQL is: `newest` is the owner's last entry, maybe gone.

        `load_entries(after)` gives all the owner's entries with ids above `after`; those whose vectors are
        still to come are asked for again, and may come in any order. While somebody else loads what is new,
        the last state is given at once; while the store fails, the last state, which then tells what it
        lacks. Raises what `load_entries` raises, and `VectorStoreUnavailable`.
        """
        key = (collection.name, owner_number)
        loading, held = self._loading.get(key), self._scopes.get(key)
        if held is not None and (loading is not None or held.is_complete(newest)):
            self._scopes.move_to_end(key)
            return held
        if loading is None:
            loading = self._loading[key] = _Loading()
            loading.task = asyncio.create_task(self._load(key, collection, newest, load_entries, loading))
            loading.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        # Who gives up waiting does not take it from the others.
        return await asyncio.shield(loading.task)

    def forget(self, owner_number: int, entry_ids: Iterable[int]) -> None:
        """Drop entries that vanished, from what is held and from what is just being loaded."""
        ids = np.fromiter(entry_ids, dtype=np.int64)
        for (_, owner), loading in self._loading.items():
            if owner == owner_number:
                loading.forgotten.append(ids)
        for key in [key for key in self._scopes if key[1] == owner_number]:
            self._put(key, self._scopes[key].without(ids))

    async def _load(
        self, key: _Key, collection: Collection, newest: int, load_entries: LoadEntries, loading: _Loading
    ) -> Scope:
        try:
            scope = self._scopes.get(key) or Scope(self._store, collection, Rows.none())
            scope = await self._renewed(key, scope, newest, load_entries)
            for ids in loading.forgotten:  # `forget` has seen the state before only
                scope = scope.without(ids)
            self._put(key, scope)
            self._scopes.move_to_end(key)
            self._make_room(key)
            return scope
        finally:
            del self._loading[key]

    async def _renewed(self, key: _Key, held: Scope, newest: int, load_entries: LoadEntries) -> Scope:
        clock = asyncio.get_running_loop().time
        began = clock()
        late = len(held.lacking) > 0 and began >= held.retry_at
        entries = await load_entries(int(held.lacking.min()) - 1 if late else held.seen)
        seen = max([held.seen, newest, *entries.entry_ids[-1:].tolist()])
        if late:
            entries = entries.chosen(~np.isin(entries.entry_ids, held.rows.entry_ids))
            held = replace(held, lacking=held.lacking[:0])
        if not len(entries) and not late:
            return replace(held, seen=seen)
        waiting = entries.entry_ids[entries.piece_counts == 0]
        rows = Rows.of(entries)
        try:
            scope = await self._with(key, held, rows) if len(rows) else held
        except VectorStoreUnavailable:
            if not len(held.rows):
                raise
            scope = replace(held, lacking=np.union1d(held.lacking, rows.entry_ids))
        retry_at = clock() + min((clock() - began) / _LATE, LATE_SECONDS)
        return replace(scope, lacking=np.union1d(scope.lacking, waiting), seen=seen, retry_at=retry_at)

    async def _with(self, key: _Key, held: Scope, rows: Rows) -> Scope:
        wanted = len(rows) * (held.collection.dimension * 4 + 8) + rows.nbytes
        if not held.exact or held.nbytes + wanted > self._most_bytes:
            return replace(held, rows=held.rows.followed_by(rows), blocks=None)
        # One big one at a time: together they would take more than there is.
        async with self._big_loads if wanted > self._most_bytes * _BIG else contextlib.nullcontext():
            self._reserved += wanted
            try:
                self._make_room(key)
                return await self._filled(held, rows)
            finally:
                self._reserved -= wanted

    async def _filled(self, held: Scope, rows: Rows) -> Scope:
        there = np.zeros(len(rows), dtype=np.bool_)
        blocks = list(held.blocks or ())
        for part, some in PieceIds(rows.entry_ids, rows.pieces).batches(READ_AT_ONCE):
            places, vectors = await self._store.get(held.collection, some)
            there[places + part.start] = True
            append(blocks, vectors, len(rows) - part.start)
        lost = np.unique(rows.entry_ids[~there])
        scope = replace(held, rows=held.rows.followed_by(rows.chosen(there)), blocks=tuple(blocks))
        # An entry comes with all its pieces or not at all.
        return replace(scope.without(lost), lacking=np.union1d(held.lacking, lost)) if len(lost) else scope

    def _put(self, key: _Key, scope: Scope) -> None:
        before = self._scopes.get(key)
        self.nbytes += scope.nbytes - (before.nbytes if before else 0)
        self._scopes[key] = scope

    def _make_room(self, kept: _Key) -> None:
        """Drop those who searched longest ago, as many as must be."""
        for key in list(self._scopes) if self.nbytes + self._reserved > self._most_bytes else ():
            if self.nbytes + self._reserved <= self._most_bytes:
                return
            if key != kept:
                self.nbytes -= self._scopes.pop(key).nbytes
