"""Regular expressions and phrases, ready to be looked for in texts.

Nothing here holds up other threads for long, however long the text and whatever the pattern: a text is
matched window by window, and RE2 works while other threads run. It is meant for worker threads.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from core.search.boundaries import after_units, doubled_surplus, rewritten
from core.search.classes import is_word
from core.search.engine import PROBE_MEMORY, Compiled, NotCompiled, compiled
from core.search.folding import composed, folded
from core.search.literals import Condition, required
from core.search.parsing import parse
from core.search.syntax import InvalidPattern, Node
from core.search.translation import TooLarge, can_be_empty, sees_words, translated, without_words
from core.search.words import words_of

WINDOW = 16_384
OVERLAP = 4_096
"""Of texts longer than a window, matches longer than the overlap are found while the pattern is fast."""

MOST_SPANS = 20
"""How many matches of a text are told unless somebody asks for more."""

_FAST_SECONDS = 0.1
_MAX_EMPTY = 2_000

Span = tuple[int, int]

_CONTINUING = bytes(range(0x80, 0xC0))  # in UTF-8, all bytes of a character but the first
_EMPTY: Span = (0, 0)


class OutOfTime(Exception):
    """The deadline has passed in the middle of a text."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression. Offsets count the code points of the composed text."""

    required: Condition | None
    """What the folded text holds wherever the pattern matches; None: anything may match."""

    _search: Compiled = field(repr=False)
    _units: bool = field(default=False, repr=False)
    _starting: Compiled | None = field(default=None, repr=False)
    # The pattern without word boundaries, which needs no units: it is quick to tell where there is nothing.
    _loose: Compiled | None = field(default=None, repr=False)

    def matches(self, text: str, *, until: float | None = None) -> bool:
        """Whether the text has a match, be it an empty one; OutOfTime after `until` of time.monotonic()."""
        text = composed(text)
        if len(text) <= WINDOW:  # most are, so it is worth to say this twice
            if self._loose is not None and not self._loose.search(*_data(text, 0, len(text), str)):
                return False
            return self._matches(text, 0, len(text))
        started = time.monotonic()
        for start, end in self._windows(text, until):
            if self._matches(text, start, end):
                return True
        # What a window cannot hold is looked for in one piece if that is sure to be over soon.
        if time.monotonic() - started < _FAST_SECONDS:
            return self._matches(text, 0, len(text))
        return False

    def spans(self, text: str, *, most: int = MOST_SPANS, until: float | None = None) -> list[Span]:
        """Where the first matches are, in order; OutOfTime after `until` of time.monotonic().

        Empty ones are left out. If there are no others, (0, 0) stands for them; and so it does where a
        pattern has so many of them before the others that looking on would take long.
        """
        text = composed(text)
        found: list[Span] = []
        empty = 0
        for start, end in self._windows(text, until):
            first = max(start, found[-1][1]) if found else start
            for span in self._spans(text, first, end):
                if span[0] == span[1]:
                    empty += 1
                elif span[0] >= end - OVERLAP and end < len(text):
                    break  # the next window sees all of it
                else:
                    found.append(span)
                if len(found) == most:
                    return found
                if empty == _MAX_EMPTY:
                    break
            if empty == _MAX_EMPTY:
                break
        nothing = not found and not empty and len(text) <= WINDOW and self._starting is None
        if found or nothing or not self.matches(text, until=until):
            return found
        return [_EMPTY] if empty else list(islice(self._spans(text, 0, len(text)), 1))

    def _windows(self, text: str, until: float | None) -> Iterator[Span]:
        """The windows of the text that may have a match."""
        for start, end in _windows(text):
            if until is not None and time.monotonic() > until:
                raise OutOfTime
            if self._loose is None or self._loose.search(*_data(text, start, end, str)):
                yield start, end

    def _matches(self, text: str, start: int, end: int) -> bool:
        data, first, last = self._data(text, start, end)
        if self._starting is not None:
            return self._starting.match(data, first, last) is not None
        return self._search.search(data, first, last) is not None

    def _spans(self, text: str, start: int, end: int) -> Iterator[Span]:
        data, at, last = self._data(text, start, end)
        measured, place = at, start
        while at <= last and (match := self._search.search(data, at, last)):
            first, behind = match.span()
            if first == behind:
                yield _EMPTY
                at = _next(data, behind)
                continue
            place += self._length(data, measured, first)
            begin = place
            place += self._length(data, first, behind)
            measured = at = behind
            yield (begin, place)

    def _data(self, text: str, start: int, end: int) -> tuple[bytes, int, int]:
        return _data(text, start, end, rewritten if self._units else str)

    def _length(self, data: bytes, first: int, last: int) -> int:
        """How many characters of the text these bytes stand for."""
        length = surplus = 0
        for at in range(first, last, WINDOW):
            part = data[at : min(at + WINDOW, last)]
            length += len(part.translate(None, _CONTINUING))
            surplus += doubled_surplus(part) if self._units else 0
        return length - surplus // 2


@dataclass(frozen=True, slots=True)
class Word:
    """A word, or a quoted phrase, that is found inside of longer words, too."""

    text: str
    required: Condition | None
    """What the folded text holds wherever the word is found; None: it is too short to tell."""

    _pattern: Pattern = field(repr=False)
    # What to find in the folded text; None: only the pattern can tell, as with a phrase.
    _folded: str | None = field(repr=False)

    def spans(self, text: str, *, most: int = MOST_SPANS, until: float | None = None) -> list[Span]:
        """Where the first of them are; OutOfTime after `until`."""
        return self._pattern.spans(text, most=most, until=until)

    def spans_in(
        self, text: str, folded_text: str, *, most: int = MOST_SPANS, until: float | None = None
    ) -> list[Span]:
        """The same, of a composed text that has been folded already: for many words in one text."""
        # Of one length, each code point stands for one of the text: then finding it is all, and quick.
        if self._folded is None or len(folded_text) != len(text) or len(text) > WINDOW:
            return self.spans(text, most=most, until=until)
        found: list[Span] = []
        length, at = len(self._folded), folded_text.find(self._folded)
        while at >= 0 and len(found) < most:
            found.append((at, at + length))
            at = folded_text.find(self._folded, at + length)
        return found

    def is_whole(self, text: str, span: Span) -> bool:
        """Whether the span of the composed text is no part of a longer word."""
        first, end = span
        return not (_is_inside(text, first) or _is_inside(text, end))


def compile_pattern(source: str) -> Pattern:
    """A regular expression as Python and PCRE write it; InvalidPattern says what is wrong, or impossible."""
    return _pattern(parse(source))


def compile_words(phrase: str) -> tuple[Word, ...]:
    """The words of a phrase, at most 32; what stands in quotation marks counts as one. InvalidPhrase.

    Those that differ by case or ё alone are one. More words than that, and more than 64 characters of one,
    are not looked at.
    """
    patterns = {text: _pattern(node) for text, node in words_of(phrase).items()}
    return tuple(Word(text, pattern.required, pattern, _findable(text)) for text, pattern in patterns.items())


def _findable(word: str) -> str | None:
    """The word folded, unless it takes a pattern: spaces may be of any kind, and `ß` is not `ss`."""
    form = folded(word)
    return form if " " not in form and len(form) == len(word) else None


def _pattern(node: Node) -> Pattern:
    units = sees_words(node)
    loose = _loose(node) if units else None
    try:
        source = translated(node, units=units)
        search = _engine(source)
    except TooLarge:
        if units:
            raise
        # In units, classes of words are a hundred times smaller; only making them of each text takes time.
        units = True
        source = translated(node, units=True)
        search = _engine(source)
    starting = compiled(after_units(source)) if units and can_be_empty(node) else None
    return Pattern(required(node), search, units, starting, loose)


def _loose(node: Node) -> Compiled | None:
    try:
        return _engine(translated(without_words(node), units=False))
    except TooLarge:
        return None


def _engine(source: str) -> Compiled:
    try:
        compiled(source, memory=PROBE_MEMORY)
        return compiled(source)
    except NotCompiled as error:
        if "too large" in str(error) or "repetition size" in str(error):
            raise TooLarge from None
        raise InvalidPattern(str(error)) from None


def _data(text: str, start: int, end: int, form: Callable[[str], str]) -> tuple[bytes, int, int]:
    """What RE2 gets, with a character before and behind for the edges to see, and where the rest of it is."""
    if not start and end == len(text) <= WINDOW:
        data = form(text).encode()
        return data, 0, len(data)
    before = form(text[start - 1 : start]).encode() if start else b""
    pieces = [form(text[at : min(at + WINDOW, end)]).encode() for at in range(start, end, WINDOW)]
    behind = form(text[end : end + 1]).encode()
    data = b"".join([before, *pieces, behind])
    return data, len(before), len(data) - len(behind)


def _windows(text: str) -> Iterator[Span]:
    start = 0
    while start + WINDOW < len(text):
        yield start, start + WINDOW
        start += WINDOW - OVERLAP
    yield start, len(text)


def _next(data: bytes, at: int) -> int:
    """Where the character behind this one begins."""
    at += 1
    while at < len(data) and data[at] in _CONTINUING:
        at += 1
    return at


def _is_inside(text: str, at: int) -> bool:
    return 0 < at < len(text) and is_word(text[at - 1]) and is_word(text[at])
