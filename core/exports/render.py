"""The one door: a transcript and a format in, a file out."""

from core.exports.cleaning import one_line
from core.exports.disposition import safe_filename
from core.exports.docx import render_docx
from core.exports.markdown import render_markdown
from core.exports.pdf import render_pdf
from core.exports.transcript import ExportedFile, ExportFormat, Transcript

_RENDERERS = {
    ExportFormat.MARKDOWN: (render_markdown, "text/markdown; charset=utf-8", ".md"),
    ExportFormat.PDF: (render_pdf, "application/pdf", ".pdf"),
    ExportFormat.DOCX: (
        render_docx,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".docx",
    ),
}


def render(transcript: Transcript, format: ExportFormat) -> ExportedFile:  # noqa: A002 - the caller's word
    """The transcript as a file of that format.

    Pure CPU work without shared state: call it in a thread, as many at once as you like. No text that a
    user or a model can write makes it raise.
    """
    renderer, media_type, extension = _RENDERERS[format]
    stem = safe_filename(one_line(transcript.title), default="chat")
    return ExportedFile(renderer(transcript), media_type, stem + extension)
