"""What one owner can find by meaning, in memory: scored exactly, in milliseconds.

A matrix is kept in blocks, so that it grows by a few rows without being copied, and each state of it is a
`Scope` that never changes: whoever scores it needs no lock, whatever is loaded or forgotten meanwhile.
"""

import asyncio
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.search.scope_rows import Rows
from core.search.vectors import Collection, PieceIds, VectorStore

# 6 MB at 384 dimensions: what is copied at most when a scope grows or an entry vanishes.
BLOCK_ROWS: Final = 4096
_SPARE: Final = 1 / 16
SCORED_INLINE: Final = 2_000
# A wide scope asks for this many times what is wanted, as pieces and others' entries are among the nearest.
_WIDE_FACTOR: Final = 4
_WIDE_MOST: Final = 8_000


@dataclass(frozen=True, slots=True)
class Scored:
    """Entries, the most similar first, each with its best piece and that piece's cosine similarity."""

    entry_ids: NDArray[np.int64]
    pieces: NDArray[np.int32]
    similarities: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a matrix; a later scope may fill the spare rows behind `used`, which this one never reads."""

    space: NDArray[np.float32]
    used: int

    @property
    def vectors(self) -> NDArray[np.float32]:
        return self.space[: self.used]


@dataclass(frozen=True)
class Scope:
    """One state of what an owner can find.

    `lacking` are the ids of entries whose vectors are not there yet, or not any more. Without `blocks` it
    is too wide for memory: the index of the whole collection is asked, which may overlook some.
    """

    store: VectorStore
    collection: Collection
    rows: Rows
    blocks: tuple[Block, ...] | None = ()
    lacking: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    seen: int = -1
    retry_at: float = 0

    @property
    def exact(self) -> bool:
        """Whether every vector is looked at."""
        return self.blocks is not None

    def is_complete(self, newest: int) -> bool:
        """Whether it has all entries up to the one with this id."""
        return self.seen >= newest and not len(self.lacking)

    @cached_property
    def nbytes(self) -> int:
        """What it takes in memory."""
        small = self.rows.nbytes + self._starts.nbytes + self.lacking.nbytes
        return small + sum(block.space.nbytes for block in self.blocks or ())

    @cached_property
    def _starts(self) -> NDArray[np.intp]:
        """The first row of each entry."""
        ids = self.rows.entry_ids
        return np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])

    async def score(
        self, query: NDArray[np.float32], mask: NDArray[np.bool_] | None = None, *, most: int
    ) -> Scored:
        """The `most` best entries by their best piece among the rows that `mask` lets through.

        `query` is normalised. Of equally similar entries the newest comes first.
        Raises `VectorStoreUnavailable` if the scope is not exact and the store fails.
        """
        if not self.exact:
            return await self._score_wide(query, mask, most)
        if len(self.rows) <= SCORED_INLINE:
            return self._score(query, mask, most)
        return await asyncio.to_thread(self._score, query, mask, most)

    def _score(self, query: NDArray[np.float32], mask: NDArray[np.bool_] | None, most: int) -> Scored:
        scores = np.empty(len(self.rows), dtype=np.float32)
        start = 0
        for block in self.blocks or ():
            # Not by `matmul`: the threads that it starts wait for each other, on a busy machine for long.
            np.vecdot(block.vectors, query, out=scores[start : start + block.used])
            start += block.used
        return self._best(scores, mask, most)

    async def _score_wide(
        self, query: NDArray[np.float32], mask: NDArray[np.bool_] | None, most: int
    ) -> Scored:
        asked = most
        while True:
            asked = min(asked * _WIDE_FACTOR, _WIDE_MOST)
            near, similarities = await self.store.nearest(self.collection, query, asked)
            best = await asyncio.to_thread(self._best_near, near, similarities, mask, most)
            if len(best.entry_ids) >= most or asked >= _WIDE_MOST or len(near) < asked:
                return best

    def _best_near(
        self, near: PieceIds, found: NDArray[np.float32], mask: NDArray[np.bool_] | None, most: int
    ) -> Scored:
        rows = self.rows
        scores = np.full(len(rows), -np.inf, dtype=np.float32)
        if len(rows):
            order = np.argsort(rows.entry_ids, kind="stable")
            firsts = np.searchsorted(rows.entry_ids, near.entries, sorter=order)
            places = order[np.minimum(firsts + near.pieces, len(rows) - 1)]
            ours = (rows.entry_ids[places] == near.entries) & (rows.pieces[places] == near.pieces)
            scores[places[ours]] = found[ours]
        return self._best(scores, mask, most)

    def _best(self, scores: NDArray[np.float32], mask: NDArray[np.bool_] | None, most: int) -> Scored:
        if mask is not None:
            scores[~mask] = -np.inf
        starts = self._starts
        best = np.maximum.reduceat(scores, starts) if len(starts) < len(scores) else scores
        top = np.argpartition(best, -most)[-most:] if most < len(best) else np.arange(len(best))
        top = top[best[top] > -np.inf]
        top = top[np.lexsort((-self.rows.entry_ids[starts[top]], -best[top]))]
        rows = starts[top]
        if len(starts) < len(scores):
            ends = np.append(starts[1:], len(scores))[top]
            for n in np.flatnonzero(ends - rows > 1):
                rows[n] += scores[rows[n] : ends[n]].argmax()
        return Scored(self.rows.entry_ids[rows], self.rows.pieces[rows], scores[rows])

    def without(self, entry_ids: NDArray[np.int64]) -> "Scope":
        """The scope without these entries; blocks that hold none of them are shared."""
        lacking = self.lacking[~np.isin(self.lacking, entry_ids)]
        keep = ~np.isin(self.rows.entry_ids, entry_ids)
        if keep.all():
            return self if len(lacking) == len(self.lacking) else replace(self, lacking=lacking)
        blocks: list[Block] = []
        start = 0
        for block in self.blocks or ():
            kept = keep[start : start + block.used]
            start += block.used
            if kept.all():
                blocks.append(block)
            elif kept.any():
                left = block.vectors[kept]
                blocks.append(Block(left, len(left)))
        return replace(
            self,
            rows=self.rows.chosen(keep),
            lacking=lacking,
            blocks=None if self.blocks is None else tuple(blocks),
        )


def append(blocks: list[Block], batch: NDArray[np.float32], coming: int) -> None:
    """Put rows behind the last, in spare rows if there are some; `coming` rows will, with these."""
    while len(batch):
        last = blocks.pop() if blocks and blocks[-1].used < BLOCK_ROWS else None
        used = last.used if last else 0
        now = min(len(batch), BLOCK_ROWS - used)
        space = last.space if last else np.empty((0, batch.shape[1]), dtype=np.float32)
        if used + now > len(space):
            rows = min(int((used + coming) * (1 + _SPARE)) + 1, BLOCK_ROWS)
            space = np.empty((rows, batch.shape[1]), dtype=np.float32)
            if last:
                space[:used] = last.vectors
        space[used : used + now] = batch[:now]
        blocks.append(Block(space, used + now))
        batch, coming = batch[now:], coming - now
