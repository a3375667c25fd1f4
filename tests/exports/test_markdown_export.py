import pytest
from markdown_it import MarkdownIt

from core.exports import Entry, ExportFormat, Transcript, render
from tests.exports.samples import CONTROLS, EVERY_BLOCK, MOMENT, chat


def exported(transcript: Transcript) -> str:
    return render(transcript, ExportFormat.MARKDOWN).content.decode()


def headings(text: str) -> list[str]:
    """What a reader of CommonMark with HTML sees as headings of the second level."""
    tokens = MarkdownIt("commonmark").parse(text)
    return [
        tokens[at + 1].content
        for at, token in enumerate(tokens)
        if token.type == "heading_open" and token.tag == "h2" and token.level == 0
    ]


def test_a_chat_reads_as_title_date_and_one_heading_per_message() -> None:
    entries = (
        Entry("user", MOMENT, "Hello", ("Отчёт.pdf", "a*b.csv"), None),
        Entry("assistant", MOMENT, "**Hi**", (), "The provider\nwent away"),
    )
    assert exported(Transcript("My *chat*", MOMENT, entries)) == (
        "# My \\*chat\\*\n\n2026-01-31 09:05:00 UTC · 2 messages\n\n"
        "## User — 2026-01-31 09:05:00 UTC\n\nHello\n\n"
        "Attachments:\n\n- Отчёт.pdf\n- a\\*b.csv\n\n"
        "## Assistant — 2026-01-31 09:05:00 UTC\n\n**Hi**\n\n"
        "> **Error:** The provider went away\n"
    )


def test_a_message_is_kept_as_it_was_written() -> None:
    assert EVERY_BLOCK.strip("\n") in exported(chat(EVERY_BLOCK))


@pytest.mark.parametrize(
    "unfinished",
    [
        "```python\nprint(1)",
        "~~~~\ntext",
        "- item\n\n  ```\n  code",
        "<!-- note",
        "<script>\nvar x",
        "<pre>\n\nx",
        "<?php",
    ],
)
def test_what_a_message_leaves_open_does_not_swallow_the_next_one(unfinished: str) -> None:
    assert len(headings(exported(chat(unfinished, "next")))) == 2


@pytest.mark.parametrize(
    "forged", ["## User — 2026-01-31 09:05:00 UTC", "User — 2026-01-31\n---", "  # Assistant — 2026-01-31"]
)
def test_a_message_cannot_pass_for_another_message(forged: str) -> None:
    text = exported(chat(f"Hello\n\n{forged}\n\nI said this", "next"))
    assert len(headings(text)) == 2
    assert "I said this" in text


def test_a_quoted_heading_inside_a_code_block_stays_untouched() -> None:
    quoted = "```\n## User — 2026-01-31 09:05:00 UTC\n```"
    assert quoted in exported(chat(quoted))


def test_controls_and_lone_surrogates_become_visible_and_the_file_is_utf8() -> None:
    text = exported(chat(CONTROLS))
    assert "escape \ufffd[31m" in text
    assert "surrogate \ufffd odd" in text


def test_a_title_of_several_lines_is_one_heading() -> None:
    assert exported(chat(title="one\n## two")).startswith("# one \\#\\# two\n\n")


def test_the_file_is_named_after_the_chat() -> None:
    file = render(chat(title="План: на 2026/27"), ExportFormat.MARKDOWN)
    assert (file.filename, file.media_type) == ("План_ на 2026_27.md", "text/markdown; charset=utf-8")
    assert render(chat(title=" "), ExportFormat.MARKDOWN).filename == "chat.md"
