import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.exports import content_disposition, safe_filename

HEADER = re.compile(r"attachment; filename=\"([\x20-\x7e]+)\"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+)")


def real_name(header: str) -> str:
    found = HEADER.fullmatch(header)
    assert found, header
    return unquote(found[2], errors="strict")


def test_an_ascii_name_stands_in_both_places() -> None:
    assert (
        content_disposition("report.pdf")
        == "attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf"
    )


def test_a_cyrillic_name_is_percent_encoded_beside_a_fallback_with_its_extension() -> None:
    assert content_disposition("Отчёт.pdf") == (
        "attachment; filename=\"download.pdf\"; filename*=UTF-8''%D0%9E%D1%82%D1%87%D1%91%D1%82.pdf"
    )


def test_the_fallback_drops_accents_but_keeps_letters() -> None:
    assert 'filename="resume.pdf"' in content_disposition("résumé.pdf")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ('a"b.pdf', "a_b.pdf"),
        ("a\r\nSet-Cookie: x=1.pdf", "a Set-Cookie_ x=1.pdf"),
        ("../../etc/passwd", "_._etc_passwd"),
        ("C:\\Users\\x.txt", "C__Users_x.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("nul\x00byte.txt", "nulbyte.txt"),
        ("100%.txt", "100_.txt"),
        ("CON.txt", "_CON.txt"),
        (".htaccess", "htaccess"),
        ("  spaced  .. ", "spaced"),
        ("\ud800.txt", "txt"),
        ("", "download"),
        ("..", "download"),
        ("\u200b\u202e", "download"),
    ],
)
def test_dangerous_names_become_harmless(name: str, safe: str) -> None:
    assert safe_filename(name) == safe
    real_name(content_disposition(name))


def test_an_emoji_name_survives_in_utf8() -> None:
    assert real_name(content_disposition("🚀 launch.pdf")) == "🚀 launch.pdf"


@pytest.mark.parametrize("letter", ["a", "ж", "漢", "🚀"])
def test_a_long_name_is_shortened_to_what_file_systems_take_and_keeps_its_extension(letter: str) -> None:
    name = real_name(content_disposition(letter * 255 + ".docx"))
    assert name.endswith(letter + ".docx")
    assert len(name.encode()) <= 200


@given(st.text(st.characters(), max_size=300))
def test_any_name_gives_one_well_formed_header(name: str) -> None:
    found = real_name(content_disposition(name))
    assert found
    assert not re.search(r'[\x00-\x1f\x7f"/\\\u202a-\u202e\u2066-\u2069]', found)
    assert safe_filename(found) == found
