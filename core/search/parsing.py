"""A regular expression as Python and PCRE write it, taken apart by recursive descent."""

import string
from dataclasses import dataclass, replace

from core.search.classes import Chars, Item, Named, Span
from core.search.escapes import Reader, read_escape
from core.search.folding import composed
from core.search.syntax import AnyChar, Choice, Edge, InvalidPattern, Node, Repeat, Sequence, Text

MAX_LENGTH = 1_000
"""How long a regular expression may be, in code points."""

_MAX_DEPTH = 50
_MAX_REPEATS = 1_000

# In the order of trying: longer beginnings come before their own beginnings.
_IMPOSSIBLE = (
    ("(?=", "a look-ahead"),
    ("(?!", "a negative look-ahead"),
    ("(?<=", "a look-behind"),
    ("(?<!", "a negative look-behind"),
    ("(?>", "an atomic group"),
    ("(?(", "a conditional"),
    ("(?P=", "a back-reference"),
    ("(?P>", "a recursion"),
    ("(?&", "a recursion"),
    ("(?R", "a recursion"),
    ("(?|", "a branch reset"),
    ("(*", "a verb"),
)


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = True
    lines: bool = False
    newlines: bool = False


def parse(source: str) -> Node:
    """The parts of a regular expression, by default without differences of case; InvalidPattern."""
    if len(source) > MAX_LENGTH:
        raise InvalidPattern(f"it has {len(source)} characters, and may have {MAX_LENGTH}")
    if not source:
        raise InvalidPattern("it is empty")
    for at, char in enumerate(source):
        if char == "\0" or "\ud800" <= char <= "\udfff":
            raise InvalidPattern(f"no text holds U+{ord(char):04X} (character {at + 1})")
    return _Parser(composed(source)).whole()


class _Parser(Reader):
    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.flags = _Flags()
        self.depth = 0

    def whole(self) -> Node:
        node = self.choice()
        if self.at < len(self.source):
            self.refuse("a closing parenthesis without an opening one", self.at)
        return node

    def choice(self) -> Node:
        options = [self.sequence()]
        while self.accept("|"):
            options.append(self.sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.source) and not self.peek("|") and not self.peek(")"):
            start = self.at
            part = self.atom(start)
            if part is not None:
                parts.append(self.repeated(part))
        return _joined(parts)

    def atom(self, start: int) -> Node | None:
        if self.peek("("):
            return self.group(start)
        char = self.take()
        if char in "*+?":
            self.refuse(f"{char} has nothing to repeat", start)
        if char == "{":
            self.at = start
            if self.counts() is not None:
                self.refuse(f"{self.source[start : self.at]} has nothing to repeat", start)
            self.at = start + 1
        if char == "[":
            return self.chars(start)
        return self.escape() if char == "\\" else self.plain(char)

    def plain(self, char: str) -> Node:
        match char:
            case ".":
                return AnyChar(self.flags.newlines)
            case "^":
                return Edge.LINE_START if self.flags.lines else Edge.TEXT_START
            case "$":
                return Edge.LINE_END if self.flags.lines else Edge.LAST_LINE_END
        return Text(char, self.flags.fold)

    def escape(self) -> Node:
        found = read_escape(self, inside=False)
        if isinstance(found, Named):
            return Chars((found,), negated=False, fold=self.flags.fold)
        return found if isinstance(found, Edge) else Text(composed(found), self.flags.fold)

    def group(self, start: int) -> Node | None:
        for beginning, what in _IMPOSSIBLE:
            if self.accept(beginning):
                self.refuse_impossible(what, start)
        self.take()
        if self.accept("?#"):
            self.take_through(")", start)
            return None
        outer = self.flags
        if self.accept("?P<") or self.accept("?<"):
            name = self.take_through(">", start)
            if not name.isidentifier():
                self.refuse(f"{name!r} is no name for a group", start)
        elif self.accept("?") and not self.accept(":") and not self.set_flags(start):
            return None
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            self.refuse(f"groups are nested deeper than {_MAX_DEPTH}", start)
        inner = self.choice()
        if not self.accept(")"):
            self.refuse("a parenthesis is not closed", start)
        self.depth -= 1
        self.flags = outer
        return Sequence((inner,)) if isinstance(inner, Text) else inner

    def set_flags(self, start: int) -> bool:
        """Read flags; whether they begin a group of their own."""
        on = True
        while True:
            char = self.take()
            if char in {")", ":"}:
                return char == ":"
            if char == "-" and on:
                on = False
            elif char == "i":
                self.flags = replace(self.flags, fold=on)
            elif char == "m":
                self.flags = replace(self.flags, lines=on)
            elif char == "s":
                self.flags = replace(self.flags, newlines=on)
            elif char.isalpha() and char != "u":
                self.refuse(f"the flag {char} in {self.source[start : self.at]} is not known", start)
            elif char != "u":
                self.refuse(f"{self.source[start : self.at]} begins no group that this search knows", start)

    def repeated(self, part: Node) -> Node:
        start = self.at
        counts = self.counts()
        if counts is None:
            return part
        least, most = counts
        if most is not None and most < least:
            self.refuse(f"{self.source[start : self.at]} has its numbers in the wrong order", start)
        if max(least, most or 0) > _MAX_REPEATS:
            self.refuse_impossible(f"more than {_MAX_REPEATS} repeats", start)
        lazy = self.accept("?")
        if not lazy and self.accept("+"):
            self.refuse_impossible("a possessive repeat", start)
        again = self.at
        if self.counts() is not None:
            self.refuse("a repeat follows another one; put a group around the first", again)
        return Repeat(part, least, most, lazy)

    def counts(self) -> tuple[int, int | None] | None:
        """How often, if a repeat comes next; a brace that begins none stands for itself."""
        start = self.at
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.accept(sign):
                return counts
        if self.accept("{"):
            least = most = self.take_while(string.digits)
            comma = self.accept(",")
            if comma:
                most = self.take_while(string.digits)
            if self.accept("}") and (least or comma):
                return int(least or 0), int(most) if most else None
        self.at = start
        return None

    def chars(self, start: int) -> Node:
        negated = self.accept("^")
        items: list[Item] = []
        first = True
        while first or not self.peek("]"):
            first = False
            if self.at >= len(self.source):
                self.refuse("a bracket is not closed", start)
            if self.peek("[:"):
                self.refuse(r"[:…:] is not known; write \p{L}, \d, \s or \w", self.at)
            at = self.at
            low = self.member()
            if self.peek("-") and not self.peek("-]"):
                self.take()
                items.append(self.span(low, self.member(), at))
            else:
                items.append(Span(low, low) if isinstance(low, str) else low)
        self.take()
        return Chars(tuple(items), negated, self.flags.fold)

    def member(self) -> str | Named:
        char = self.take()
        if char != "\\":
            return char
        found = read_escape(self, inside=True)
        if isinstance(found, Edge):  # read_escape gives none inside brackets
            raise TypeError(found)
        # Some code points are never found in a composed text, but another one for them is.
        return found if isinstance(found, Named) or len(composed(found)) > 1 else composed(found)

    def span(self, low: str | Named, high: str | Named, at: int) -> Span:
        if not (isinstance(low, str) and isinstance(high, str) and high):
            self.refuse("a range needs one character at each end", at)
        if low > high:
            self.refuse(f"the range {low}-{high} has its ends in the wrong order", at)
        return Span(low, high)


def _joined(parts: list[Node]) -> Node:
    """The parts as one, with characters in a row as one composed text."""
    joined: list[Node] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, Text) and isinstance(last, Text) and part.fold == last.fold:
            joined[-1] = Text(last.text + part.text, part.fold)
        else:
            joined.append(part)
    whole = [Text(composed(part.text), part.fold) if isinstance(part, Text) else part for part in joined]
    return whole[0] if len(whole) == 1 else Sequence(tuple(whole))
