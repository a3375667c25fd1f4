"""Putting what was found by meaning and what was found by text into one order, thread by thread."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from core.search.matching import TextHit
from core.search.scope import Entry

# Reciprocal rank fusion; https://doi.org/10.1145/1571941.1572114
_RRF = 60


class MatchedBy(StrEnum):
    MEANING = "meaning"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Similar:
    """An entry that was found by meaning: its best piece, and the cosine similarity of that."""

    entry: Entry
    piece: int
    similarity: float


@dataclass(slots=True)
class RankedEntry:
    """An entry, and everything that found it."""

    entry: Entry
    score: float = 0
    similar: Similar | None = None
    text_hit: TextHit | None = None

    @property
    def matched_by(self) -> tuple[MatchedBy, ...]:
        """What found it, meaning first."""
        found = ((MatchedBy.MEANING, self.similar), (MatchedBy.TEXT, self.text_hit))
        return tuple(by for by, hit in found if hit is not None)


@dataclass(slots=True)
class RankedThread:
    """A thread with what was found in it, best first."""

    thread_id: UUID
    entries: list[RankedEntry] = field(default_factory=list)


def ranked(similar: Sequence[Similar], text_hits: Sequence[TextHit]) -> list[RankedThread]:
    """The threads of the hits, each list of which comes best first: best first by both ranks together."""
    entries: dict[int, RankedEntry] = {}
    for rank, near in enumerate(similar, 1):
        found = entries.setdefault(near.entry.entry_id, RankedEntry(near.entry))
        found.similar = near
        found.score += 1 / (_RRF + rank)
    for rank, hit in enumerate(text_hits, 1):
        found = entries.setdefault(hit.entry.entry_id, RankedEntry(hit.entry))
        found.text_hit = hit
        found.score += 1 / (_RRF + rank)
    threads: dict[UUID, RankedThread] = {}
    for found in sorted(entries.values(), key=lambda each: (-each.score, -each.entry.entry_id)):
        thread = threads.setdefault(found.entry.thread_id, RankedThread(found.entry.thread_id))
        thread.entries.append(found)
    return list(threads.values())
