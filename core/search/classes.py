r"""Classes of characters with their Unicode meaning, as RE2 writes them inside square brackets.

RE2's own `\w`, `\d` and `\s` know ASCII only. A word is of letters, marks, numbers and the underscore.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from core.search.engine import NotCompiled, compiled
from core.search.folding import YO_OR_YE

Ranges = tuple[tuple[int, int], ...]

NOTHING = r"[^\x00-\x{10FFFF}]"
"""What RE2 takes for a character that there is not."""

_SPACES: Ranges = (
    (0x09, 0x0D),
    (0x1C, 0x20),
    (0x85, 0x85),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_PLANE = 0x10000


@dataclass(frozen=True, slots=True)
class Span:
    """The code points from `first` to `last`, both included."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Named:
    r"""A class with a name: `w`, `d`, `s`, their opposites in capitals, or a property such as `p{Greek}`."""

    name: str


Item = Span | Named


@dataclass(frozen=True, slots=True)
class Chars:
    """One character: of the items, or any but these; `fold` makes its case count for nothing."""

    items: tuple[Item, ...]
    negated: bool
    fold: bool


@cache
def word_ranges() -> Ranges:
    """All code points that are part of words; the gaps that Unicode has not filled yet are closed.

    It halves what a class costs, and such code points stand in no text that anybody wrote.
    """
    words = _ranges(r"\p{L}\p{M}\p{N}_")
    assigned = _ranges(r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Z}\p{C}")
    firsts = [first for first, _ in assigned]
    merged = [words[0]]
    for first, last in words[1:]:
        before = assigned[bisect.bisect_left(firsts, first) - 1]
        if before[1] <= merged[-1][1]:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def is_word(char: str) -> bool:
    """Whether the code point is part of words."""
    code = ord(char)
    ranges = word_ranges()
    at = bisect.bisect_right(ranges, (code, _LAST)) - 1
    return at >= 0 and ranges[at][1] >= code


def body(chars: Chars) -> str:
    """What RE2 wants between square brackets, with the sign of negation."""
    inside = "".join(
        _named(item.name) if isinstance(item, Named) else _span(item) for item in _with_yo(chars)
    )
    return "^" + inside if chars.negated else inside


def is_caseless(chars: Chars) -> bool:
    r"""Whether the class is made of `\w`, `\d`, `\s` and the like, which hold letters in both cases."""
    return all(isinstance(item, Named) and len(item.name) == 1 for item in chars.items)


def quoted(char: str) -> str:
    """One code point as RE2 takes it for itself, inside brackets and outside."""
    if char.isalnum() or ord(char) >= 0xA0:  # noqa: PLR2004 - no control character
        return char
    return "\\" + char if "!" <= char <= "~" else f"\\x{{{ord(char):x}}}"


def written(ranges: Ranges) -> str:
    """The ranges as RE2 wants them between square brackets."""
    return "".join(_span(Span(chr(first), chr(last))) for first, last in ranges)


def opposite(ranges: Ranges) -> Ranges:
    """Every code point that is in none of the ranges."""
    gaps = []
    start = 0
    for first, last in ranges:
        if start < first:
            gaps.append((start, first - 1))
        start = last + 1
    gaps.append((start, _LAST))
    return tuple(piece for gap in gaps for piece in _without_surrogates(*gap))


def is_property(name: str) -> bool:
    """Whether RE2 knows the property, such as `p{Cyrillic}` or `P{Lu}`."""
    try:
        compiled("\\" + name)
    except NotCompiled:
        return False
    return True


def _with_yo(chars: Chars) -> Iterator[Item]:
    """The items, and ё wherever there is the letter that is written for it, and the other way round."""
    yield from chars.items
    for pair in dict.fromkeys(YO_OR_YE.values()):
        held = [_holds(chars.items, char) for char in pair]
        if any(held) and not all(held):
            yield from (Span(char, char) for char in pair)


def _holds(items: tuple[Item, ...], char: str) -> bool:
    return any(isinstance(item, Span) and item.first <= char <= item.last for item in items)


@cache
def _named(name: str) -> str:
    match name.lower():
        case "w":
            ranges = word_ranges()
        case "s":
            ranges = _SPACES
        case "d":
            return f"\\{'p' if name == 'd' else 'P'}{{Nd}}"
        case _:
            return f"\\{name}"
    return written(ranges if name.islower() else opposite(ranges))


def _span(span: Span) -> str:
    if span.first == span.last:
        return quoted(span.first)
    return f"{quoted(span.first)}-{quoted(span.last)}"


def _without_surrogates(first: int, last: int) -> Iterator[tuple[int, int]]:
    if first < _SURROGATES.start:
        yield first, min(last, _SURROGATES.start - 1)
    if last >= _SURROGATES.stop:
        yield max(first, _SURROGATES.stop), last


def _ranges(inside: str) -> Ranges:
    pattern = compiled(f"[{inside}]+", fold=False)
    found: list[tuple[int, int]] = []
    for plane in range(0, _LAST, _PLANE):
        codes = range(plane, plane + _PLANE)
        every = "".join(chr(code) for code in codes if code not in _SURROGATES)
        for match in pattern.finditer(every):
            first, last = ord(match.group()[0]), ord(match.group()[-1])
            found.append((first, last))
    return tuple(found)
