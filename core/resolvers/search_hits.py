"""What a page of hits shows: threads and messages as the caller may see them, and why they were found."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.db.records import Message, Thread, User
from core.resolvers.messages import load_messages
from core.resolvers.threads import load_threads
from core.search.entries import thread_text
from core.search.folding import composed
from core.search.patterns import OutOfTime, Span
from core.search.pieces import cut
from core.search.ranking import MatchedBy, RankedEntry, RankedThread
from core.search.snippets import Snippet, snippet

# Of the hits in one thread, how many are shown.
MOST_OF_A_THREAD = 3


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
class Highlighter:
    """Shows in texts why they were found: `spans` tells where a composed text matches, if text found it."""

    spans: Callable[[str], Sequence[Span]]
    piece_tokens: int

    def match(self, found: RankedEntry, message: Message | None, text: str) -> SearchMatch:
        """What was found in this text."""
        near = found.similar
        spans: Sequence[Span] = ()
        if found.text_hit is not None:
            with suppress(OutOfTime):  # a hit without its highlights is better than none
                spans = self.spans(composed(text))
        piece = self._place(text, near.piece) if near is not None and not spans else None
        return SearchMatch(
            message,
            snippet(composed(text), spans, piece=piece),
            found.matched_by,
            near.similarity if near is not None else None,
        )

    def _place(self, text: str, piece: int) -> Span | None:
        """Where the piece with this number is; None for the beginning."""
        if piece == 0:
            return None
        pieces = cut(text, self.piece_tokens)
        place = pieces[min(piece, len(pieces) - 1)]
        return place.start, place.end


def load_hits(
    session: Session, user: User, page: list[RankedThread], first: int, highlighter: Highlighter
) -> tuple[SearchHit, ...]:
    """The page's threads, the ranks of which begin at `first`; what may not be seen is left out."""
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
                matches.append(highlighter.match(entry, message, message.text))
            elif message_id is None:
                matches.append(highlighter.match(entry, None, thread_text(thread.title, thread.summary)))
        similarities = [match.similarity for match in matches if match.similarity is not None]
        hits.append(SearchHit(rank, thread, tuple(matches), max(similarities, default=None)))
    return tuple(hits)
