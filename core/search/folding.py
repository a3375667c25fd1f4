"""The two forms of a text that search knows: composed, in which it is matched, and folded, which is indexed.

Both are made piece by piece: one call of `unicodedata` or `str` on a long text would hold up every other
thread, and canonical ordering takes quadratic time on a long run of combining marks.
"""

import unicodedata

YO_OR_YE = {
    "\u0451": "\u0435\u0451",
    "\u0435": "\u0435\u0451",
    "\u0401": "\u0415\u0401",
    "\u0415": "\u0415\u0401",
}
"""The Russian letter ё and the one that most texts have in its place, each with both."""

_PIECE = 512
_SHORT = 2_048
_BMP = 0x10000
_LONG = 65_536
_JAMO = range(0x1160, 0x1200)  # vowels and finals of Hangul, which join what stands before them


def composed(text: str) -> str:
    """The text in normalization form C; offsets of matches count its code points.

    Of a run of more than 512 code points that could all join each other, which is no writing, a long text
    is normalized in stretches.
    """
    if text.isascii():
        return text
    if len(text) <= _SHORT:
        return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)
    pieces: list[str] = []
    start = kept = 0
    while start < len(text):
        end = _cut(text, start)
        piece = text[start:end]
        if not unicodedata.is_normalized("NFC", piece):
            pieces += [text[kept:start], unicodedata.normalize("NFC", piece)]
            kept = end
        start = end
    # A long text is copied only if it changes: most are composed.
    return "".join([*pieces, text[kept:]]) if pieces else text


def folded(text: str) -> str:
    """The composed text without differences of case and between ё and what is written for it.

    It is for indexes, never to be shown.

    Each code point is folded for itself, so what is part of the composed text is part of the folded one.
    """
    text = composed(text)
    if len(text) <= _LONG:
        return _folded(text)
    return "".join(_folded(text[start : start + _LONG]) for start in range(0, len(text), _LONG))


def begins_anew(char: str) -> bool:
    """Whether normalization never joins the code point to what stands before it."""
    code = ord(char)
    return code < 0x300 or (  # noqa: PLR2004 - the first combining mark
        code < _BMP and code not in _JAMO and unicodedata.category(char)[0] not in "MC"
    )


def _folded(text: str) -> str:
    # Both are one letter, which is why each code point still is folded for itself.
    return text.casefold().replace("\u0451", "\u0435")


def _cut(text: str, start: int) -> int:
    """The end of a piece: before a code point that joins nothing, or else wherever the piece is full."""
    end = start + _PIECE
    if end >= len(text):
        return len(text)
    for cut in range(end, start, -1):
        if begins_anew(text[cut]):
            return cut
    return end
