"""A regular expression for RE2, which answers in linear time: the same matches, written in its own terms.

RE2's classes and word boundaries are those of ASCII, it knows fewer escapes, and does not know that ё is
often written without its dots. What it cannot do at all, the parser has refused.
"""

from dataclasses import dataclass

from core.search.boundaries import any_in_units, in_units, text_in_units
from core.search.classes import Chars, Named, body, is_caseless, quoted
from core.search.folding import YO_OR_YE
from core.search.syntax import AnyChar, Choice, Edge, InvalidPattern, Node, Repeat, Sequence, Text

MAX_STEPS = 15_000
"""How many steps a pattern may take in the engine, repeats written out: about 10 ms to compile."""

# Large classes take RE2 longer to read than to compile, and no other thread runs in the meantime.
_MAX_SOURCE = 40_000
_MAX_PROPERTIES = 40
_CLASS_STEPS = 8
_NAMED_STEPS = 12


class TooLarge(InvalidPattern):
    """The pattern is well formed, and has too many steps when its repeats are written out."""

    def __init__(self) -> None:
        super().__init__("it is too large; use smaller repeats or fewer alternatives")


@dataclass(frozen=True, slots=True)
class _Writer:
    """`units` writes for a text in units, where word boundaries are seen; see boundaries.py."""

    units: bool

    def write(self, node: Node, *, last: bool) -> str:
        """The node in RE2's terms; `last` if nothing can follow it."""
        match node:
            case Text(text, fold):
                written = _cased("".join(self._char(char, fold=fold) for char in text), fold=fold)
            case Chars():
                fold = node.fold and not is_caseless(node)
                written = _cased(in_units(node) if self.units else f"[{body(node)}]", fold=fold)
            case AnyChar(newline):
                written = any_in_units(newline=newline) if self.units else "(?s:.)" if newline else "."
            case Edge():
                # Before a last newline it is the end, too, which is told by taking the newline along.
                written = (Edge.TEXT_END if node is Edge.LAST_LINE_END and not last else node).value
            case Sequence(parts):
                written = self._sequence(parts, last=last)
            case Choice(options):
                written = f"(?:{'|'.join([self.write(option, last=last) for option in options])})"
            case Repeat(part, least, most, lazy):
                counts = f"{{{least},{'' if most is None else most}}}"
                written = f"(?:{self.write(part, last=False)}){counts}{'?' if lazy else ''}"
        return written

    def _sequence(self, parts: tuple[Node, ...], *, last: bool) -> str:
        end = len(parts) - 1
        written = []
        for at, part in enumerate(parts):
            written.append(self.write(part, last=last and at == end))
        return "".join(written)

    def _char(self, char: str, *, fold: bool) -> str:
        if self.units:
            return text_in_units(char, fold=fold)
        return f"[{YO_OR_YE[char]}]" if char in YO_OR_YE else quoted(char)


def translated(node: Node, *, units: bool) -> str:
    """The pattern for RE2, which must compare without case; for a text in units, or as it is. TooLarge."""
    if steps(node) > MAX_STEPS:
        raise TooLarge
    source = _Writer(units).write(node, last=True)
    if len(source) > _MAX_SOURCE or source.lower().count(r"\p{") > _MAX_PROPERTIES:
        raise TooLarge
    return source


def steps(node: Node) -> int:
    """A lower bound of the steps that the pattern takes in the engine, counted before it is written."""
    match node:
        case Text(text):
            return len(text)
        case Chars(items):
            named = any(isinstance(item, Named) for item in items)
            return (_NAMED_STEPS if named else _CLASS_STEPS) if items else 1
        case Sequence(parts) | Choice(parts):
            total = 0
            for part in parts:
                total += steps(part)
            return max(1, total)
        case Repeat(part, least, most):
            return steps(part) * max(least if most is None else most, 1)
        case _:
            return 1


def sees_words(node: Node) -> bool:
    """Whether the pattern asks for word boundaries, so that it needs a text in units."""
    match node:
        case Edge.WORD | Edge.NO_WORD:
            return True
        case Sequence(parts) | Choice(parts):
            return any(map(sees_words, parts))
        case Repeat(part):
            return sees_words(part)
        case _:
            return False


def without_words(node: Node) -> Node:
    """The pattern without word boundaries: it matches wherever the pattern itself does, and elsewhere."""
    match node:
        case Edge.WORD | Edge.NO_WORD:
            loose: Node = Text("", fold=True)
        case Sequence(parts):
            loose = Sequence(tuple(map(without_words, parts)))
        case Choice(options):
            loose = Choice(tuple(map(without_words, options)))
        case Repeat(part, least, most, lazy):
            loose = Repeat(without_words(part), least, most, lazy)
        case _:
            loose = node
    return loose


def can_be_empty(node: Node) -> bool:
    """Whether the pattern may match without taking a character."""
    match node:
        case Edge():
            return True
        case Text(text):
            return not text
        case Sequence(parts):
            return all(map(can_be_empty, parts))
        case Choice(options):
            return any(map(can_be_empty, options))
        case Repeat(part, least, _):
            return least == 0 or can_be_empty(part)
        case _:
            return False


def _cased(written: str, *, fold: bool) -> str:
    return written if fold else f"(?-i:{written})"
