"""What a long text is cut into: everything covered, nothing too long, at places that make sense."""

import random
import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.search.pieces import MOST_PIECES, Piece, beginning, cut, estimated_tokens

ENGLISH = "The ferry leaves at seven. It carries forty cars, and nobody waits for those who are late! "
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. Поезд отправляется в полночь. "
CHINESE = "北京是中华人民共和国的首都。人工智能正在改变世界，许多人每天都在使用它。"

texts = st.text(
    st.one_of(st.characters(), st.sampled_from(" \n\t.!?。abcжюя1😀\u0301\u200d\ufdfa\0")), max_size=400
)


def parts(text: str, max_tokens: int) -> list[str]:
    return [text[piece.start : piece.end] for piece in cut(text, max_tokens)]


@given(texts, st.integers(16, 60))
def test_pieces_cover_all_that_is_visible_and_never_go_back(text: str, max_tokens: int) -> None:
    pieces = cut(text, max_tokens)
    if len(pieces) == MOST_PIECES:
        text = text[: pieces[-1].end]
    covered = set[int]()
    for piece in pieces:
        assert 0 <= piece.start < piece.end <= len(text)
        covered.update(range(piece.start, piece.end))
    assert all(before.start < after.start for before, after in pairwise(pieces))
    left_out = (text[place] for place in range(len(text)) if place not in covered)
    assert all(character.isspace() or unicodedata.category(character) == "Cc" for character in left_out)


@given(texts, st.integers(32, 60))
def test_no_piece_is_estimated_beyond_the_limit(text: str, max_tokens: int) -> None:
    for part in parts(text, max_tokens):
        assert estimated_tokens(part) <= max_tokens or len(part) == 1


@pytest.mark.parametrize("text", ["", " ", "\n\n\t", "\0\x07\x1f", "\u3000\u00a0"])
def test_nothing_visible_makes_no_piece(text: str) -> None:
    assert cut(text, 100) == ()
    assert beginning(text, 100) == ""


@pytest.mark.parametrize("text", ["hi", RUSSIAN, CHINESE])
def test_a_short_text_is_one_piece_without_its_margins(text: str) -> None:
    assert cut(f"\n {text.strip()} \n", 200) == (Piece(2, 2 + len(text.strip())),)


@pytest.mark.parametrize("sentence", [ENGLISH, RUSSIAN, CHINESE])
def test_pieces_overlap_by_about_an_eighth_and_end_with_sentences(sentence: str) -> None:
    text = sentence * 60
    pieces = cut(text, 300)
    assert len(pieces) > 4
    for before, after in pairwise(pieces):
        assert 0.04 < (before.end - after.start) / (before.end - before.start) < 0.25
        assert text[before.end - 1] in ".!。"
        assert text[: after.start].rstrip()[-1] in ".!。,，"


def test_a_paragraphs_end_is_preferred_to_a_sentences() -> None:
    text = ENGLISH * 4 + "\n\n" + ENGLISH * 4
    assert parts(text, 130)[0] == (ENGLISH * 4).strip()


def test_a_family_of_joined_emoji_is_not_torn() -> None:
    family = "👨\u200d👩\u200d👧\u200d👦"
    for part in parts(family * 60, 40):
        assert part.startswith("👨")
        assert part.endswith("👦")


def test_a_sign_that_becomes_a_sentence_counts_as_one() -> None:
    assert len(unicodedata.normalize("NFKC", "\ufdfa")) == 18
    assert all(len(part) < 300 / 4 for part in parts("\ufdfa" * 300, 300))


def test_dense_runs_make_shorter_pieces_than_prose() -> None:
    letters = random.Random(1).choices("ABCDEFabcdef0123456789+/", k=4000)
    assert len(parts("".join(letters), 500)[0]) < 800
    assert len(parts(ENGLISH * 60, 500)[0]) > 1000


@pytest.mark.parametrize("unit", [ENGLISH, "x", "\0", " \n", "\ufdfa", "\u200d", "\u0301", "😀", "9"])
def test_twenty_megabytes_cost_no_more_than_their_beginning(unit: str) -> None:
    text = (unit * (20_000_000 // len(unit)))[:20_000_000]
    began = time.process_time()
    pieces = cut(text, 510)
    assert time.process_time() - began < 2
    assert len(pieces) in (0, MOST_PIECES)


def test_the_beginning_is_the_first_piece() -> None:
    text = "  " + RUSSIAN * 50
    (first, *_) = cut(text, 100)
    assert beginning(text, 100).rstrip() == text[first.start : first.end]
