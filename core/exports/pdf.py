"""The PDF export: an A4 document with its fonts inside."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

from core.exports.blocks import parse
from core.exports.cleaning import clean, one_line
from core.exports.pdf_blocks import BODY, FAINT, INK, RED, BlockWriter
from core.exports.pdf_canvas import Canvas
from core.exports.pdf_flow import BOTTOM, LEFT, RIGHT, Color, Flow, Text
from core.exports.pdf_lines import Breaker, Look
from core.exports.pdf_pieces import Face, Pieces
from core.exports.transcript import Entry, Transcript, as_utc, message_count, sender_name, utc_stamp

_SENDER_INK: dict[str, Color] = {"user": (24, 90, 170), "assistant": (18, 112, 86), "system": (120, 84, 20)}
_RULE: Color = (214, 218, 224)
_SMALL = 8.5

# It reports every table of every font that it leaves out.
logging.getLogger("fontTools.subset").setLevel(logging.ERROR)


def render_pdf(transcript: Transcript) -> bytes:
    """The transcript as a PDF; the same one always gives the same bytes."""
    pieces = Pieces()
    layout = _Layout(Breaker(pieces))
    layout.document(transcript)
    with TemporaryDirectory(prefix="export-") as directory:
        canvas = _described(Canvas(), transcript)
        canvas.add_fonts(pieces.used, Path(directory))
        for page in layout.flow.pages:
            canvas.add_page()
            for op in page:
                canvas.draw(op)
        return bytes(canvas.output())


class _Layout:
    """Puts the transcript on pages."""

    def __init__(self, breaker: Breaker) -> None:
        self.flow = Flow()
        self._breaker = breaker
        self._blocks = BlockWriter(self.flow, breaker)

    def document(self, transcript: Transcript) -> None:
        title = one_line(transcript.title) or "Untitled chat"
        self._blocks.text([(title, Look(Face(20.0, bold=True), INK))], 20.0)
        self.flow.y += 3
        date = f"{utc_stamp(transcript.created_at)}  ·  {message_count(transcript)}"
        self._blocks.text([(date, Look(Face(9.5), FAINT))], 9.5)
        self.flow.y += 10
        for entry in transcript.entries:
            self._entry(entry)
        self._footers(title)

    def _entry(self, entry: Entry) -> None:
        flow = self.flow
        flow.space(14)
        flow.need(64)
        flow.rule(LEFT, RIGHT, _RULE)
        flow.y += 8
        self._ends(
            (
                sender_name(entry.sender_type),
                Look(Face(10.5, bold=True), _SENDER_INK.get(entry.sender_type, INK)),
            ),
            (utc_stamp(entry.created_at), Look(Face(_SMALL), FAINT)),
        )
        flow.y += 15
        for block in parse(entry.text):
            self._blocks.write(block)
        for name in entry.attachments:
            flow.space(4)
            label = f"Attached: {one_line(name) or 'unnamed'}"
            self._blocks.text([(label, Look(Face(9.0, italic=True), FAINT))], 9.0)
        if entry.error is not None:
            flow.space(6)
            error = f"Error: {clean(entry.error)}"
            self._blocks.text([(error, Look(Face(BODY), RED))], BODY)

    def _ends(self, start: tuple[str, Look], end: tuple[str, Look]) -> None:
        """Two short texts at the two ends of the current line."""
        [first, *_] = self._breaker.lines([start], RIGHT - LEFT)
        [last, *_] = self._breaker.lines([end], RIGHT - LEFT)
        self.flow.place(first, LEFT, RIGHT, 14.0, start[1].face.size)
        self.flow.place(last, RIGHT - last.width, RIGHT, 14.0, start[1].face.size)

    def _footers(self, title: str) -> None:
        look = Look(Face(8.0), FAINT)
        [short, *_] = self._breaker.lines([(title, look)], (RIGHT - LEFT) * 0.75)
        flow = self.flow
        for number, page in enumerate(flow.pages, 1):
            label = f"Page {number} of {len(flow.pages)}"
            [line] = self._breaker.lines([(label, look)], RIGHT - LEFT)
            baseline = BOTTOM + 36
            at = LEFT
            for run in short.runs:
                page.append(Text(at, baseline, run))
                at += run.piece.width
            page.extend(Text(RIGHT - line.width, baseline, run) for run in line.runs)


def _described(canvas: Canvas, transcript: Transcript) -> Canvas:
    canvas.set_title(one_line(transcript.title) or "Untitled chat")
    canvas.set_creator("gwp-chat")
    canvas.set_producer("fpdf2")
    canvas.set_creation_date(as_utc(transcript.created_at))
    return canvas
