"""A chat as a file: a transcript goes in, Markdown, PDF or DOCX comes out.

Nothing here knows a database, a network or a clock: the same transcript always gives the same document.
"""

from core.exports.disposition import content_disposition, safe_filename
from core.exports.render import render
from core.exports.transcript import Entry, ExportedFile, ExportFormat, Transcript

__all__ = [
    "Entry",
    "ExportFormat",
    "ExportedFile",
    "Transcript",
    "content_disposition",
    "render",
    "safe_filename",
]
