"""Right-to-left text: which parts of a paragraph run which way, and their order on a line.

The implicit part of the Unicode bidi algorithm (UAX #9, rules W1 to I2 and L2), in linear time. Explicit
embeddings, overrides and isolates count for nothing: they can make a text show what it does not say.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Protocol, TypeVar

_RTL = re.compile("[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]")
_STRONG = re.compile(r"[^\W\d_]")
_CARRIED = frozenset(
    {"", "NSM", "BN", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
)  # classes that take the one before them
_NEUTRAL = frozenset({"B", "S", "WS", "ON", "ES", "ET", "CS"})
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_BRACKETS.values())
_MAX_OPEN = 63  # as the standard has it


class Leveled(Protocol):
    """Something with a bidi level: even runs to the right, odd to the left."""

    @property
    def level(self) -> int:
        """The level."""


T = TypeVar("T", bound=Leveled)


def has_rtl(text: str) -> bool:
    """Whether any letter of the text belongs to a right-to-left script."""
    return _RTL.search(text) is not None


def reads_rtl(text: str) -> bool:
    """Whether the first letter of the text belongs to a right-to-left script."""
    first = _STRONG.search(text)
    return first is not None and _RTL.match(first.group()) is not None


def levels(text: str, *, rtl: bool) -> Sequence[int] | None:
    """The bidi level of every character, or None where all of it runs from left to right."""
    if not rtl and not has_rtl(text):
        return None
    base = "R" if rtl else "L"
    classes = [unicodedata.bidirectional(char) for char in text]
    _resolve_strong(classes, base)
    _resolve_separators(classes)
    _resolve_numbers(classes, base)
    _resolve_brackets(text, classes, base)
    _resolve_neutrals(classes, base)
    if rtl:
        return [1 if kind == "R" else 2 for kind in classes]
    return [{"L": 0, "R": 1}.get(kind, 2) for kind in classes]


def visual_order(items: list[T]) -> list[T]:
    """The items of a line from left to right (rule L2)."""
    top = max((item.level for item in items), default=0)
    for level in range(top, 0, -1):
        ordered: list[T] = []
        for high, group in groupby(items, lambda item, level=level: item.level >= level):  # type: ignore[misc]
            members = list(group)
            ordered += reversed(members) if high else members
        items = ordered
    return items


def _resolve_strong(classes: list[str], base: str) -> None:
    """W1 to W3: marks follow their letter, digits after Arabic letters are Arabic, AL becomes R."""
    before, strong = base, base
    for at, kind in enumerate(classes):
        resolved = before if kind in _CARRIED else kind
        if resolved == "EN" and strong == "AL":
            resolved = "AN"
        if resolved in {"L", "R", "AL"}:
            strong = resolved
        classes[at] = before = resolved
    classes[:] = ["R" if kind == "AL" else kind for kind in classes]


def _resolve_separators(classes: list[str]) -> None:
    """W4 to W6: `1,5` and `5 %` stay one number; other separators are neutral."""
    for at in range(1, len(classes) - 1):
        left, kind, right = classes[at - 1 : at + 2]
        if left == right and ((kind == "ES" and left == "EN") or (kind == "CS" and left in {"EN", "AN"})):
            classes[at] = left
    for start, end, kind in _stretches(classes):
        beside = {classes[start - 1] if start else "", classes[end] if end < len(classes) else ""}
        if kind == "ET" and "EN" in beside:
            classes[start:end] = ["EN"] * (end - start)


def _resolve_numbers(classes: list[str], base: str) -> None:
    """W7: digits after a left-to-right letter are like letters."""
    strong = base
    for at, kind in enumerate(classes):
        if kind in {"L", "R"}:
            strong = kind
        elif kind == "EN" and strong == "L":
            classes[at] = "L"


def _resolve_brackets(text: str, classes: list[str], base: str) -> None:
    """N0: both brackets of a pair go the way of what they enclose."""
    strengths = [_strength(kind) for kind in classes]
    before: list[str] = []
    last = base
    for strength in strengths:
        before.append(last)
        last = strength or last
    for start, end in _pairs(text, classes):
        inside = set(strengths[start + 1 : end]) - {""}
        if base in inside:
            classes[start] = classes[end] = base
        elif inside:
            opposite = inside.pop()
            classes[start] = classes[end] = opposite if before[start] == opposite else base


def _pairs(text: str, classes: list[str]) -> Iterator[tuple[int, int]]:
    opened: list[int] = []
    for at, char in enumerate(text):
        if char in _BRACKETS and classes[at] == "ON":
            if len(opened) == _MAX_OPEN:
                return
            opened.append(at)
        elif char in _CLOSING and classes[at] == "ON":
            match = next(
                (i for i in reversed(range(len(opened))) if _BRACKETS[text[opened[i]]] == char), None
            )
            if match is not None:
                yield opened[match], at
                del opened[match:]


def _resolve_neutrals(classes: list[str], base: str) -> None:
    """N1 and N2: what stands between two of a kind is of that kind, else it goes with the paragraph."""
    neutral = [kind in _NEUTRAL for kind in classes]
    start = 0
    for is_neutral, group in groupby(neutral):
        end = start + sum(1 for _ in group)
        if is_neutral:
            left = _strength(classes[start - 1]) if start else base
            right = _strength(classes[end]) if end < len(classes) else base
            classes[start:end] = [left if left == right else base] * (end - start)
        start = end


def _strength(kind: str) -> str:
    """L or R as neighbours see it; numbers count as R."""
    return {"L": "L", "R": "R", "EN": "R", "AN": "R"}.get(kind, "")


def _stretches(classes: list[str]) -> list[tuple[int, int, str]]:
    found, start = [], 0
    for kind, group in groupby(classes):
        end = start + sum(1 for _ in group)
        found.append((start, end, kind))
        start = end
    return found
