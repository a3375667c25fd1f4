import time
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from core.search.patterns import compile_pattern
from core.search.snippets import Snippet, snippet

WORDS = " ".join(f"слово{number}" for number in range(300))


def _shown(text: str, source: str, width: int = 240) -> tuple[str, list[str]]:
    found = snippet(text, compile_pattern(source).spans(text), width=width)
    return found.text, [found.text[start:end] for start, end in found.highlights]


def test_a_short_text_is_shown_whole_on_one_line() -> None:
    assert snippet(" a\n\n b\tc ", [(5, 6)]) == Snippet("a b c", ((2, 3),))


def test_the_match_is_shown_with_what_surrounds_it() -> None:
    text, highlights = _shown(WORDS, r"\bслово150\b", 60)
    assert highlights == ["слово150"]
    assert text.startswith(("…слово148 ", "…слово149 "))
    assert text.endswith("…")
    assert text.strip("…").split() == [word for word in WORDS.split() if word in text.strip("…").split()]


def test_the_match_is_shown_however_narrow_the_snippet_is() -> None:
    for width in range(8, 60):
        assert _shown("слово" * 3 + " " + "x" * 70 + "кот " + WORDS, "кот", width)[1] == ["кот"]


def test_the_place_with_most_matches_is_shown() -> None:
    text = "кот " + WORDS + " кот и кот и кот " + WORDS
    assert _shown(text, "кот")[1] == ["кот", "кот", "кот"]


def test_without_a_match_the_beginning_is_shown() -> None:
    found = snippet(WORDS, width=40)
    assert found == Snippet("слово0 слово1 слово2 слово3 слово4…", ())


def test_without_a_match_the_piece_that_means_it_is_shown() -> None:
    start = WORDS.index("слово150")
    assert snippet(WORDS, piece=(start, start + 100), width=40).text.startswith("…слово150 слово151")


def test_a_long_match_is_highlighted_as_far_as_it_is_shown() -> None:
    found = snippet("a " + "x" * 1_000, [(2, 1_002)], width=50)
    assert found.highlights == ((2, len(found.text) - 1),)


def test_white_space_within_a_match_shrinks_with_it() -> None:
    assert _shown("a  кот \n\n пёс b", r"кот\s+пёс") == ("a кот пёс b", ["кот пёс"])


def test_matches_that_overlap_are_one_highlight() -> None:
    assert snippet("abcdef", [(3, 5), (0, 2), (1, 3)]).highlights == ((0, 3), (3, 5))


def test_markup_stays_what_it_is() -> None:
    assert snippet("**b** <b>&amp;</b>").text == "**b** <b>&amp;</b>"


def test_a_wide_gap_before_the_match_is_no_reason_to_lose_it() -> None:
    assert _shown("a" + " \n" * 5_000 + "кот", "кот") == ("…кот", ["кот"])


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["a", "e\u0301\u0323", "क्षि", "👩🏽‍🚀", "🇩🇪", "\u1100\u1161", " ", "\n", "日"]),
        max_size=80,
    ),
    st.integers(8, 40),
    st.data(),
)
def test_a_snippet_is_a_line_of_whole_characters(parts: list[str], width: int, data: st.DataObject) -> None:
    text = "".join(parts)
    places = st.integers(0, len(text))
    spans = data.draw(st.lists(st.tuples(places, places)))
    found = snippet(text, spans, width=width)
    assert len(found.text) <= width + 2
    assert "\n" not in found.text
    assert "  " not in found.text
    inner = found.text.removeprefix("…").removesuffix("…")
    assert inner in " ".join(text.split())
    assert not inner or unicodedata.category(inner[0])[0] != "M"
    last = 0
    for start, end in found.highlights:
        assert last <= start < end <= len(found.text)
        last = end
    if any(start < end and text[start:end].strip() for start, end in spans):
        assert found.highlights or len(text) > width


def test_a_snippet_of_a_text_that_is_no_writing_takes_no_time() -> None:
    for text in (
        "a" + "\u0301" * 1_000_000,
        "\U0001f1e6" * 1_000_000,
        " " * 1_000_000 + "a",
        "x" * 1_000_000,
    ):
        started = time.perf_counter()
        found = snippet(text, [(999_000, 999_001)], width=60)
        assert len(found.text) <= 62
        assert time.perf_counter() - started < 0.5
