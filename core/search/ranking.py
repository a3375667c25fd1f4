"""Putting what was found by meaning and what was found by text into one order, thread by thread."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from core.search.matching import TextHit
from core.search.scope import Entry

# A text that has all the words counts as two that mean the same; one that has half of them as a quarter.
_TEXT_WEIGHT = 2.0


class MatchedBy(StrEnum):
    MEANING = "meaning"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Similar:
    """An entry that was found by meaning: its best piece, and the cosine similarity of that.

    `closeness` is its place between texts that have nothing to do with the query, at 0, and the best, at 1.
    """

    entry: Entry
    piece: int
    similarity: float
    closeness: float


@dataclass(slots=True)
class RankedEntry:
    """An entry, and everything that found it."""

    entry: Entry
    similar: Similar | None = None
    text_hit: TextHit | None = None

    @property
    def matched_by(self) -> tuple[MatchedBy, ...]:
        """What found it, meaning first."""
        found = ((MatchedBy.MEANING, self.similar), (MatchedBy.TEXT, self.text_hit))
        return tuple(by for by, hit in found if hit is not None)

    @property
    def score(self) -> float:
        """How well it fits in all."""
        meaning = self.similar.closeness if self.similar is not None else 0.0
        return meaning + (_TEXT_WEIGHT * self.text_hit.fit**2 if self.text_hit is not None else 0.0)


@dataclass(slots=True)
class RankedThread:
    """A thread with what was found in it, best first."""

    thread_id: UUID
    entries: list[RankedEntry] = field(default_factory=list)


def ranked(similar: Sequence[Similar], text_hits: Sequence[TextHit]) -> list[RankedThread]:
    """The threads of the hits, each list of which comes best first; hits of one kind stay as they are.

    Hits of both kinds are ordered by how well they fit and not by their ranks, as reciprocal rank fusion
    does: the first of a list may be an excellent hit, or the best of many poor ones.
    """
    entries = {near.entry.entry_id: RankedEntry(near.entry, similar=near) for near in similar}
    for hit in text_hits:
        entries.setdefault(hit.entry.entry_id, RankedEntry(hit.entry)).text_hit = hit
    order = list(entries.values())
    if similar and text_hits:
        order.sort(key=lambda each: (-each.score, -each.entry.entry_id))
    threads: dict[UUID, RankedThread] = {}
    for found in order:
        thread = threads.setdefault(found.entry.thread_id, RankedThread(found.entry.thread_id))
        thread.entries.append(found)
    return list(threads.values())
