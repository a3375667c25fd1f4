"""Searching texts: by a regular expression, or by words. Blocking; for a reader's thread."""

import math
import time
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from sqlalchemy.orm import Session

from core.search.folding import composed, folded
from core.search.patterns import OutOfTime, Pattern, Word
from core.search.scope import (
    Entry,
    EntryText,
    SearchScope,
    long_entries,
    read_newest,
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
    """An entry whose text matches: a score to compare it by, and the part of what is asked that it has."""

    entry: Entry
    score: float
    fit: float


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
    found: dict[Hashable, list[EntryText]] = {}
    full: set[UUID] = set()
    try:
        for texts in _chunks(session, scope, pattern, full):
            for text in _in_time(texts, until):
                of_thread = found.get(text.raw_thread_id, [])
                if len(of_thread) < per_thread and pattern.matches(text.text, until=until):
                    found[text.raw_thread_id] = of_thread
                    of_thread.append(text)
                    if len(of_thread) == per_thread:
                        full.add(text.entry.thread_id)
            if len(found) >= threads:
                break
    except OutOfTime:
        return TextHits(_newest_first(found.values()), is_partial=True)
    return TextHits(_newest_first(found.values()), is_partial=False)


def find_words(
    session: Session, scope: SearchScope, words: Sequence[Word], *, threads: int, until: float
) -> TextHits:
    """The entries that fit the words best, of at least `threads` threads if there are so many.

    Those with more of the words, and with rarer ones, come first. `until` as in `find_pattern`.
    """
    found = {
        word: candidates(session, scope.ids, word.required, _MOST_OF_A_WORD)
        for word in words
        if word.required is not None
    }
    rarities = {word: _rarity(len(ids), scope.given) for word, ids in found.items()}
    hits: list[TextHit] = []
    seen: set[UUID] = set()
    # Words of one or two letters have no trigrams.
    chunks = _best_chunks(session, scope, found, rarities) if found else _newest(session, scope, frozenset())
    try:
        for texts in chunks:
            for text in _in_time(texts, until):
                score, fit = _score(text.text, words, rarities, until)
                if score:
                    hits.append(TextHit(text.entry, score, fit))
                    seen.add(hits[-1].entry.thread_id)
            if len(seen) >= threads:
                break
    except OutOfTime:
        return TextHits(_cut(hits), is_partial=True)
    return TextHits(_cut(hits), is_partial=False)


def word_spans(text: str, words: Sequence[Word], *, until: float) -> list[Span]:
    """Where in the text, which is composed, the words are; in order. Raises `OutOfTime`."""
    return sorted(span for word in words for span in word.spans(text, until=until))


def _best_chunks(
    session: Session, scope: SearchScope, found: dict[Word, list[int]], rarities: dict[Word, float]
) -> Iterator[list[EntryText]]:
    """The entries that have any of the words, the most promising first, and all that are long."""
    promises: dict[int, float] = {}
    for word, ids in found.items():
        for id_ in ids:
            promises[id_] = promises.get(id_, 0) + rarities[word]
    best = sorted(promises, key=lambda id_: (-promises[id_], -id_))
    yield read_texts(session, scope, [*best[:_MOST_READ], *long_entries(session, scope)])
    for start in range(_MOST_READ, len(best), _MOST_READ):
        yield read_texts(session, scope, best[start : start + _MOST_READ])


def _in_time(texts: Iterable[EntryText], until: float) -> Iterator[EntryText]:
    """The same. Raises `OutOfTime`."""
    for text in texts:
        if time.monotonic() > until:
            raise OutOfTime
        yield text


def _chunks(
    session: Session, scope: SearchScope, pattern: Pattern, full: Collection[UUID]
) -> Iterator[list[EntryText]]:
    """The entries that a pattern may match, newest first, but for those of threads that are full by then."""
    if pattern.required is None:
        yield from _newest(session, scope, full)
        return
    (low, high), long = scope.ids, long_entries(session, scope)
    while True:
        ids = candidates(session, (low, high), pattern.required, _CHUNK)
        end = ids[-1] if len(ids) == _CHUNK else low
        yield read_texts(session, scope, [*ids, *(id_ for id_ in long if end <= id_ <= high)], full)
        if end == low:
            return
        high = end - 1


def _newest(session: Session, scope: SearchScope, full: Collection[UUID]) -> Iterator[list[EntryText]]:
    """All entries of the scope, newest first, but for those of threads that are full by then."""
    below = scope.ids[1] + 1
    while texts := read_newest(session, scope, below, _CHUNK, full):
        yield texts
        below = texts[-1].entry_id


def _rarity(count: int, total: int) -> float:
    return math.log(1 + (max(total, count) - count + 0.5) / (count + 0.5))


def _score(
    text: str, words: Sequence[Word], rarities: dict[Word, float], until: float
) -> tuple[float, float]:
    """How well the text fits, and which part that is of all that can be asked; 0 without any of the words."""
    score = ideal = present = 0.0
    text = composed(text)
    folded_text = folded(text)
    norm = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * len(text) / _USUAL_LENGTH
    for word in words:
        places = word.spans_in(text, folded_text, until=until)
        weight = rarities.get(word, 1.0)
        # What a text of usual length gets that has the word once.
        ideal += weight
        if places:
            present += weight
            frequency = sum(1.0 if word.is_whole(text, place) else _INSIDE_A_WORD for place in places)
            score += weight * frequency * (_SATURATION + 1) / (frequency + _SATURATION * norm)
    return score, min(score / ideal, 1.0) * present / ideal


def _cut(hits: list[TextHit]) -> tuple[TextHit, ...]:
    ranked = sorted(hits, key=lambda hit: (-hit.score, -hit.entry.entry_id))
    if not ranked:
        return ()
    return tuple(hit for hit in ranked if hit.score >= ranked[0].score * _RELATIVE_CUT)


def _newest_first(found: Iterable[list[EntryText]]) -> tuple[TextHit, ...]:
    entries = sorted(chain.from_iterable(found), key=lambda text: -text.entry_id)
    return tuple(TextHit(text.entry, 1, 1) for text in entries)
