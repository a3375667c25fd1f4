"""Markdown as a flat list of blocks, the one reading of it that PDF and DOCX share.

Raw HTML is text here, images are their description and address, and only web and mail addresses are links.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.exports.cleaning import clean, one_line

MAX_COLUMNS = 12  # a wider table does not fit a page and is shown as it was written
MAX_DEPTH = 6  # deeper lists and quotes stop moving to the right
MAX_URL = 2000  # longer addresses are shown but not active: word processors refuse them

_ACTIVE = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text in one style; `url` is an address that may be made active."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    strike: bool = False
    url: str | None = None


Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """How far a block stands inside quotes and lists, and the list marker before it, if any."""

    quote: int = 0
    indent: int = 0
    marker: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; newlines in it are line breaks."""

    spans: Spans
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 6."""

    spans: Spans
    level: int
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Code:
    """Preformatted text."""

    text: str
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Table:
    """The first row is the heading; every row has as many cells."""

    rows: tuple[tuple[Spans, ...], ...]
    place: Place = Place()


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the page."""

    place: Place = Place()


Block = Paragraph | Heading | Code | Table | Rule

_READER = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])
_READER.parse("*a*\n\n|a|\n|-|")  # its rule tables are built at first use, which threads must not do at once


def parse(text: str) -> list[Block]:
    """The blocks of a message. Never raises: what cannot be read as Markdown is one plain paragraph."""
    text = clean(text)
    try:
        return list(_Reading(text).blocks())
    except (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError):
        return [Paragraph((Span(text),))]


def active_url(address: str) -> str | None:
    """The address if following it can do no more than open a page or a letter."""
    return address if len(address) <= MAX_URL and _ACTIVE.fullmatch(address) else None


class _Reading:
    """One pass over the tokens of one message."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._tokens = _READER.parse(text)
        self._at = 0
        self._lists: list[int | None] = []
        self._quotes = 0
        self._marker = ""

    def blocks(self) -> Iterator[Block]:
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            self._enter_or_leave(token)
            block = self._leaf(token)
            if block is not None:
                yield block

    def _enter_or_leave(self, token: Token) -> None:
        match token.type:
            case "bullet_list_open":
                self._lists.append(None)
            case "ordered_list_open":
                self._lists.append(int(token.attrGet("start") or 1) if token.attrs else 1)
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "list_item_open":
                self._open_item()
            case "list_item_close":
                self._marker = ""
            case "blockquote_open":
                self._quotes += 1
            case "blockquote_close":
                self._quotes -= 1

    def _open_item(self) -> None:
        number = self._lists[-1]
        self._marker = "•" if number is None else f"{number}."
        if number is not None:
            self._lists[-1] = number + 1

    def _leaf(self, token: Token) -> Block | None:
        match token.type:
            case "inline":
                return self._inline(token)
            case "fence" | "code_block":
                return Code(token.content.rstrip("\n"), self._place())
            case "hr":
                return Rule(self._place())
            case "table_open":
                return self._table(token)
        return None

    def _inline(self, token: Token) -> Block:
        spans = tuple(_spans(token.children or []))
        if token.level > 0 and (opening := self._tokens[self._at - 2]).type == "heading_open":
            return Heading(spans, int(opening.tag[1:]), self._place())
        return Paragraph(spans, self._place())

    def _place(self) -> Place:
        """Where the block at hand stands; the marker goes to the first block of its item only."""
        marker, self._marker = self._marker, ""
        return Place(min(self._quotes, MAX_DEPTH), min(len(self._lists), MAX_DEPTH), marker)

    def _table(self, token: Token) -> Block:
        rows: list[list[Spans]] = []
        while (cell := self._tokens[self._at]).type != "table_close":
            self._at += 1
            if cell.type == "tr_open":
                rows.append([])
            elif cell.type == "inline":
                rows[-1].append(tuple(_spans(cell.children or [])))
        if len(rows[0]) > MAX_COLUMNS:
            start, end = token.map or (0, 0)
            return Code("\n".join(self._lines[start:end]), self._place())
        return Table(tuple(tuple(row) for row in rows), self._place())


def _spans(tokens: list[Token]) -> Iterator[Span]:
    """The styled pieces of one line of Markdown; a link is followed by its address, if that says more."""
    style = Span("")
    link, shown = "", ""
    for token in tokens:
        if token.type == "link_open":
            link, shown = str(token.attrGet("href") or ""), ""
            style = replace(style, url=active_url(link))
        elif token.type == "link_close":
            readable = one_line(_READER.normalizeLinkText(link), MAX_URL)
            if not {link, readable} & {shown, f"mailto:{shown}", f"{shown}/"}:
                yield replace(style, text=f" ({readable})")
            style = replace(style, url=None)
        elif text := clean(_text(token)):  # again: entities may stand for what was cleaned away
            shown += text
            yield replace(style, text=text, code=token.type == "code_inline")
        else:
            style = _restyled(style, token)


def _text(token: Token) -> str:
    match token.type:
        case "text" | "code_inline" | "text_special" | "html_inline":
            return token.content
        case "softbreak" | "hardbreak":
            return "\n"
        case "image":
            address = str(token.attrGet("src") or "")
            return f"[image: {token.content}] ({address})" if token.content else f"[image] ({address})"
    return ""


def _restyled(style: Span, token: Token) -> Span:
    match token.type:
        case "strong_open" | "strong_close":
            return replace(style, bold=token.nesting == 1)
        case "em_open" | "em_close":
            return replace(style, italic=token.nesting == 1)
        case "s_open" | "s_close":
            return replace(style, strike=token.nesting == 1)
    return style
