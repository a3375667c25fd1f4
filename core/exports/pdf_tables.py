"""Tables laid out on pages: columns as wide as they need, rules between rows, rows that may span pages."""

from dataclasses import replace

from core.exports.pdf_flow import BOTTOM, TOP, Background, Color, Flow
from core.exports.pdf_lines import Breaker, Line, Text

_RULE: Color = (210, 214, 220)
_SHADE: Color = (240, 242, 245)
_PAPER: Color = (255, 255, 255)
_PADDING_X, _PADDING_Y = 6.0, 3.5
_SIZE = 9.0
_LEADING = 13.0


class TableWriter:
    """Writes tables into a flow."""

    def __init__(self, flow: Flow, breaker: Breaker) -> None:
        self._flow = flow
        self._breaker = breaker

    def write(self, rows: list[list[Text]], left: float, right: float) -> None:
        """The rows below what is there, the first as heading."""
        rows = [[_bold(cell) for cell in rows[0]], *rows[1:]]
        widths = self._widths(rows, right - left)
        right = left + sum(widths)
        for index, row in enumerate(rows):
            cells = [
                self._breaker.lines(cell, max(width - 2 * _PADDING_X, 1.0))
                for cell, width in zip(row, widths, strict=True)
            ]
            self._row(cells, widths, left, shaded=index == 0)
            self._flow.rule(left, right, _RULE)
        self._flow.y += _PADDING_Y

    def _row(self, cells: list[list[Line]], widths: list[float], left: float, *, shaded: bool) -> None:
        count = max(len(lines) for lines in cells)
        height = count * _LEADING + 2 * _PADDING_Y
        # A heading stays with the row below it; a row taller than a page starts where it is.
        self._flow.need(
            min(height + shaded * 2 * _LEADING, BOTTOM - TOP if height < BOTTOM - TOP else _LEADING)
        )
        shade = Background(self._flow, left, left + sum(widths), _SHADE if shaded else _PAPER, _PADDING_Y)
        for index in range(count):
            shade.step(_LEADING)
            at = left
            for lines, width in zip(cells, widths, strict=True):
                if index < len(lines):
                    self._flow.place(lines[index], at + _PADDING_X, at + width - _PADDING_X, _LEADING, _SIZE)
                at += width
            self._flow.y += _LEADING
        shade.close()

    def _widths(self, rows: list[list[Text]], room: float) -> list[float]:
        """As wide as the content if that fits; else shared, with a preference for unbroken words."""
        columns = [list(column) for column in zip(*rows, strict=True)]
        natural = [max(self._widest_line(cell) for cell in column) + 2 * _PADDING_X + 1 for column in columns]
        if sum(natural) <= room:
            return natural
        share = room / len(columns)
        least = [
            min(max(self._breaker.widest_word(cell) for cell in column) + 2 * _PADDING_X + 1, share)
            for column in columns
        ]
        wanted = [wide - narrow for wide, narrow in zip(natural, least, strict=True)]
        spare = room - sum(least)
        return [narrow + spare * want / sum(wanted) for narrow, want in zip(least, wanted, strict=True)]

    def _widest_line(self, cell: Text) -> float:
        return max(line.width for line in self._breaker.lines(cell, float("inf")))


def _bold(cell: Text) -> Text:
    return [(text, replace(look, face=replace(look.face, bold=True))) for text, look in cell]
