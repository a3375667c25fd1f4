"""Markdown blocks as WordprocessingML.

The elements are built directly: the library's own calls search the whole document for every paragraph.
"""

from collections.abc import Iterable, Sequence

from docx.document import Document as DocumentType
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.xmlchemy import BaseOxmlElement

from core.exports.bidi import has_rtl, reads_rtl
from core.exports.blocks import Block, Code, Heading, Paragraph, Place, Rule, Span, Table

_STEP = 360  # twentieths of a point that a list or quote moves to the right
_WIDTH = 9000
_NOWHERE = Place()


class DocxWriter:
    """Appends blocks to the body of a document."""

    def __init__(self, document: DocumentType) -> None:
        self._document = document
        self._parent: BaseOxmlElement = document.element.body
        self._end = self._parent.find(qn("w:sectPr"))
        self._styles = {str(style.name): str(style.style_id) for style in document.styles}
        self._links: dict[str, str] = {}
        self._new: list[BaseOxmlElement] = []

    def line(self, style: str, spans: Sequence[Span], place: Place = _NOWHERE) -> None:
        """One paragraph in a style."""
        self._new.append(self._paragraph(style, spans, place))

    def block(self, block: Block) -> None:
        """One block of a message."""
        match block:
            case Paragraph():
                self.line("Normal", block.spans, block.place)
            case Heading():
                # Heading 1 is the message's own.
                self.line(f"Heading {min(block.level + 1, 6)}", block.spans, block.place)
            case Code():
                self.line("Chat Code", [Span(block.text)], block.place)
            case Table():
                self._new.append(self._table(block))
                self.line("Normal", [])
            case Rule():
                self._new.append(self._rule(block.place))

    def finish(self) -> None:
        """Puts what was written into the document."""
        for element in self._new:
            if self._end is None:
                self._parent.append(element)
            else:
                self._end.addprevious(element)
        self._new.clear()

    def _paragraph(self, style: str, spans: Sequence[Span], place: Place = _NOWHERE) -> BaseOxmlElement:
        plain = "".join(span.text for span in spans)
        rtl = style != "Chat Code" and reads_rtl(plain)
        paragraph = OxmlElement("w:p")
        paragraph.append(self._properties(style, place, rtl=rtl))
        if place.marker:
            paragraph.append(_run(Span(f"{place.marker}\t"), rtl=rtl))
        for span in spans:
            run = _run(span, rtl=has_rtl(span.text))
            paragraph.append(self._linked(run, span.url) if span.url else run)
        return paragraph

    def _properties(self, style: str, place: Place, *, rtl: bool) -> BaseOxmlElement:
        """The paragraph's properties, in the order that the schema demands."""
        properties = _element("w:pPr")
        if style != "Normal":
            properties.append(_element("w:pStyle", val=self._styles[style]))
        if place.quote:
            borders = _element("w:pBdr")
            borders.append(_element("w:left", val="single", sz="18", space="8", color="C8CDD4"))
            properties.append(borders)
        if rtl:
            properties.append(_element("w:bidi"))
        if place.indent or place.quote:
            indent = _element("w:ind", left=str((place.indent + place.quote) * _STEP))
            if place.marker:
                indent.set(qn("w:hanging"), str(_STEP))
            properties.append(indent)
        return properties

    def _linked(self, run: BaseOxmlElement, url: str) -> BaseOxmlElement:
        if url not in self._links:
            self._links[url] = self._document.part.relate_to(
                url, RELATIONSHIP_TYPE.HYPERLINK, is_external=True
            )
        link = OxmlElement("w:hyperlink")
        link.set(qn("r:id"), self._links[url])
        link.append(run)
        return link

    def _table(self, block: Table) -> BaseOxmlElement:
        columns = len(block.rows[0])
        table = _element("w:tbl")
        properties = _element("w:tblPr")
        properties.append(_element("w:tblStyle", val=self._styles["Table Grid"]))
        properties.append(_element("w:tblW", w="0", type="auto"))
        grid = _element("w:tblGrid")
        grid.extend(_element("w:gridCol", w=str(_WIDTH // columns)) for _ in range(columns))
        table.extend([properties, grid])
        for index, row in enumerate(block.rows):
            line = _element("w:tr")
            for spans in row:
                cell = _element("w:tc")
                cell.append(self._paragraph("Normal", _bold(spans) if index == 0 else spans))
                line.append(cell)
            table.append(line)
        return table

    def _rule(self, place: Place) -> BaseOxmlElement:
        paragraph = OxmlElement("w:p")
        properties = self._properties("Normal", Place(indent=place.indent), rtl=False)
        borders = _element("w:pBdr")
        borders.append(_element("w:bottom", val="single", sz="6", space="1", color="C8CDD4"))
        properties.insert(0, borders)
        paragraph.append(properties)
        return paragraph


def _run(span: Span, *, rtl: bool) -> BaseOxmlElement:
    run = OxmlElement("w:r")
    properties = _run_properties(span, rtl=rtl)
    if len(properties):
        run.append(properties)
    for number, line in enumerate(span.text.split("\n")):
        if number:
            run.append(OxmlElement("w:br"))
        for tab, part in enumerate(line.split("\t")):
            if tab:
                run.append(OxmlElement("w:tab"))
            if part:
                text = OxmlElement("w:t")
                text.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
                text.text = part
                run.append(text)
    return run


def _run_properties(span: Span, *, rtl: bool) -> BaseOxmlElement:
    """The run's properties, in the order that the schema demands."""
    properties = _element("w:rPr")
    if span.code:
        properties.append(_element("w:rFonts", ascii="Consolas", hAnsi="Consolas", cs="Consolas"))
    names = (("w:b", span.bold), ("w:bCs", span.bold), ("w:i", span.italic), ("w:iCs", span.italic))
    properties.extend(_element(name) for name, wanted in (*names, ("w:strike", span.strike)) if wanted)
    if span.url:
        properties.append(_element("w:color", val="185AAA"))
        properties.append(_element("w:u", val="single"))
    if span.code:
        properties.append(_element("w:shd", val="clear", fill="F4F5F7"))
    if rtl:
        properties.append(_element("w:rtl"))
    return properties


def _bold(spans: Iterable[Span]) -> list[Span]:
    return [Span(span.text, True, span.italic, span.code, span.strike, span.url) for span in spans]


def _element(name: str, **attributes: str) -> BaseOxmlElement:
    element = OxmlElement(name)
    for key, value in attributes.items():
        element.set(qn(f"w:{key}"), value)
    return element
