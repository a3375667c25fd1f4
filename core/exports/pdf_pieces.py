"""Text cut into pieces of one font each, and measured."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import uharfbuzz as hb  # type: ignore[import-untyped]  # carries no types

from core.exports.cleaning import REPLACEMENT
from core.exports.pdf_fonts import REPLACEMENT_FONT, Font, chain, font

# Scripts whose letters change with their neighbours, and marks that need placing.
_NEEDS_SHAPING = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0590-\u109f\u1700-\u1dff\u200c\u200d\u20d0-\u20ff\u302a-\u302f\u3099\u309a"
    "\ua800-\uabff\ufb1d-\ufdff\ufe20-\ufe2f\ufe70-\ufeff\U00010a00-\U00011fff]"
)
_SCRIPT = re.compile(
    "([\u0590-\u05ff\ufb1d-\ufb4f])|([\u0600-\u07bf\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc])"
    "|([\u0900-\u0963\u0970-\u097f\ua8e0-\ua8ff])|([\u0e00-\u0e7f])|([^\\W\\d_])"
)
_SCRIPTS = ("", "Hebr", "Arab", "Deva", "Thai", "Zyyy")
GUESSED = ("", "Zyyy")  # HarfBuzz tells these by the text
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e0fff]"
)
_EMOJI_TAIL = re.compile(
    "([\U0001f1e6-\U0001faff\u2600-\u27bf])(?:[\U0001f3fb-\U0001f3ff]|\u200d[\u2190-\U0001faff])+"
)
_JOINERS = "\u200c\u200d"
FEATURES = {"liga": False, "clig": False}  # "fi" stays two characters to whoever searches or copies


@dataclass(frozen=True, slots=True)
class Face:
    """How a piece of text is to look; the size is in points."""

    size: float
    bold: bool = False
    italic: bool = False
    mono: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that one font draws; `width` is in points, `script` is empty for blanks, digits and signs."""

    text: str
    font: str
    width: float
    script: str
    shaped: bool


class Pieces:
    """Cuts and measures for one document. Not shared between threads; only the fonts behind it are."""

    def __init__(self) -> None:
        self._cuts: dict[tuple[str, Face], tuple[Piece, ...]] = {}
        self._fonts: dict[tuple[str, tuple[str, ...]], Font | None] = {}
        self._shapers: dict[str, hb.Font] = {}
        self.used: dict[str, set[int]] = {}

    def cut(self, text: str, face: Face) -> tuple[Piece, ...]:
        """The pieces of a word or another short text; what no font can draw becomes U+FFFD."""
        found = self._cuts.get((text, face))
        if found is None:
            names = chain(bold=face.bold, italic=face.italic, mono=face.mono)
            found = tuple(self._piece(*run, face) for run in self._runs(text, names))
            self._cuts[text, face] = found
        return found

    def width(self, text: str, face: Face) -> float:
        """How wide the text is in points."""
        return sum(piece.width for piece in self.cut(text, face))

    def _runs(self, text: str, names: tuple[str, ...]) -> Iterator[tuple[str, Font, str]]:
        """The text cut where the font or the script changes; signs and marks stay with what is before."""
        run, current, script = "", None, ""
        for char in _drawable(text):
            own = _script(char)
            if current and ord(char) in current.advances and not (own or char.isdigit()):
                run += char
                continue
            shown, best = char, self._font_of(char, names)
            if best is None:
                if char in _JOINERS or unicodedata.category(char).startswith("M"):
                    continue
                shown, best = REPLACEMENT, font(REPLACEMENT_FONT)
            if current and (best is not current or (own and script and own != script)):
                yield run, current, script
                run, script = "", ""
            run, current, script = run + shown, best, own or script
        if current:
            yield run, current, script

    def _font_of(self, char: str, names: tuple[str, ...]) -> Font | None:
        key = (char, names)
        if key not in self._fonts:
            self._fonts[key] = next((font(name) for name in names if ord(char) in font(name).advances), None)
        return self._fonts[key]

    def _piece(self, text: str, drawn: Font, script: str, face: Face) -> Piece:
        self.used.setdefault(drawn.name, set()).update(map(ord, text))
        shaped = not drawn.postscript and _NEEDS_SHAPING.search(text) is not None
        if shaped:
            units = self._shaped_width(text, drawn, script)
        else:
            units = sum(drawn.advances[ord(char)] for char in text)
        return Piece(text, drawn.name, units * face.size / 1000, script, shaped)

    def _shaped_width(self, text: str, drawn: Font, script: str) -> float:
        shaper = self._shapers.get(drawn.name)
        if shaper is None:
            shaper = self._shapers[drawn.name] = hb.Font(drawn.face)
        buffer = hb.Buffer()
        buffer.add_str(text)
        buffer.guess_segment_properties()
        if script not in GUESSED:
            buffer.script = script
        hb.shape(shaper, buffer, FEATURES)
        units = sum(position.x_advance for position in buffer.glyph_positions or ())
        return float(units * 1000 / drawn.face.upem)


def _script(char: str) -> str:
    """The script of a letter, as far as it matters for shaping; empty for anything else."""
    if char < "\u0590":
        return "Zyyy" if char.isalpha() else ""
    found = _SCRIPT.match(char)
    return _SCRIPTS[found.lastindex or 0] if found else ""


def _drawable(text: str) -> str:
    """Without characters that only steer others; an emoji of several parts is reduced to its first."""
    return _EMOJI_TAIL.sub(r"\1", _INVISIBLE.sub("", unicodedata.normalize("NFC", text)))
