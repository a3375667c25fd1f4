"""Reading a regular expression: its characters one by one, and what begins with a backslash."""

import string
import unicodedata
from typing import NoReturn

from core.search.classes import Named, is_property
from core.search.syntax import Edge, InvalidPattern

_ANYWHERE: dict[str, str | Named | Edge] = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "f": "\f",
    "v": "\v",
    "a": "\a",
    "e": "\x1b",
    **{name: Named(name) for name in "wWdDsS"},
}
_INSIDE = _ANYWHERE | {"b": "\b"}
_OUTSIDE = _ANYWHERE | {
    "b": Edge.WORD,
    "B": Edge.NO_WORD,
    "A": Edge.TEXT_START,
    "z": Edge.TEXT_END,
    "Z": Edge.TEXT_END,
}
_IMPOSSIBLE = {
    "g": "a reference to a group",
    "k": "a back-reference",
    "G": "the end of the last match",
    "K": "a match that starts later",
    "X": "a whole grapheme",
    "C": "a single byte",
    **dict.fromkeys("123456789", "a back-reference"),
}
_WIDTHS = {"x": 2, "u": 4, "U": 8}


class Reader:
    """A cursor in the source of a regular expression."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def peek(self, text: str) -> bool:
        """Whether the text comes next."""
        return self.source.startswith(text, self.at)

    def accept(self, text: str) -> bool:
        """Whether the text came next; then it is behind the cursor."""
        if not self.peek(text):
            return False
        self.at += len(text)
        return True

    def take(self) -> str:
        """The next character, or "" at the end."""
        char = self.source[self.at : self.at + 1]
        self.at += 1
        return char

    def take_while(self, allowed: str) -> str:
        """All characters from here that are among the allowed ones."""
        start = self.at
        while self.source[self.at : self.at + 1] and self.source[self.at] in allowed:
            self.at += 1
        return self.source[start : self.at]

    def take_through(self, end: str, start: int) -> str:
        """All characters before the end, which is skipped; without an end, what began at start is refused."""
        stop = self.source.find(end, self.at)
        if stop < 0:
            self.refuse(f"{self.source[start : self.at]} has no {end}", start)
        taken = self.source[self.at : stop]
        self.at = stop + len(end)
        return taken

    def refuse(self, what: str, at: int) -> NoReturn:
        """Say what is wrong, and where: InvalidPattern."""
        raise InvalidPattern(f"{what} (character {at + 1})")

    def refuse_impossible(self, what: str, at: int) -> NoReturn:
        """Say that the engine has no such thing, and why: InvalidPattern."""
        shown = self.source[at : self.at]
        raise InvalidPattern(
            f"{what}, {shown} at character {at + 1}: this search takes linear time on any text, "
            "which leaves no room for it"
        )


def read_escape(reader: Reader, *, inside: bool) -> str | Named | Edge:
    """What an escape means, behind its backslash; inside a class it is no edge. InvalidPattern."""
    start = reader.at - 1
    char = reader.take()
    if not char:
        reader.refuse("a backslash at the end escapes nothing", start)
    known = _INSIDE if inside else _OUTSIDE
    if char in known:
        return known[char]
    if char in "pP":
        return _property(reader, char, start)
    if char in "xuUN0":
        return _code_point(reader, char, start)
    if char in _IMPOSSIBLE:
        reader.refuse_impossible(_IMPOSSIBLE[char], start)
    if char in string.ascii_letters or unicodedata.combining(char):
        reader.refuse(f"\\{char} means nothing{' inside brackets' if inside else ''}", start)
    return char


def _property(reader: Reader, kind: str, start: int) -> Named:
    name = reader.take_through("}", start) if reader.accept("{") else reader.take()
    name = f"{kind}{{{name}}}"
    if not is_property(name):
        reader.refuse(f"\\{name} is no property of characters that this search knows", start)
    return Named(name)


def _code_point(reader: Reader, kind: str, start: int) -> str:
    if kind == "N":
        return _by_name(reader, start)
    if kind == "0":
        digits = "0" + reader.take_while(string.octdigits)[:2]
        return _character(reader, int(digits, 8), start)
    if reader.accept("{"):
        digits = reader.take_through("}", start)
    else:
        digits = reader.source[reader.at : reader.at + _WIDTHS[kind]]
        reader.at += _WIDTHS[kind]
        if len(digits) < _WIDTHS[kind]:
            digits = ""
    if not digits or any(digit not in string.hexdigits for digit in digits) or len(digits) > _WIDTHS["U"]:
        reader.refuse(f"\\{kind} needs {_WIDTHS[kind]} hexadecimal digits, or some in braces", start)
    return _character(reader, int(digits, 16), start)


def _by_name(reader: Reader, start: int) -> str:
    if not reader.accept("{"):
        reader.refuse(r"\N needs a name in braces", start)
    name = reader.take_through("}", start)
    try:
        found = unicodedata.lookup(name)
    except KeyError:
        reader.refuse(f"no character is named {name!r}", start)
    if len(found) > 1:
        reader.refuse(f"{name!r} is more than one character", start)
    return found


def _character(reader: Reader, code: int, start: int) -> str:
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:  # noqa: PLR2004 - Unicode's own
        reader.refuse(f"there is no character {code:X}", start)
    return chr(code)
