import io
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from core.exports import Entry, ExportFormat, Transcript, render
from tests.exports.samples import CONTROLS, EVERY_BLOCK, MOMENT, SCRIPTS, chat


def pdf(transcript: Transcript) -> bytes:
    return render(transcript, ExportFormat.PDF).content


def words(text: str) -> str:
    """Text without blanks and in one normal form, as extraction places blanks by distance."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def text_of(content: bytes) -> str:
    return words("\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages))


def links_of(content: bytes) -> list[str]:
    pages = PdfReader(io.BytesIO(content)).pages
    return [str(note.get_object()["/A"]["/URI"]) for page in pages for note in page.get("/Annots", ())]


@pytest.mark.parametrize("sample", SCRIPTS.values(), ids=SCRIPTS)
def test_every_script_is_drawn_with_real_glyphs(sample: str) -> None:
    text = text_of(pdf(chat(sample)))
    assert "\ufffd" not in text
    letters = {char for char in unicodedata.normalize("NFKC", sample) if not char.isspace()}
    assert letters - set(text) == set()


@pytest.mark.parametrize(
    "script", ["Russian", "Greek", "Vietnamese", "Georgian", "Chinese", "Japanese", "Korean"]
)
def test_text_can_be_searched_and_copied(script: str) -> None:
    assert words(SCRIPTS[script]) in text_of(pdf(chat(SCRIPTS[script])))


@pytest.mark.parametrize(
    "sample", [SCRIPTS["Russian"], SCRIPTS["Greek"], SCRIPTS["Chinese"], "def f(x): return 'ї'"]
)
def test_code_is_drawn_in_any_of_these_scripts(sample: str) -> None:
    assert words(sample) in text_of(pdf(chat(f"```\n{sample}\n```\nand `{sample}`")))


def test_no_font_of_the_document_is_left_out_of_the_file() -> None:
    reader = PdfReader(io.BytesIO(pdf(chat(*SCRIPTS.values(), EVERY_BLOCK))))
    for page in reader.pages:
        for font in page["/Resources"]["/Font"].values():  # type: ignore[index]
            descriptor = font.get_object()["/DescendantFonts"][0].get_object()["/FontDescriptor"]
            assert "/FontFile2" in descriptor.get_object()


def test_right_to_left_words_run_from_right_to_left() -> None:
    places: list[tuple[float, str]] = []

    def note(text: str, page: list[float], matrix: list[float], *_: object) -> None:
        if re.search("[א-ת]", text):
            places.append((page[4] + matrix[4], text))

    content = pdf(chat("ראשון **wide english words** אחרון"))
    PdfReader(io.BytesIO(content)).pages[0].extract_text(visitor_text=note)
    left, right = "".join(sorted(min(places)[1].strip())), "".join(sorted(max(places)[1].strip()))
    assert (left, right) == ("".join(sorted("אחרון")), "".join(sorted("ראשון")))


def test_what_no_font_can_draw_shows_a_replacement() -> None:
    text = text_of(pdf(chat("rocket 🚀 family 👨‍👩‍👧 tamil வ end")))
    assert text.count("\ufffd") == 3
    assert "end" in text


def test_controls_and_lone_surrogates_do_not_break_the_file() -> None:
    assert "escape\ufffd[31m" in text_of(pdf(chat(CONTROLS, title=CONTROLS, error=CONTROLS)))


def test_the_page_shows_title_date_senders_times_attachments_errors_and_page_numbers() -> None:
    entry = Entry("assistant", datetime(2026, 2, 1, 10, 30, 5, tzinfo=UTC), "Hi", ("Отчёт.pdf",), "It broke")
    text = text_of(pdf(Transcript("Большой план", MOMENT, (entry,))))
    for part in (
        "Большойплан",
        "2026-01-3109:05:00UTC·1message",
        "Assistant2026-02-0110:30:05UTC",
        "Attached:Отчёт.pdf",
        "Error:Itbroke",
        "Page1of1",
    ):
        assert part in text


def test_markdown_is_rendered_and_html_is_text() -> None:
    text = text_of(pdf(chat(EVERY_BLOCK)))
    for part in (
        "Runningbold,italic,inlineкод,struckandalink(https://example.org/a).",
        "1.first",
        "•nested",
        'return"мир"',
        "NameCount",
        "алмаз12",
        "<script>alert(1)</script>",
        "[image:picture](https://example.org/p.png)",
    ):
        assert part in text
    assert "**" not in text


def test_only_web_and_mail_addresses_can_be_followed() -> None:
    links = links_of(
        pdf(
            chat(
                "[a](https://example.org/x) <mailto:a@example.org> "
                "[b](javascript:alert(1)) [c](file:///etc/passwd) [d](/api/x)"
            )
        )
    )
    assert set(links) == {"https://example.org/x", "mailto:a@example.org"}


def test_a_message_with_the_page_count_placeholder_is_left_alone() -> None:
    assert "{nb}and{{nb}}" in text_of(pdf(chat("{nb} and {{nb}}")))


def test_long_messages_go_on_over_pages_without_losing_a_line() -> None:
    code = "\n".join(f"line {number}." for number in range(300))
    table = "|a|b|\n|-|-|\n" + "\n".join(f"|cell {number}.|x|" for number in range(200))
    text = text_of(pdf(chat(f"```\n{code}\n```", table, "word " * 3000 + "x" * 5000)))
    assert all(f"line{number}." in text for number in range(300))
    assert all(f"cell{number}." in text for number in range(200))
    assert text.count("word") == 3000


def test_the_metadata_has_the_title_and_nothing_of_this_machine() -> None:
    content = pdf(chat("x", title="Заголовок"))
    found = PdfReader(io.BytesIO(content)).metadata
    assert found is not None
    assert {str(key): str(value) for key, value in found.items()} == {
        "/Title": "Заголовок",
        "/Creator": "gwp-chat",
        "/Producer": "fpdf2",
        "/CreationDate": "D:20260131090500Z",
    }


def test_the_same_chat_gives_the_same_bytes_from_many_threads() -> None:
    transcripts = [chat(EVERY_BLOCK, sample) for sample in list(SCRIPTS.values())[4:8]]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(pdf, transcripts))
    assert together == [pdf(transcript) for transcript in transcripts]


def test_an_empty_chat_is_a_document() -> None:
    assert "Untitledchat" in text_of(pdf(Transcript("", datetime(2026, 1, 1), ())))  # noqa: DTZ001 - naive is UTC


MARKS = st.text(
    st.sampled_from("ab я שא مع 中 ก้ न्द ́ 😀‍ \u202e\ud800\x00\u00ad\t\n\n  *_`~#>-+|[]()<>!&;:1.\\/={}\"'$^"),
    max_size=120,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(MARKS, st.text(st.characters(), max_size=60)), max_size=3))
def test_no_text_makes_any_format_fail(texts: list[str]) -> None:
    for kind in ExportFormat:
        assert render(chat(*texts, title="".join(texts)), kind).content


@pytest.mark.parametrize(
    "hostile",
    [
        "[" * 20_000,
        "*a " * 10_000,
        ">" * 5_000,
        "א" + "(" * 20_000,
        "x" * 50_000,
        " x" + " " * 50_000 + "y",
        "<!--" * 5_000,
        "\n".join("  " * depth + "- x" for depth in range(200)),
        "a\u0301" + "\u0301" * 20_000,
        "|a" * 3_000 + "|\n" + "|-" * 3_000,
    ],
    ids=lambda text: text[:8],
)
def test_hostile_messages_cost_no_more_than_others_of_their_length(hostile: str) -> None:
    started = datetime.now(UTC)
    for kind in ExportFormat:
        render(chat(hostile), kind)
    assert (datetime.now(UTC) - started).total_seconds() < 15
