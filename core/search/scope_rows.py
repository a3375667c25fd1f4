"""The entries of one owner and the pieces of these, as columns of numbers: a mask is made of them at once."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class _Columns:
    """Arrays of one length."""

    entry_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.entry_ids)

    def chosen(self, which: NDArray[np.bool_]) -> Self:
        return replace(self, **{each.name: getattr(self, each.name)[which] for each in fields(self)})


@dataclass(frozen=True, slots=True)
class EntryArrays(_Columns):
    """Entries of one owner, one a row, ascending by id. A count of 0: the vectors are still to come."""

    piece_counts: NDArray[np.int32]
    thread_numbers: NDArray[np.int32]
    senders: NDArray[np.int8]
    created_at: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rows(_Columns):
    """Pieces, one a row, those of an entry together: what a mask can be made of.

    `created_at` is in microseconds since 1970. In the order of loading, which need not be that of the ids.
    """

    pieces: NDArray[np.int32]
    thread_numbers: NDArray[np.int32]
    senders: NDArray[np.int8]
    created_at: NDArray[np.int64]

    @classmethod
    def of(cls, entries: EntryArrays) -> Self:
        counts = entries.piece_counts
        firsts = np.repeat(np.cumsum(counts) - counts, counts)
        return cls(
            np.repeat(entries.entry_ids, counts),
            (np.arange(len(firsts)) - firsts).astype(np.int32),
            np.repeat(entries.thread_numbers, counts),
            np.repeat(entries.senders, counts),
            np.repeat(entries.created_at, counts),
        )

    @classmethod
    def none(cls) -> Self:
        ids, numbers = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32)
        return cls(ids, numbers, numbers, np.empty(0, dtype=np.int8), ids)

    def followed_by(self, other: Self) -> Self:
        names = [each.name for each in fields(self)]
        return type(self)(*(np.concatenate((getattr(self, name), getattr(other, name))) for name in names))

    @property
    def nbytes(self) -> int:
        return sum(getattr(self, each.name).nbytes for each in fields(self))
