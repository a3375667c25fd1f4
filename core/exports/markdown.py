"""The Markdown export: our headings, and every message as it was written."""

import re
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.exports.cleaning import clean, one_line
from core.exports.transcript import Entry, Transcript, message_count, sender_name, utc_stamp

# Readers of the file may allow raw HTML, and an open HTML block swallows what follows; so look for it too.
_READER = MarkdownIt("commonmark", {"html": True, "maxNesting": 20}).disable(["inline", "text_join"])
_READER.parse("#")  # its rule tables are built at first use, which two threads must not do at once
_SUSPECT = re.compile(r"```|~~~|<")
_OUR_HEADING = re.compile(r"(?:User|Assistant|System|Other) — \d{4}-\d\d-\d\d")
_PUNCTUATION = re.compile(r"([\\`*_\[\]<>#&|~$])")
_CLOSERS = ("-->", "</script>", "</pre>", "</style>", "</textarea>", "?>", "]]>", ">")


def render_markdown(transcript: Transcript) -> bytes:
    """The transcript in UTF-8 Markdown: a title, its date, and a `##` heading per message."""
    title = _literal(one_line(transcript.title)) or "Untitled chat"
    parts = [f"# {title}", f"{utc_stamp(transcript.created_at)} · {message_count(transcript)}"]
    for entry in transcript.entries:
        parts += _entry(entry)
    return ("\n\n".join(parts) + "\n").encode()


def _entry(entry: Entry) -> list[str]:
    parts = [f"## {sender_name(entry.sender_type)} — {utc_stamp(entry.created_at)}"]
    if text := clean(entry.text).strip("\n"):
        parts.append(_contained(text))
    if entry.attachments:
        names = "\n".join(f"- {_literal(one_line(name)) or 'unnamed'}" for name in entry.attachments)
        parts.append(f"Attachments:\n\n{names}")
    if entry.error is not None:
        parts.append(f"> **Error:** {_literal(one_line(entry.error, 2000))}")
    return parts


def _literal(text: str) -> str:
    """The text with Markdown's punctuation escaped."""
    return _PUNCTUATION.sub(r"\\\1", text)


def _contained(text: str) -> str:
    """The text as it is, unless it would pass for one of our headings or swallow the next one."""
    if _OUR_HEADING.search(text):
        text = _without_our_headings(text)
    return text + _closer(text) if _SUSPECT.search(text) else text


def _without_our_headings(text: str) -> str:
    """Top-level headings that imitate ours get a backslash, which shows as plain text."""
    lines = text.split("\n")
    for opening, inline in pairwise(_tokens(text)):
        if opening.type == "heading_open" and opening.map and _OUR_HEADING.match(inline.content):
            start, end = opening.map
            # An underlined heading is disarmed at its underline, the last of its lines.
            index = start if opening.markup.startswith("#") else end - 1
            bare = lines[index].lstrip()
            lines[index] = lines[index][: len(lines[index]) - len(bare)] + "\\" + bare
    return "\n".join(lines)


def _closer(text: str) -> str:
    """What must follow the text so that a heading after it is a heading; mostly nothing."""
    if _lets_headings_through(text):
        return ""
    fences = [token for token in _tokens(text) if token.type == "fence"]
    for closing in (*([f"\n{fences[-1].markup}"] if fences else []), *(f"\n{end}" for end in _CLOSERS)):
        if _lets_headings_through(text + closing):
            return closing
    return ""


def _lets_headings_through(text: str) -> bool:
    last = _tokens(text + "\n\n## .")[-3:]
    return bool(last) and last[0].type == "heading_open" and last[0].level == 0


def _tokens(text: str) -> list[Token]:
    return _READER.parse(text)
