import sys
import time
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from core.search.engine import compiled
from core.search.folding import begins_anew, composed, folded

EVERY = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
# Python and RE2 may know different versions of Unicode; literals.py leaves new letters out.
KNOWN = [char for char in EVERY if unicodedata.category(char) != "Cn"]


def _is_cased(char: str) -> bool:
    return {char.lower(), char.upper(), char.title(), char.casefold()} != {char}


def test_yo_is_found_without_its_dots_and_however_it_is_encoded() -> None:
    assert folded("Ёж") == folded("еж") == folded("Е\u0308ж") == "еж"


def test_short_i_keeps_its_sign() -> None:
    assert folded("и\u0306") == "й" != folded("и")


def test_what_the_engine_takes_for_the_same_letter_is_folded_to_the_same() -> None:
    cased = [char for char in KNOWN if _is_cased(char)]
    others = [char for char in KNOWN if not _is_cased(char)]
    letters = [char for char in others if unicodedata.category(char) in {"Lu", "Ll", "Lt", "Nl", "So", "Mn"}]
    for group in (cased, letters):
        text = "".join(group)
        for char in group:
            found = {match.group() for match in compiled(f"\\x{{{ord(char):x}}}").finditer(text)}
            assert {folded(other) for other in found} == {folded(char)}


def test_no_letter_without_case_is_taken_for_one_that_has_it() -> None:
    text = "".join(char for char in KNOWN if _is_cased(char))
    others = [char for char in KNOWN if not _is_cased(char)]
    for start in range(0, len(others), 5_000):
        inside = "".join(f"\\x{{{ord(char):x}}}" for char in others[start : start + 5_000])
        assert not list(compiled(f"[{inside}]").finditer(text))


def test_every_code_point_is_folded_for_itself() -> None:
    text = composed("".join(KNOWN))
    assert folded(text) == "".join(map(folded, text))


def test_a_text_may_be_cut_before_what_begins_anew() -> None:
    joining = {
        parts[1]
        for char in KNOWN
        if len(parts := unicodedata.decomposition(char).split()) == 2 and not parts[0].startswith("<")
    }
    for char in KNOWN:
        if begins_anew(char):
            whole = unicodedata.normalize("NFD", char)[0]
            assert unicodedata.combining(whole) == 0
            assert f"{ord(char):04X}" not in joining


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["e\u0301", "\u1112\u1161\u11ab", "e", "д", "и\u0306\u0301", "日", "😀", " "]))
)
def test_a_long_text_is_composed_as_a_short_one(parts: list[str]) -> None:
    text = "".join(parts) * 300
    assert composed(text) == unicodedata.normalize("NFC", text)


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_a_part_of_a_composed_text_is_a_part_of_the_folded_one(before: str, part: str, behind: str) -> None:
    whole = composed(before + part + behind)
    for start in range(len(whole)):
        assert "".join(map(folded, whole[start : start + 4])) in folded(whole)


def test_a_text_of_nothing_but_marks_takes_no_quadratic_time() -> None:
    started = time.perf_counter()
    composed("a" + "\u0301\u0316" * 50_000)
    assert time.perf_counter() - started < 5  # in one go: 10 s and more, in which no other thread runs
