"""What every match of a pattern must contain, so that an index of trigrams can tell where to look."""

import unicodedata
from dataclasses import dataclass
from itertools import product

from core.search.classes import Chars, Span
from core.search.folding import folded
from core.search.syntax import Choice, Edge, Node, Repeat, Sequence, Text

MIN_LENGTH = 3
"""The shortest literal that an index of trigrams can look for."""

MAX_LITERALS = 64
"""How many literals a condition may hold; parts of a larger one are left out, so it finds more."""

_MAX_LITERAL = 100
_MAX_SPELLINGS = 24
_MAX_CLASS = 8


@dataclass(frozen=True, slots=True)
class Literal:
    """The folded text holds this, which is folded."""

    text: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of two or more conditions are met."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of two or more conditions is met."""

    conditions: "tuple[Condition, ...]"


Condition = Literal | AllOf | AnyOf

_Spellings = frozenset[str]
_EMPTY: _Spellings = frozenset({""})


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the matches of a node.

    If `whole`, each is one of the `begins` and all else is void. Otherwise each begins with one of the
    `begins`, ends with one of the `ends`, and meets `inner`.
    """

    begins: _Spellings
    ends: _Spellings = _EMPTY
    inner: Condition | None = None
    whole: bool = False


_UNKNOWN = _Known(_EMPTY)


def required(node: Node) -> Condition | None:
    """The condition that the folded text meets wherever the pattern matches; None if there is none."""
    return _condition(_known(node))


def all_of(conditions: list[Condition | None]) -> Condition | None:
    """All that is required, within the limit of size: the shortest literals are left out first."""
    kept: list[Condition] = []
    room = MAX_LITERALS
    unique = dict.fromkeys(condition for condition in conditions if condition is not None)
    for condition in sorted(unique, key=_worth, reverse=True):
        size = _size(condition)
        if size <= room:
            room -= size
            kept.extend(condition.conditions if isinstance(condition, AllOf) else [condition])
    kept = list(dict.fromkeys(kept))
    return AllOf(tuple(kept)) if len(kept) > 1 else kept[0] if kept else None


def any_of(conditions: list[Condition | None]) -> Condition | None:
    """What is required if one of these is; None if one of them requires nothing, or they are too large."""
    kept: list[Condition] = []
    for condition in dict.fromkeys(conditions):
        if condition is None:
            return None
        kept.extend(condition.conditions if isinstance(condition, AnyOf) else [condition])
    kept = list(dict.fromkeys(kept))
    if sum(map(_size, kept)) > MAX_LITERALS:
        return None
    return AnyOf(tuple(kept)) if len(kept) > 1 else kept[0] if kept else None


def _known(node: Node) -> _Known:
    match node:
        case Text(text):
            known = _of_text(text)
        case Chars():
            known = _of_chars(node)
        case Edge():
            known = _of_text("")
        case Sequence(parts):
            known = _of_sequence([_known(part) for part in parts])
        case Choice(options):
            known = _of_choice([_known(option) for option in options])
        case Repeat(part, least, most):
            known = _of_repeat(_known(part), least, most)
        case _:
            known = _UNKNOWN
    return known


def _of_text(text: str) -> _Known:
    if len(text) == 1:
        return _Known(frozenset({folded(text)}), whole=True) if _is_comparable(text) else _UNKNOWN
    return _of_sequence([_of_text(char) for char in text])


def _of_chars(chars: Chars) -> _Known:
    if chars.negated:
        return _UNKNOWN
    found: set[str] = set()
    for item in chars.items:
        if not isinstance(item, Span) or ord(item.last) - ord(item.first) >= _MAX_CLASS * 2:
            return _UNKNOWN
        found.update(map(chr, range(ord(item.first), ord(item.last) + 1)))
    if not all(map(_is_comparable, found)):
        return _UNKNOWN
    spellings = frozenset(map(folded, found))
    return _Known(spellings, whole=True) if len(spellings) <= _MAX_CLASS else _UNKNOWN


def _of_sequence(parts: list[_Known]) -> _Known:
    runs: list[_Spellings] = [_EMPTY]
    inner: list[Condition | None] = []
    for part in parts:
        runs[-1:] = _joined(runs[-1], part.begins)
        if not part.whole:
            inner.append(part.inner)
            runs.append(part.ends)
    if len(runs) == 1:
        return _Known(runs[0], whole=True)
    inner.extend(_spelled(run) for run in runs[1:-1])
    return _Known(runs[0], runs[-1], all_of(inner))


def _of_choice(options: list[_Known]) -> _Known:
    if all(option.whole for option in options):
        spellings = frozenset[str]().union(*[option.begins for option in options])
        if len(spellings) <= _MAX_SPELLINGS:
            return _Known(spellings, whole=True)
    return _Known(_EMPTY, _EMPTY, any_of([_condition(option) for option in options]))


def _of_repeat(part: _Known, least: int, most: int | None) -> _Known:
    if least == 0:
        return _of_choice([part, _Known(_EMPTY, whole=True)]) if most == 1 else _UNKNOWN
    if least == most and least <= MAX_LITERALS:
        return _of_sequence([part] * least)
    rest = _Known(_EMPTY, part.begins if part.whole else part.ends)
    return _of_sequence([part] * min(least, MIN_LENGTH) + [rest])


def _joined(before: _Spellings, after: _Spellings) -> list[_Spellings]:
    """The two as one run, or as two where one would have too many spellings or too long ones."""
    longest = max(map(len, before)) + max(map(len, after))
    if len(before) * len(after) > _MAX_SPELLINGS or longest > _MAX_LITERAL:
        return [before, after]
    return [frozenset(first + second for first, second in product(before, after))]


def _condition(known: _Known) -> Condition | None:
    if known.whole:
        return _spelled(known.begins)
    return all_of([_spelled(known.begins), known.inner, _spelled(known.ends)])


def _spelled(spellings: _Spellings) -> Condition | None:
    if any(len(spelling) < MIN_LENGTH for spelling in spellings):
        return None
    return any_of([Literal(spelling) for spelling in sorted(spellings)])


def _is_comparable(char: str) -> bool:
    """Whether RE2 and `folded` agree on which characters are the same but for case.

    The one may know newer letters than the other; and no database looks for NUL.
    """
    return char != "\0" and unicodedata.category(char) != "Cn"


def _size(condition: Condition) -> int:
    return 1 if isinstance(condition, Literal) else sum(map(_size, condition.conditions))


def _worth(condition: Condition) -> int:
    """How much a condition narrows: as the shortest literal that may be all there is."""
    match condition:
        case Literal(text):
            return len(text)
        case AllOf(conditions):
            return max(map(_worth, conditions))
        case AnyOf(conditions):
            return min(map(_worth, conditions))
