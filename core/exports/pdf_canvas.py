"""The pen of the PDF export: draws runs and boxes where the layout wants them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont

from core.exports.pdf_flow import Box, Text
from core.exports.pdf_fonts import file_for
from core.exports.pdf_pieces import FEATURES, GUESSED, Piece


class Canvas(FPDF):
    """An A4 document measured in points, without margins or page breaks of its own."""

    def __init__(self) -> None:
        super().__init__(unit="pt", format="A4")
        self.set_auto_page_break(False)
        self.set_margin(0)
        self.alias_nb_pages("")  # a message may contain the placeholder

    def add_fonts(self, used: dict[str, set[int]], directory: Path) -> None:
        """Registers the fonts; the library reads them from files only, until the document is written."""
        for name, chars in used.items():
            path = directory / f"{name}.ttf"
            path.write_bytes(file_for(name, sorted(chars)))
            self.add_font(name, "", path)

    def draw(self, op: Text | Box) -> None:
        """One thing on the current page."""
        if isinstance(op, Box):
            self.set_fill_color(*op.color)
            self.rect(op.x, op.y, op.width, op.height, style="F")
            return
        look, piece, size = op.run.look, op.run.piece, op.run.look.face.size
        self.set_font(piece.font, size=size)
        self.set_text_color(*look.color)
        if piece.shaped:
            self._shaped(op.x, op.y, piece, rtl=op.run.level % 2 == 1)
        else:
            self.text(op.x, op.y, piece.text)
        if look.strike:
            self.set_fill_color(*look.color)
            self.rect(op.x, op.y - size * 0.3, piece.width, 0.7, style="F")
        if look.url:
            self.link(op.x, op.y - size, piece.width, size * 1.3, look.url)

    def _shaped(self, x: float, y: float, piece: Piece, *, rtl: bool) -> None:
        """A run through HarfBuzz, once: the library's own cells would work out its direction again, twice."""
        if not self.current_font_is_set_on_page:
            self.text(x, y, "")  # puts it there
        font, color = self.current_font, self.text_color
        if not isinstance(font, TTFFont) or color is None:
            raise TypeError("a run is shaped in a font and a colour")
        direction = TextDirection.RTL if rtl else TextDirection.LTR
        script = None if piece.script in GUESSED else piece.script
        params = {"features": FEATURES, "fragment_direction": direction, "script": script, "language": None}
        parts = _positioned(font, font.shape_text(piece.text, self.font_size_pt, params), self.font_size_pt)
        origin = f"1 0 0 1 {x:.2f} {self.h - y:.2f} cm"
        self._out(f"q {color.serialize().lower()} {origin} BT {' '.join(parts)} ET Q")


def _positioned(font: TTFFont, glyphs: Sequence[dict[str, Any]], size: float) -> Iterator[str]:
    """The operators that show the glyphs where they belong, from the origin on."""
    scale = font.scale * size / 1000
    x, pending = 0.0, ""
    for glyph in glyphs:
        if glyph["mapped_char"] is None:
            continue
        if glyph["x_offset"] or glyph["y_offset"]:
            yield from _shown(pending)
            pending = ""
            yield f"1 0 0 1 {x + glyph['x_offset'] * scale:.2f} {glyph['y_offset'] * scale:.2f} Tm"
        pending += font.escape_text(chr(glyph["mapped_char"]))
        x += glyph["x_advance"] * scale
        if glyph["force_positioning"]:
            yield from _shown(pending)
            pending = ""
            yield f"1 0 0 1 {x:.2f} 0 Tm"
    yield from _shown(pending)


def _shown(text: str) -> list[str]:
    return [f"({text}) Tj"] if text else []
