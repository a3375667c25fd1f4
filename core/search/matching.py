"""Searching texts: by a regular expression, or by words. Blocking; for a reader's thread."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from sqlalchemy.orm import Session

from core.search.folding import composed
from core.search.patterns import MOST_SPANS, OutOfTime, Pattern, Word
from core.search.scope import (
    EntryText,
    SearchScope,
    all_entries,
    count_entries,
    long_entries,
    read_texts,
)
from core.search.trigrams import candidates

Span = tuple[int, int]

# Texts read at once: few enough that a page of matches in recent texts is found at once.
_CHUNK = 200
# Of each word's entries, the newest; and how many of the best are read at once, to be compared.
_MOST_OF_A_WORD = 5000
_MOST_READ = 300
# Okapi BM25, with lengths in characters; https://doi.org/10.1561/1500000019
_SATURATION, _LENGTH_WEIGHT, _USUAL_LENGTH = 1.2, 0.75, 600
# Within another word a match says less: "art" is rarely what "party" is about.
_INSIDE_A_WORD = 0.3
# Of the best score: what has only the commonest of the words is noise.
_RELATIVE_CUT = 0.35


@dataclass(frozen=True, slots=True)
class TextHit:
    """An entry whose text matches, and where: code points of the composed text."""

    entry: EntryText
    spans: tuple[Span, ...]
    score: float


@dataclass(frozen=True, slots=True)
class TextHits:
    """The hits, best first; `is_partial` if time ran out before everything was looked at."""

    hits: tuple[TextHit, ...]
    is_partial: bool


def find_pattern(
    session: Session,
    scope: SearchScope,
    pattern: Pattern,
    *,
    threads: int,
    per_thread: int,
    until: float,
) -> TextHits:
    """The newest entries that match, of about `threads` threads, at most `per_thread` of each.

    `until` is an instant of `time.monotonic()`; what is not found by then is missing.
    """
    found: dict[UUID, list[TextHit]] = {}
    try:
        for ids in _chunks(session, scope, pattern):
            for entry in _read(session, scope, ids, until):
                if len(found.get(entry.thread_id, ())) >= per_thread:
                    continue
                spans = pattern.spans(entry.text, most=MOST_SPANS, until=until)
                if spans:
                    found.setdefault(entry.thread_id, []).append(TextHit(entry, tuple(spans), 1))
            if len(found) >= threads:
                break
    except OutOfTime:
        return TextHits(_flat(found), is_partial=True)
    return TextHits(_flat(found), is_partial=False)


def find_words(
    session: Session, scope: SearchScope, words: Sequence[Word], *, threads: int, until: float
) -> TextHits:
    """The entries that fit the words best, of at least `threads` threads if there are so many.

    Those with more of the words, and with rarer ones, come first. `until` as in `find_pattern`.
    """
    total = count_entries(session, scope)
    found = {
        word: candidates(session, scope.ids, word.required, _MOST_OF_A_WORD)
        for word in words
        if word.required is not None
    }
    rarities = {word: _rarity(len(ids), total) for word, ids in found.items()}
    hits: list[TextHit] = []
    seen: set[UUID] = set()
    # Words of one or two letters have no trigrams.
    chunks = _best_chunks(session, scope, found, rarities) if found else all_entries(session, scope, _CHUNK)
    try:
        for chunk in chunks:
            for entry in _read(session, scope, chunk, until):
                hit = _score(entry, words, rarities, until)
                if hit is not None:
                    hits.append(hit)
                    seen.add(entry.thread_id)
            if len(seen) >= threads:
                break
    except OutOfTime:
        return TextHits(_cut(hits), is_partial=True)
    return TextHits(_cut(hits), is_partial=False)


def _best_chunks(
    session: Session, scope: SearchScope, found: dict[Word, list[int]], rarities: dict[Word, float]
) -> Iterator[Sequence[int]]:
    """The entries that have any of the words, the most promising first, and all that are long."""
    promises: dict[int, float] = {}
    for word, ids in found.items():
        for id_ in ids:
            promises[id_] = promises.get(id_, 0) + rarities[word]
    best = sorted(promises, key=lambda id_: (-promises[id_], -id_))
    yield [*best[:_MOST_READ], *long_entries(session, scope)]
    for start in range(_MOST_READ, len(best), _MOST_READ):
        yield best[start : start + _MOST_READ]


def _read(session: Session, scope: SearchScope, ids: Sequence[int], until: float) -> Iterator[EntryText]:
    """The entries, newest first. Raises `OutOfTime`."""
    for entry in read_texts(session, scope, ids):
        if time.monotonic() > until:
            raise OutOfTime
        yield entry


def _chunks(session: Session, scope: SearchScope, pattern: Pattern) -> Iterator[Sequence[int]]:
    """The entries that a pattern may match, newest first."""
    if pattern.required is None:
        yield from all_entries(session, scope, _CHUNK)
        return
    (low, high), long = scope.ids, long_entries(session, scope)
    while True:
        ids = candidates(session, (low, high), pattern.required, _CHUNK)
        end = ids[-1] if len(ids) == _CHUNK else low
        yield [*ids, *(id_ for id_ in long if end <= id_ <= high)]
        if end == low:
            return
        high = end - 1


def _rarity(count: int, total: int) -> float:
    return math.log(1 + (max(total, count) - count + 0.5) / (count + 0.5))


def _score(
    entry: EntryText, words: Sequence[Word], rarities: dict[Word, float], until: float
) -> TextHit | None:
    score = 0.0
    spans: list[Span] = []
    text = composed(entry.text)
    for word in words:
        places = word.spans(text, most=MOST_SPANS, until=until)
        if not places:
            continue
        spans += places
        frequency = sum(1.0 if word.is_whole(text, place) else _INSIDE_A_WORD for place in places)
        norm = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * len(entry.text) / _USUAL_LENGTH
        weight = rarities.get(word, 1.0)
        score += weight * frequency * (_SATURATION + 1) / (frequency + _SATURATION * norm)
    return TextHit(entry, tuple(sorted(spans)), score) if spans else None


def _cut(hits: list[TextHit]) -> tuple[TextHit, ...]:
    ranked = sorted(hits, key=lambda hit: (-hit.score, -hit.entry.entry_id))
    if not ranked:
        return ()
    return tuple(hit for hit in ranked if hit.score >= ranked[0].score * _RELATIVE_CUT)


def _flat(found: dict[UUID, list[TextHit]]) -> tuple[TextHit, ...]:
    return tuple(sorted(chain.from_iterable(found.values()), key=lambda hit: -hit.entry.entry_id))
