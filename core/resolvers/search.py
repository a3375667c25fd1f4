"""Searching one's own history: by meaning, by words, by regular expression."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.orm import Session

from core.context import Context
from core.db.keyset import Slice, Window
from core.errors import InvalidQuery, Unavailable
from core.resolvers.search_hits import MOST_OF_A_THREAD, Highlighter, SearchHit, load_hits
from core.resolvers.search_scope import Searchable, SearchFilter, searchable
from core.search.matching import TextHits, find_pattern, find_words, word_spans
from core.search.patterns import Span, compile_pattern, compile_words
from core.search.ranking import Similar, ranked
from core.search.scope import Entry, SearchScope, read_entries
from core.search.vectors import VectorsMissing
from core.search.visibility import load_entries, mask

EVERYTHING = SearchFilter()
BEST: Window[int] = Window()
LONGEST_QUERY = 10_000
# Threads that one search ranks.
MOST_THREADS = 200
_MOST_SIMILAR = 200


@dataclass(frozen=True, slots=True)
class _Finder:
    """What looks through texts in one mode, and shows where in a composed text something is."""

    find: Callable[[Session, SearchScope, float], TextHits]
    spans: Callable[[str, float], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class _Near:
    """Entries that are similar, best first, each with its piece and similarity; visible or not."""

    places: dict[int, tuple[int, float]]
    nearness: "Nearness | None"
    unrelated: float
    """The similarity of what has nothing to do with the query."""

    def of(self, entry: Entry) -> Similar:
        piece, similarity = self.places[entry.entry_id]
        best = self.nearness.best if self.nearness is not None else similarity
        span = best - self.unrelated
        return Similar(entry, piece, similarity, (similarity - self.unrelated) / span if span > 0 else 1.0)


_NOTHING_NEAR = _Near({}, None, 0)
_NO_TEXTS = TextHits((), is_partial=False)


class SearchMode(StrEnum):
    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    REGEX = "regex"
    TEXT = "text"

    @property
    def is_semantic(self) -> bool:
        """Whether it searches by meaning."""
        return self in (SearchMode.HYBRID, SearchMode.SEMANTIC)


class SearchDisabled(Unavailable):
    code = "SEARCH_DISABLED"

    def __init__(self) -> None:
        super().__init__("Search is switched off (CHAT_SEARCH_ENABLED=false)")


class SemanticUnavailable(Unavailable):
    code = "SEMANTIC_SEARCH_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("Nothing is indexed for search by meaning yet; search by text or regular expression")


@dataclass(frozen=True, slots=True)
class Nearness:
    """Of the hits by meaning: the best similarity, and the lowest that still counts beside it."""

    best: float
    lowest: float


@dataclass(frozen=True, slots=True)
class SearchResults:
    """Some of the hits, best first. `is_partial`: time, a model or vectors ran out; there may be more."""

    hits: Slice[SearchHit]
    is_partial: bool
    nearness: Nearness | None = None


async def search(
    ctx: Context,
    query: str,
    *,
    mode: SearchMode = SearchMode.HYBRID,
    wanted: SearchFilter = EVERYTHING,
    window: Window[int] = BEST,
    is_pattern: bool = False,
) -> SearchResults:
    """The caller's threads that fit `query`, best first; keys of the window are ranks.

    With `is_pattern`, HYBRID takes the query as a regular expression beside its meaning, not as words. At
    most the 200 best threads are ranked. `total` is there if the window is from the end. Raises
    `InvalidQuery`, `SearchDisabled`, and in mode SEMANTIC `Unavailable` if there are no vectors to be had;
    the other modes go by text alone then, and are partial.
    """
    user = ctx.user
    if not ctx.settings.search_enabled:
        raise SearchDisabled
    _check(query)
    start = 0 if window.after is None else window.after + 1
    end = MOST_THREADS if window.before is None else window.before
    threads_wanted = min(end, start + window.size + 1) if window.is_forward else end
    finder = None
    if mode is not SearchMode.SEMANTIC:
        # In a thread: tables of Unicode's classes are made for the first one, which takes half a second.
        finder = await asyncio.to_thread(
            _finder, query, threads_wanted, is_pattern=is_pattern or mode is SearchMode.REGEX
        )
    found = await ctx.db.read(lambda session: searchable(session, user, wanted))
    if found is None:
        return SearchResults(Slice((), has_next=False, has_previous=False, total=0), is_partial=False)
    near = await _near_if_any(ctx, query, mode, found, wanted)

    def work(session: Session) -> SearchResults:
        until = time.monotonic() + ctx.settings.search_deadline_seconds
        texts = finder.find(session, found.scope, until) if finder is not None else _NO_TEXTS
        similar = _visible(session, found.scope, near or _NOTHING_NEAR)
        threads = ranked(similar, texts.hits)[:MOST_THREADS]
        part = threads[start:end]
        page = part[: window.size] if window.is_forward else part[-window.size :]
        first = start if window.is_forward else start + len(part) - len(page)
        highlighter = Highlighter(
            lambda text: finder.spans(text, until) if finder is not None else (),
            ctx.search.embedder.piece_tokens,
        )
        return SearchResults(
            Slice(
                load_hits(session, user, page, first, highlighter),
                has_next=first + len(page) < len(threads),
                has_previous=first > 0,
                total=None if window.is_forward else len(threads),
            ),
            is_partial=texts.is_partial or (mode.is_semantic and near is None),
            nearness=near.nearness if near is not None else None,
        )

    return await ctx.db.read(work)


async def _near_if_any(
    ctx: Context, query: str, mode: SearchMode, found: Searchable, wanted: SearchFilter
) -> "_Near | None":
    """What is similar to the query; None where the mode does not ask, or that cannot be told now."""
    if not mode.is_semantic:
        return None
    try:
        return await _near(ctx, query, found, wanted)
    except Unavailable:
        if mode is SearchMode.SEMANTIC:
            raise
        return None


def _check(query: str) -> None:
    if not query.strip():
        raise InvalidQuery("What to search for must not be blank")
    if len(query) > LONGEST_QUERY:
        raise InvalidQuery(f"What to search for must have at most {LONGEST_QUERY} characters")


def _finder(query: str, threads: int, *, is_pattern: bool) -> _Finder:
    """Compiled before anything is read. Raises `InvalidQuery`."""
    if is_pattern:
        pattern = compile_pattern(query)
        return _Finder(
            lambda session, scope, until: find_pattern(
                session, scope, pattern, threads=threads, per_thread=MOST_OF_A_THREAD, until=until
            ),
            lambda text, until: pattern.spans(text, until=until),
        )
    words = compile_words(query)
    return _Finder(
        lambda session, scope, until: find_words(session, scope, words, threads=threads, until=until),
        lambda text, until: word_spans(text, words, until=until),
    )


async def _near(ctx: Context, query: str, found: Searchable, wanted: SearchFilter) -> "_Near":
    """What is similar to the query, best first. Raises `Unavailable`."""
    live = found.collection
    if live is None:
        raise SemanticUnavailable
    model = live.collection.model
    vector = await ctx.search.embedder_of(model).embed_query(query)
    number = found.scope.owner_number
    try:
        rows = await ctx.search.scopes.scope(
            live.collection,
            number,
            found.scope.newest,
            lambda after: ctx.db.read(lambda session: load_entries(session, number, after, live.number)),
        )
    except VectorsMissing:
        await ctx.search.replace(live)
        raise
    allowed_rows = mask(rows.rows, wanted.of_entries, found.threads, are_hidden=found.are_hidden)
    best = await rows.score(vector, allowed_rows, most=_MOST_SIMILAR)
    if not len(best.similarities):
        return _NOTHING_NEAR
    highest = float(best.similarities[0])
    least, noise = ctx.settings.search_min_similarity, ctx.search.noise_of(model)
    lowest = noise.lowest(highest, least) if noise is not None else least
    places = {
        entry: (piece, similarity)
        for entry, piece, similarity in zip(
            best.entry_ids.tolist(), best.pieces.tolist(), best.similarities.tolist(), strict=True
        )
        if similarity >= lowest
    }
    return _Near(places, Nearness(highest, lowest), noise.mean if noise is not None else least)


def _visible(session: Session, scope: SearchScope, near: _Near) -> list[Similar]:
    """Those of the entries that may be seen, best first."""
    entries = read_entries(session, scope, list(near.places)) if near.places else {}
    return [near.of(entries[id_]) for id_ in near.places if id_ in entries]
