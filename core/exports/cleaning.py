"""Text that no file format refuses."""

import re

REPLACEMENT = "\ufffd"

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# What XML 1.0 or UTF-8 cannot hold: controls, lone surrogates, noncharacters.
_FORBIDDEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_PLANE_ENDS = re.compile(
    "[" + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(1, 17)) + "]"
)
_BLANKS = re.compile(r"\s+")
BIDI_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""The text with `\n` as its only line end, and a visible U+FFFD for what no file may hold."""
    text = _LINE_ENDS.sub("\n", text)
    return _PLANE_ENDS.sub(REPLACEMENT, _FORBIDDEN.sub(REPLACEMENT, text))


def one_line(text: str, limit: int = 300) -> str:
    """The text as one trimmed line of at most `limit` characters, without direction overrides."""
    line = _BLANKS.sub(" ", BIDI_CONTROLS.sub("", clean(text))).strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
