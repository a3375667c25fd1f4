"""The one door: a transcript and a format in, a file out."""

from collections.abc import Callable

from core.exports.cleaning import one_line
from core.exports.disposition import safe_filename
from core.exports.markdown import render_markdown
from core.exports.transcript import ExportedFile, ExportFormat, Transcript

_MEDIA = {
    ExportFormat.MARKDOWN: ("text/markdown; charset=utf-8", ".md"),
    ExportFormat.PDF: ("application/pdf", ".pdf"),
    ExportFormat.DOCX: ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
}


def render(transcript: Transcript, format: ExportFormat) -> ExportedFile:  # noqa: A002 - the caller's word
    """The transcript as a file of that format.

    Pure CPU work without shared state: call it in a thread, as many at once as you like. No text that a
    user or a model can write makes it raise.
    """
    media_type, extension = _MEDIA[format]
    stem = safe_filename(one_line(transcript.title), default="chat")
    return ExportedFile(_renderer(format)(transcript), media_type, stem + extension)


def _renderer(export_format: ExportFormat) -> Callable[[Transcript], bytes]:
    # Fonts, PDF and DOCX take a seventh of the time in which a server starts, and most processes never
    # write either: they are loaded by the first export that needs them.
    match export_format:
        case ExportFormat.PDF:
            from core.exports.pdf import render_pdf  # noqa: PLC0415

            return render_pdf
        case ExportFormat.DOCX:
            from core.exports.docx import render_docx  # noqa: PLC0415

            return render_docx
        case ExportFormat.MARKDOWN:
            return render_markdown
