"""Markdown blocks laid out on pages."""

from core.exports.blocks import Block, Code, Heading, Paragraph, Place, Rule, Span, Spans, Table
from core.exports.pdf_flow import LEFT, RIGHT, Background, Box, Color, Flow
from core.exports.pdf_lines import Breaker, Line, Look, Text
from core.exports.pdf_pieces import Face
from core.exports.pdf_tables import TableWriter

BODY = 10.0
LEADING = 1.45
INK: Color = (32, 35, 40)
FAINT: Color = (110, 116, 126)
LINK: Color = (24, 90, 170)
RED: Color = (170, 38, 30)
_CODE_INK: Color = (60, 45, 95)
_SHADE: Color = (244, 245, 247)
_BAR: Color = (200, 205, 212)
_HEADINGS = {1: 15.0, 2: 13.5, 3: 12.0, 4: 11.0}
_CODE_SIZE, _CODE_LEADING, _CODE_PADDING = 8.5, 12.0, 7.0
_STEP = 16.0
_GAP = 6.0


def styled(spans: Spans, size: float, color: Color, *, bold: bool = False) -> Text:
    """The spans as the line breaker takes them."""
    return [(span.text, _look(span, size, color, bold=bold)) for span in spans]


def _look(span: Span, size: float, color: Color, *, bold: bool) -> Look:
    # Monospaced letters look larger than others of the same size.
    face = Face(size * 0.92 if span.code else size, span.bold or bold, span.italic, span.code)
    ink = LINK if span.url else _CODE_INK if span.code else color
    return Look(face, ink, span.strike, span.url)


class BlockWriter:
    """Writes blocks into a flow."""

    def __init__(self, flow: Flow, breaker: Breaker) -> None:
        self._flow = flow
        self._breaker = breaker
        self._tables = TableWriter(flow, breaker)

    def write(self, block: Block) -> None:
        """Lays the block out below what is there."""
        match block:
            case Paragraph():
                self._flow.space(_GAP if not block.place.marker else _GAP / 2)
                self.text(styled(block.spans, BODY, _ink(block.place)), BODY, block.place)
            case Heading():
                size = _HEADINGS.get(block.level, BODY)
                self._flow.space(_GAP * 1.7)
                self._flow.need(size * LEADING + 3 * BODY * LEADING)
                self.text(styled(block.spans, size, INK, bold=True), size, block.place)
            case Code():
                self._code(block)
            case Table():
                left, right = _sides(block.place, rtl=False)
                self._flow.space(_GAP)
                self._tables.write(
                    [[styled(cell, BODY * 0.9, INK) for cell in row] for row in block.rows], left, right
                )
            case Rule():
                self._rule(block.place)

    def text(self, text: Text, size: float, place: Place = Place(), bar: Color = _BAR) -> None:  # noqa: B008 - frozen
        """Lines of text at a place, with the marker of a list before the first and bars of quotes beside."""
        left, right = _sides(place, rtl=False)
        lines = self._breaker.lines(text, right - left)
        left, right = _sides(place, rtl=lines[0].rtl)
        leading = size * LEADING
        if len(lines) > 1:
            self._flow.need(2 * leading)
        for index, line in enumerate(lines):
            self._flow.need(leading)
            self._bars(place, leading, bar)
            if place.marker and index == 0:
                self._marker(place.marker, left, right, size, rtl=line.rtl)
            self._flow.place(line, left, right, leading, size)
            self._flow.y += leading

    def _marker(self, marker: str, left: float, right: float, size: float, *, rtl: bool) -> None:
        [line] = self._breaker.lines([(marker, Look(Face(size), FAINT))], RIGHT - LEFT)
        gap = 5.0
        at = right + gap if rtl else left - gap - line.width
        self._flow.place(Line(line.runs, line.width), at, right, size * LEADING, size)

    def _bars(self, place: Place, height: float, color: Color) -> None:
        for depth in range(place.quote):
            self._flow.page.append(Box(LEFT + depth * _STEP, self._flow.y, 2.2, height, color))

    def _code(self, block: Code) -> None:
        left, right = _sides(block.place, rtl=False)
        look = Look(Face(_CODE_SIZE, mono=True), INK)
        lines = self._breaker.lines(
            [(block.text.expandtabs(4), look)], right - left - 2 * _CODE_PADDING, verbatim=True
        )
        self._flow.space(_GAP)
        self._flow.need(2 * _CODE_PADDING + min(len(lines), 3) * _CODE_LEADING)
        shade = Background(self._flow, left, right, _SHADE, _CODE_PADDING)
        for line in lines:
            shade.step(_CODE_LEADING)
            self._flow.place(line, left + _CODE_PADDING, right, _CODE_LEADING, _CODE_SIZE)
            self._flow.y += _CODE_LEADING
        shade.close()
        self._flow.y += _GAP / 2

    def _rule(self, place: Place) -> None:
        left, right = _sides(place, rtl=False)
        self._flow.space(_GAP * 1.5)
        self._flow.need(_GAP * 2)
        self._flow.rule(left, right, _BAR)
        self._flow.y += _GAP


def _ink(place: Place) -> Color:
    return FAINT if place.quote else INK


def _sides(place: Place, *, rtl: bool) -> tuple[float, float]:
    """The margins of a place; the room for list markers is where the reading starts."""
    left, room = LEFT + place.quote * _STEP, place.indent * _STEP
    return (left, RIGHT - room) if rtl else (left + room, RIGHT)
