from dataclasses import dataclass

import pytest

from core.exports.bidi import levels, reads_rtl, visual_order


@dataclass(frozen=True)
class Item:
    text: str
    level: int


def shown(text: str, *, rtl: bool) -> str:
    """The characters from left to right."""
    found = levels(text, rtl=rtl) or [0] * len(text)
    return "".join(
        item.text for item in visual_order([Item(*pair) for pair in zip(text, found, strict=True)])
    )


def test_left_to_right_text_needs_no_levels() -> None:
    assert levels("plain текст 123", rtl=False) is None


@pytest.mark.parametrize(
    ("text", "rtl"), [("abc", False), ("12 שלום", True), ("* مرحبا abc", True), ("", False), ("1.", False)]
)
def test_the_first_letter_decides_the_direction_of_a_paragraph(text: str, rtl: bool) -> None:  # noqa: FBT001
    assert reads_rtl(text) is rtl


@pytest.mark.parametrize(
    ("text", "rtl", "seen"),
    [
        ("abc אבג def", False, "abc גבא def"),
        ("אבג def", True, "def גבא"),
        ("אב 12,5% גד", True, "דג 12,5% בא"),
        ("מ 123", True, "123 מ"),
        ("اب 12", True, "12 با"),
        ("א (abc) ב", True, "ב )abc( א"),
        ("abc (א) def", False, "abc (א) def"),
        ("abc\u202eאב", False, "abc\u202eבא"),
    ],
)
def test_words_and_numbers_take_their_order(text: str, rtl: bool, seen: str) -> None:  # noqa: FBT001
    assert shown(text, rtl=rtl) == seen
