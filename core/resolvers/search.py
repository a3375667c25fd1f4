"""Searching one's own history: by meaning, by words, by regular expression."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.orm import Session

from core.context import Context
from core.db.keyset import Slice, Window
from core.db.records import Message, Thread, User
from core.errors import InvalidQuery, Unavailable
from core.resolvers.messages import load_messages
from core.resolvers.search_scope import Searchable, SearchFilter, searchable
from core.resolvers.threads import load_threads
from core.search.entries import thread_text
from core.search.folding import composed
from core.search.matching import TextHits, find_pattern, find_words, word_spans
from core.search.patterns import OutOfTime, Span, compile_pattern, compile_words
from core.search.pieces import cut
from core.search.ranking import MatchedBy, RankedEntry, RankedThread, Similar, ranked
from core.search.scope import SearchScope, read_entries
from core.search.snippets import Snippet, snippet
from core.search.vectors import VectorsMissing
from core.search.visibility import load_entries, mask

EVERYTHING = SearchFilter()
BEST: Window[int] = Window()
LONGEST_QUERY = 10_000
# Threads that one search ranks, and the hits in each that are shown.
MOST_THREADS = 200
MOST_OF_A_THREAD = 3
_MOST_SIMILAR = 200


@dataclass(frozen=True, slots=True)
class _Finder:
    """What looks through texts in one mode, and shows where in a composed text something is."""

    find: Callable[[Session, SearchScope], TextHits]
    spans: Callable[[str], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class _Near:
    hits: tuple[Similar, ...]
    nearness: "Nearness | None"


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
        super().__init__("Search is switched off on this server")


class SemanticUnavailable(Unavailable):
    code = "SEMANTIC_SEARCH_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("Nothing is indexed for search by meaning yet; search by text or regular expression")


@dataclass(frozen=True, slots=True)
class SearchMatch:
    """A message that was found, or the thread's own title and summary if `message` is None."""

    message: Message | None
    snippet: Snippet
    matched_by: tuple[MatchedBy, ...]
    similarity: float | None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A thread that was found, with its best matches, best first; `similarity` is the best of all.

    `rank` counts from 0, whatever part of the hits is shown.
    """

    rank: int
    thread: Thread
    matches: tuple[SearchMatch, ...]
    similarity: float | None

    @property
    def matched_by(self) -> tuple[MatchedBy, ...]:
        """All that found any of the matches, meaning first."""
        return tuple(by for by in MatchedBy if any(by in match.matched_by for match in self.matches))


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
    until = time.monotonic() + ctx.settings.search_deadline_seconds
    start = 0 if window.after is None else window.after + 1
    end = MOST_THREADS if window.before is None else window.before
    threads_wanted = min(end, start + window.size + 1) if window.is_forward else end
    # In a thread: tables of Unicode's classes are made for the first one, which takes half a second.
    finder = await asyncio.to_thread(
        _finder, query, threads_wanted, until, is_pattern=is_pattern or mode is SearchMode.REGEX
    )
    found = await ctx.db.read(lambda session: searchable(session, user, wanted))
    if found is None:
        return SearchResults(Slice((), has_next=False, has_previous=False, total=0), is_partial=False)
    texts = TextHits((), is_partial=False)
    if mode is not SearchMode.SEMANTIC:
        texts = await ctx.db.read(lambda session: finder.find(session, found.scope))
    near = await _near_if_any(ctx, query, mode, found, wanted)
    similar = near.hits if near is not None else ()
    threads = ranked(similar, texts.hits)[:MOST_THREADS]
    part = threads[start:end]
    page = part[: window.size] if window.is_forward else part[-window.size :]
    first = start if window.is_forward else start + len(part) - len(page)
    hits = await ctx.db.read(
        lambda session: _shown(
            session, user, page, first=first, finder=finder, piece_tokens=ctx.search.embedder.piece_tokens
        )
    )
    return SearchResults(
        Slice(
            hits,
            has_next=first + len(page) < len(threads),
            has_previous=first > 0,
            total=None if window.is_forward else len(threads),
        ),
        is_partial=texts.is_partial or (mode.is_semantic and near is None),
        nearness=near.nearness if near is not None else None,
    )


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


def _finder(query: str, threads: int, until: float, *, is_pattern: bool) -> _Finder:
    """Compiled before anything is read. Raises `InvalidQuery`."""
    if is_pattern:
        pattern = compile_pattern(query)
        return _Finder(
            lambda session, scope: find_pattern(
                session, scope, pattern, threads=threads, per_thread=MOST_OF_A_THREAD, until=until
            ),
            lambda text: pattern.spans(text, until=until),
        )
    words = compile_words(query)
    return _Finder(
        lambda session, scope: find_words(session, scope, words, threads=threads, until=until),
        lambda text: word_spans(text, words, until=until),
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
            lambda after: ctx.db.read(lambda session: load_entries(session, number, after, live.number)),
        )
    except VectorsMissing:
        await ctx.search.replace(live)
        raise
    allowed_rows = mask(rows.rows, wanted.of_entries, found.threads, are_hidden=found.are_hidden)
    best = await rows.score(vector, allowed_rows, most=_MOST_SIMILAR)
    if not len(best.similarities):
        return _Near((), None)
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
    entries = await ctx.db.read(lambda session: read_entries(session, found.scope, list(places)))
    hits = tuple(Similar(entries[entry], *place) for entry, place in places.items() if entry in entries)
    return _Near(hits, Nearness(highest, lowest))


def _shown(
    session: Session, user: User, page: list[RankedThread], *, first: int, finder: _Finder, piece_tokens: int
) -> tuple[SearchHit, ...]:
    """The page's threads as the caller may see them now: what vanished meanwhile is left out."""
    best = {thread.thread_id: thread.entries[:MOST_OF_A_THREAD] for thread in page}
    ids = [entry.entry.message_id for entries in best.values() for entry in entries]
    threads = load_threads(session, user, list(best))
    messages = load_messages(session, user, [id_ for id_ in ids if id_ is not None])
    hits = []
    for rank, (thread_id, entries) in enumerate(best.items(), first):
        thread = threads.get(thread_id)
        if thread is None:
            continue
        matches = []
        for entry in entries:
            message_id = entry.entry.message_id
            message = messages.get(message_id) if message_id is not None else None
            if message is not None:
                matches.append(_match(entry, message, message.text, finder, piece_tokens))
            elif message_id is None:
                text = thread_text(thread.title, thread.summary)
                matches.append(_match(entry, None, text, finder, piece_tokens))
        similarities = [match.similarity for match in matches if match.similarity is not None]
        hits.append(SearchHit(rank, thread, tuple(matches), max(similarities, default=None)))
    return tuple(hits)


def _match(
    found: RankedEntry, message: Message | None, text: str, finder: _Finder, piece_tokens: int
) -> SearchMatch:
    near = found.similar
    spans: Sequence[Span] = ()
    if found.text_hit is not None:
        with suppress(OutOfTime):  # a hit without its highlights is better than none
            spans = finder.spans(composed(text))
    piece = _place(text, near.piece, piece_tokens) if near is not None and not spans else None
    return SearchMatch(
        message,
        snippet(composed(text), spans, piece=piece),
        found.matched_by,
        near.similarity if near is not None else None,
    )


def _place(text: str, piece: int, piece_tokens: int) -> Span | None:
    """Where the piece with this number is; None for the beginning."""
    if piece == 0:
        return None
    pieces = cut(text, piece_tokens)
    place = pieces[min(piece, len(pieces) - 1)]
    return place.start, place.end
