r"""Word boundaries with their Unicode meaning, which RE2 cannot see: its `\b` looks at ASCII bytes only.

So text and pattern are both rewritten, one unit for each character, such that the first and the last byte
of each unit tell whether the character is part of a word. RE2's own `\b` and `\B` are then exact:

- a character of words outside ASCII is written with two underscores before it and one behind it;
- the underscore, now taken, becomes `_`, twice U+0002, `_`;
- any other character outside ASCII has U+0001 before it; U+0001 and U+0002 themselves count as U+0003;
- the rest of ASCII stands for itself.

No unit, and no run of units, is found in a text at a place where a unit does not begin. A match that is
not empty therefore begins and ends between characters.
"""

import re
from functools import cache

from core.search.classes import NOTHING, Chars, Named, Span, body, is_word, quoted, word_ranges
from core.search.engine import compiled
from core.search.folding import YO_OR_YE

UNDERSCORE = "_\x02\x02_"
_WORD_UNIT = "__[^_]_"
_OTHER_UNIT = r"\x01(?s:.)"
# Of ASCII, only S and K have a form outside ASCII that differs from them by case alone.
_SEVERAL = "sSkK\u017f\u212a\x01\x02"
_ASCII = "".join(map(chr, range(3, 128)))
_TAKEN = str.maketrans("\x01\x02", "\x03\x03")
_BMP = 0x10000
_END = 0x110000
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def rewritten(text: str) -> str:
    """The text in units."""
    if "\x01" in text or "\x02" in text:
        text = text.translate(_TAKEN)
    text = text.replace("_", UNDERSCORE)
    if text.isascii():
        return text
    words, others = _beyond(astral=_ASTRAL.search(text) is not None)
    parts = words.split(others.sub("\x01\\g<0>", text))
    parts[1::2] = [f"__{'___'.join(word)}_" for word in parts[1::2]]
    return "".join(parts)


def doubled_surplus(data: bytes) -> int:
    """Twice as many characters as the units, in UTF-8, have more than they stand for.

    The parts of units cut in two have together what the whole has.
    """
    # A character of words has three "_" more, an underscore one and twice U+0002, any other one U+0001.
    return 2 * data.count(b"_") + data.count(b"\x02") + 2 * data.count(b"\x01")


def in_units(chars: Chars) -> str:
    """The class for one unit; what it costs does not grow with the classes of words."""
    ascii_only, underscore = _ascii_members(body(chars), fold=chars.fold)
    options = [
        f"[{ascii_only}]" if ascii_only else "",
        _beyond_ascii(chars, every="w", none="W", unit=_WORD_UNIT, before="__", behind="_"),
        _beyond_ascii(chars, every="W", none="w", unit=_OTHER_UNIT, before=r"\x01", behind=""),
        UNDERSCORE if underscore else "",
    ]
    return f"(?:{'|'.join(filter(None, options)) or NOTHING})"


def text_in_units(char: str, *, fold: bool) -> str:
    """One character of a text, for one unit."""
    if char == "_":
        return UNDERSCORE
    if char in _SEVERAL or char in YO_OR_YE:
        return in_units(Chars((Span(char, char),), negated=False, fold=fold))
    if char.isascii():
        return quoted(char)
    return f"__{char}_" if is_word(char) else rf"\x01{char}"


def any_in_units(*, newline: bool) -> str:
    """Any one unit."""
    plain = r"[\x00\x03-\x5e\x60-\x7f]" if newline else r"[\x00\x03-\x09\x0b-\x5e\x60-\x7f]"
    return f"(?:{plain}|{_WORD_UNIT}|{_OTHER_UNIT}|{UNDERSCORE})"


def after_units(source: str) -> str:
    """The rewritten pattern after any units: so it cannot match nothing at a place inside of one."""
    return f"{any_in_units(newline=True)}*?(?:{source})"


@cache
def _beyond(*, astral: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Runs of characters of words outside ASCII, and single other characters outside ASCII."""
    low = _bracketed(0x80, _BMP)
    if not astral:
        return re.compile(f"([{low}]+)"), re.compile(f"[^\x00-\x7f{low}]")
    # Beyond the first plane, Python looks through all ranges one by one: not for each character of any text.
    high = _bracketed(_BMP, _END)
    above = f"(?={_ASTRAL.pattern})"
    return (
        re.compile(f"((?:[{low}]|{above}[{high}])+)"),
        re.compile(f"[^\x00-\x7f{low}\U00010000-\U0010ffff]|{above}[^{high}]"),
    )


def _bracketed(start: int, end: int) -> str:
    ranges = [pair for pair in word_ranges() if start <= pair[0] < end]
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


def _beyond_ascii(chars: Chars, *, every: str, none: str, unit: str, before: str, behind: str) -> str:
    """The class for units of one kind, all of whose characters are in the class `every`, none in `none`."""
    items = tuple(item for item in chars.items if item != Named(none))
    if Named(every) in items:
        return "" if chars.negated else unit
    if not items:
        return unit if chars.negated else ""
    return f"{before}[{body(Chars(items, chars.negated, chars.fold))}]{behind}"


@cache
def _ascii_members(inside: str, *, fold: bool) -> tuple[str, bool]:
    """What the class holds of ASCII, written for RE2 without the underscore, and whether it holds that."""
    held = [match.group() for match in compiled(f"[{inside}]", fold=fold).finditer(_ASCII)]
    return "".join(quoted(char) for char in held if char != "_"), "_" in held
