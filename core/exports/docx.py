"""The DOCX export: a document with real headings, lists, tables and links."""

import io
import zipfile
from datetime import datetime

from docx import Document
from docx.document import Document as DocumentType
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt, RGBColor
from docx.styles.style import ParagraphStyle

from core.exports.blocks import Span, parse
from core.exports.cleaning import clean, one_line
from core.exports.docx_blocks import DocxWriter
from core.exports.transcript import Entry, Transcript, as_utc, message_count, sender_name, utc_stamp

_FAINT, _RED, _GREY = RGBColor(0x6E, 0x74, 0x7E), RGBColor(0xAA, 0x26, 0x1E), RGBColor(0x20, 0x23, 0x28)


def render_docx(transcript: Transcript) -> bytes:
    """The transcript as an Office Open XML document."""
    document = Document()
    title = one_line(transcript.title) or "Untitled chat"
    _set_properties(document, transcript, title)
    _set_styles(document)
    _page_numbers(document)
    writer = DocxWriter(document)
    writer.line("Title", [Span(title)])
    writer.line("Chat Note", [Span(f"{utc_stamp(transcript.created_at)} · {message_count(transcript)}")])
    for entry in transcript.entries:
        _entry(writer, entry)
    writer.finish()
    saved = io.BytesIO()
    document.save(saved)
    return _dated(saved, as_utc(transcript.created_at))


def _dated(saved: io.BytesIO, moment: datetime) -> bytes:
    """The archive with one date for all parts: the library writes the local time of this machine."""
    date = (
        min(max(moment.year, 1980), 2107),
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
    )
    out = io.BytesIO()
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(zipfile.ZipInfo(name, date), source.read(name), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _entry(writer: DocxWriter, entry: Entry) -> None:
    writer.line("Heading 1", [Span(f"{sender_name(entry.sender_type)} — {utc_stamp(entry.created_at)}")])
    for block in parse(entry.text):
        writer.block(block)
    for name in entry.attachments:
        writer.line("Chat Note", [Span(f"Attached: {one_line(name) or 'unnamed'}", italic=True)])
    if entry.error is not None:
        writer.line("Chat Error", [Span(f"Error: {clean(entry.error)}")])


def _set_properties(document: DocumentType, transcript: Transcript, title: str) -> None:
    """Title and date only: the template's own author and remark are not ours."""
    properties = document.core_properties
    properties.title = title[:255]
    properties.author = properties.last_modified_by = properties.comments = ""
    # The format wants UTC, and the library writes what it gets.
    properties.created = properties.modified = as_utc(transcript.created_at).replace(tzinfo=None)


def _set_styles(document: DocumentType) -> None:
    normal = _style(document, "Normal")
    normal.font.name, normal.font.size = "Calibri", Pt(10.5)
    normal.paragraph_format.space_after = Pt(5)
    sizes = {
        "Title": 22,
        "Heading 1": 12,
        "Heading 2": 15,
        "Heading 3": 13.5,
        "Heading 4": 12,
        "Heading 5": 11,
    }
    for name, size in sizes.items():
        style = _style(document, name)
        style.font.size, style.font.bold = Pt(size), True
        style.font.color.rgb = _GREY
    _style(document, "Heading 1").font.color.rgb = RGBColor(0x18, 0x5A, 0xAA)
    _style(document, "Heading 1").paragraph_format.space_before = Pt(18)
    _added(document, "Chat Note", color=_FAINT, size=9)
    _added(document, "Chat Error", color=_RED, size=10)
    code = _added(document, "Chat Code", color=_GREY, size=9)
    code.font.name = "Consolas"
    code.paragraph_format.space_before = code.paragraph_format.space_after = Pt(6)
    shade = OxmlElement("w:shd")
    shade.set(qn("w:val"), "clear")
    shade.set(qn("w:fill"), "F4F5F7")
    # The schema wants the shading before the spacing.
    code.paragraph_format.element.get_or_add_pPr().insert(0, shade)


def _style(document: DocumentType, name: str) -> ParagraphStyle:
    style = document.styles[name]
    if not isinstance(style, ParagraphStyle):
        raise TypeError(f"{name} is no paragraph style")
    return style


def _added(document: DocumentType, name: str, *, color: RGBColor, size: float) -> ParagraphStyle:
    document.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
    style = _style(document, name)
    style.base_style = document.styles["Normal"]
    style.font.color.rgb, style.font.size = color, Pt(size)
    return style


def _page_numbers(document: DocumentType) -> None:
    paragraph = document.sections[0].footer.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    for field in ("PAGE", "NUMPAGES"):
        paragraph.add_run("Page " if field == "PAGE" else " of ")
        element = OxmlElement("w:fldSimple")
        element.set(qn("w:instr"), field)
        element.append(paragraph.add_run("1").element)
        paragraph.paragraph_format.element.append(element)
