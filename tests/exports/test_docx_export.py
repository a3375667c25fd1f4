import io
import zipfile
from typing import Any

import pytest
from docx import Document
from lxml import etree  # type: ignore[import-untyped]  # carries no types

from core.exports import Entry, ExportFormat, Transcript, render
from tests.exports.samples import CONTROLS, EVERY_BLOCK, MOMENT, SCRIPTS, chat

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def docx(transcript: Transcript) -> bytes:
    return render(transcript, ExportFormat.DOCX).content


def paragraphs(content: bytes) -> list[tuple[str, str]]:
    return [(str(p.style.name if p.style else ""), p.text) for p in Document(io.BytesIO(content)).paragraphs]


def body(content: bytes) -> Any:
    return etree.fromstring(zipfile.ZipFile(io.BytesIO(content)).read("word/document.xml"))


def test_a_chat_reads_as_title_date_and_one_heading_per_message() -> None:
    entries = (
        Entry("user", MOMENT, "Hello\nthere", ("Отчёт.pdf",), None),
        Entry("assistant", MOMENT, "Hi", (), "It broke"),
    )
    assert paragraphs(docx(Transcript("Мой чат", MOMENT, entries))) == [
        ("Title", "Мой чат"),
        ("Chat Note", "2026-01-31 09:05:00 UTC · 2 messages"),
        ("Heading 1", "User — 2026-01-31 09:05:00 UTC"),
        ("Normal", "Hello\nthere"),
        ("Chat Note", "Attached: Отчёт.pdf"),
        ("Heading 1", "Assistant — 2026-01-31 09:05:00 UTC"),
        ("Normal", "Hi"),
        ("Chat Error", "Error: It broke"),
    ]


def test_markdown_becomes_headings_styles_lists_code_and_tables() -> None:
    content = docx(chat(EVERY_BLOCK))
    found = paragraphs(content)
    assert ("Heading 2", "Heading") in found
    assert ("Normal", "1.\tfirst") in found
    assert ("Normal", "•\tnested") in found
    assert ("Chat Code", 'def привет():\n    return "мир"') in found
    assert any(
        text.startswith("<script>alert(1)</script> [bad](javascript:alert(2)) [image: picture]")
        for _, text in found
    )
    document = Document(io.BytesIO(content))
    [table] = document.tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == [["Name", "Count"], ["алмаз", "12"]]
    running = next(p for p in document.paragraphs if p.text.startswith("Running"))
    assert [run.text for run in running.runs if run.bold] == ["bold"]
    assert [run.text for run in running.runs if run.italic] == ["italic"]
    assert [run.text for run in running.runs if run.font.strike] == ["struck"]


def test_only_web_and_mail_addresses_can_be_followed() -> None:
    content = docx(
        chat("[a](https://example.org/x) <mailto:a@example.org> [b](javascript:x) [c](file:///etc/passwd)")
    )
    relations = etree.fromstring(zipfile.ZipFile(io.BytesIO(content)).read("word/_rels/document.xml.rels"))
    assert {r.get("Target") for r in relations if r.get("TargetMode") == "External"} == {
        "https://example.org/x",
        "mailto:a@example.org",
    }


@pytest.mark.parametrize("sample", SCRIPTS.values(), ids=SCRIPTS)
def test_every_script_is_kept(sample: str) -> None:
    assert ("Normal", sample) in paragraphs(docx(chat(sample)))


def test_right_to_left_paragraphs_and_runs_say_so() -> None:
    root = body(docx(chat("שלום world", "hello")))
    assert len(root.findall(f".//{W}pPr/{W}bidi")) == 1
    assert len(root.findall(f".//{W}rPr/{W}rtl")) == 1


def test_controls_and_lone_surrogates_do_not_break_the_xml() -> None:
    content = docx(chat(CONTROLS, title=CONTROLS, error=CONTROLS))
    assert any("escape \ufffd[31m" in text for _, text in paragraphs(content))


def test_the_metadata_has_the_title_and_nobody_s_name() -> None:
    properties = Document(io.BytesIO(docx(chat(title="Заголовок")))).core_properties
    assert (properties.title, properties.author, properties.last_modified_by, properties.comments) == (
        "Заголовок",
        "",
        "",
        "",
    )
    assert properties.created == MOMENT


def test_the_same_chat_gives_the_same_bytes() -> None:
    assert docx(chat(EVERY_BLOCK)) == docx(chat(EVERY_BLOCK))
