"""The piece of a text that shows why it was found, on one line."""

import bisect
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 240
"""How many code points of a text a snippet shows at most, the dots at its ends not counted."""

_DOTS = "…"
_SPACES = re.compile(r"\s+")
_INK = re.compile(r"\S")
_WORD = re.compile(r"\S+")
_JOINER = "\u200d"
_FLAGS = re.compile("[\U0001f1e6-\U0001f1ff]+\\Z")
_MAX_WORD = 32
_MAX_MARKS = 64
_BEFORE = 4  # a quarter of the width stands before the first highlight
_READ = 8  # how many times its width of the text a snippet is made of, for runs of white space shrink

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Snippet:
    """One line of plain text; each highlight is a range of its code points, in order, without overlaps."""

    text: str
    highlights: tuple[Span, ...]


def snippet(
    text: str, spans: Sequence[Span] = (), *, piece: Span | None = None, width: int = WIDTH
) -> Snippet:
    """What surrounds the densest of the spans, or the beginning of the piece, or that of the text.

    Spans and piece are ranges of code points of the text, which should be composed. The snippet is cut
    between words where there are any, and never between a character and the marks on it.
    """
    spans = sorted((first, min(end, len(text))) for first, end in spans if first < min(end, len(text)))
    if spans:
        chosen = _densest(spans, width)
        start = max(0, chosen - width // _BEFORE)
    else:
        chosen = start = min(max(piece[0], 0), len(text)) if piece else 0
    # White space before a highlight counts as one, so more of the text may fit than the width says.
    start = _start(text, start, chosen, min(_MAX_WORD, width // _BEFORE))
    line, offsets = _one_line(text, start, start + width * _READ)
    cut = _end(line, width)
    more = cut < len(line) or _INK.search(text, start + width * _READ) is not None
    shown = line[:cut].rstrip()
    before = _DOTS if _INK.search(text, 0, start) else ""
    highlights = _highlights(spans, offsets, len(shown), len(before))
    return Snippet(before + shown + (_DOTS if more else ""), highlights)


def _densest(spans: Sequence[Span], width: int) -> int:
    """Where the first of the most spans begins that fit into three quarters of the width."""
    room = width - width // _BEFORE
    best = most = end = 0
    for first, span in enumerate(spans):
        while end < len(spans) and spans[end][1] <= span[0] + room:
            end += 1
        if end - first > most:
            best, most = first, end - first
    return spans[best][0]


def _start(text: str, start: int, chosen: int, reach: int) -> int:
    """The beginning of a word close behind the start, or close before it, or a place between characters."""
    if start == 0 or text[start - 1].isspace():
        return start
    space = _SPACES.search(text, start, min(chosen, start + reach))
    if space:
        return space.end()
    for at in range(start, max(0, start - reach), -1):
        if text[at - 1].isspace():
            return at
    return _apart(text, start)


def _end(line: str, width: int) -> int:
    """Where the line is cut: before a space close to its width, or else between characters."""
    if len(line) <= width:
        return len(line)
    space = line.rfind(" ", max(0, width - _MAX_WORD), width + 1)
    return space if space > 0 else _apart(line, width) or width


def _apart(text: str, at: int) -> int:
    """The nearest place before this one, or this one, that is not within a character and its marks."""
    for place in range(at, max(0, at - _MAX_MARKS), -1):
        if place == len(text) or not _is_within(text, place):
            return place
    # At the beginning there is always a place; further away than that is no writing.
    return 0 if at < _MAX_MARKS else at


def _is_within(text: str, at: int) -> bool:
    return _continues(text[at]) or text[at - 1] == _JOINER or _splits_flag(text, at)


def _continues(char: str) -> bool:
    return (
        unicodedata.category(char)[0] == "M"
        or char == _JOINER
        or "\U0001f3fb" <= char <= "\U0001f3ff"  # tones of skin
        or "\U000e0020" <= char <= "\U000e007f"  # tags of flags
        or "\u1160" <= char <= "\u11ff"  # vowels and finals of Hangul
    )


def _splits_flag(text: str, at: int) -> bool:
    """Whether this is the middle of a pair of regional indicators."""
    before = _FLAGS.search(text[max(0, at - _MAX_MARKS) : at])
    return before is not None and _FLAGS.match(text[at]) is not None and len(before[0]) % 2 == 1


def _one_line(text: str, start: int, end: int) -> tuple[str, list[int]]:
    """The text with one space for each run of white space, and where each of its characters was."""
    chars: list[str] = []
    offsets: list[int] = []
    end = behind = min(end, len(text))
    for word in _WORD.finditer(text, start, end):
        if chars:
            chars.append(" ")
            offsets.append(behind)
        first, behind = word.span()
        chars.append(word[0])
        offsets.extend(range(first, behind))
    if chars and behind < end:
        chars.append(" ")
        offsets.append(behind)
    return "".join(chars), offsets


def _highlights(spans: Sequence[Span], offsets: list[int], shown: int, moved: int) -> tuple[Span, ...]:
    """The spans as ranges of the line, as far as it is shown, joined where they overlap."""
    found: list[Span] = []
    for first, end in spans:
        begin = bisect.bisect_left(offsets, first)
        behind = min(bisect.bisect_left(offsets, end), shown)
        if begin >= behind:
            continue
        if found and begin + moved < found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], behind + moved))
        else:
            found.append((begin + moved, behind + moved))
    return tuple(found)
