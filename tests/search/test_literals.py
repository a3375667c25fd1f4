import pytest
from hypothesis import example, given, settings

from core.search.folding import folded
from core.search.literals import MAX_LITERALS, AllOf, AnyOf, Condition, Literal
from core.search.patterns import compile_pattern, compile_words
from core.search.syntax import InvalidPattern
from tests.search.regexes import holds, patterns, texts


def _any(*texts: str) -> AnyOf:
    return AnyOf(tuple(map(Literal, texts)))


def _all(*texts: str) -> AllOf:
    return AllOf(tuple(map(Literal, texts)))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Котик", Literal("котик")),
        ("Ещё", Literal("еще")),
        ("Straße", Literal("strasse")),
        (r"\d+", None),
        (".*", None),
        ("a|b", None),
        ("котик|a", None),
        ("кот|пёс", _any("кот", "пес")),
        ("(кот|пёс)ик", _any("котик", "песик")),
        ("colou?r", _any("color", "colour")),
        ("[её]жик", Literal("ежик")),
        ("[аб]лок", _any("алок", "блок")),
        ("[а-я]лок", Literal("лок")),
        ("[^аб]лок", Literal("лок")),
        (r"котик\s+пёсик", _all("котик", "песик")),
        (r"\bкотик\b", Literal("котик")),
        ("(abc)+", Literal("abc")),
        ("(abc)*", None),
        ("ab+c", None),
        ("abb+c", Literal("abb")),
        ("a{3}", Literal("aaa")),
        ("a{2,}", Literal("aaa")),
        ("(ab){2,}", Literal("abab")),
        ("(котик.*|пёсик)х", _any("котик", "песикх")),
        ("a\\0bcd", Literal("bcd")),
        ("\U0003fffdbcd", Literal("bcd")),
    ],
)
def test_what_each_match_must_contain(source: str, expected: Condition | None) -> None:
    found = compile_pattern(source).required
    if source in {"a{2,}", "(котик.*|пёсик)х"}:  # sound, and less than could be said
        assert found in (None, expected, _any("котик", "песик"))
    else:
        assert found == expected


@settings(deadline=None, max_examples=400)
@example(r"a+abb", "aaabb")
@example("(?:кот|abb){2,}", "abbкот")
@given(patterns(), texts)
def test_no_match_lacks_what_is_required(source: str, text: str) -> None:
    try:
        pattern = compile_pattern(source)
    except InvalidPattern:
        return
    for times in (1, 3):
        if pattern.matches(text * times):
            assert holds(pattern.required, folded(text * times))


def test_a_condition_is_bounded() -> None:
    def size(condition: Condition | None) -> int:
        if condition is None:
            return 0
        return 1 if isinstance(condition, Literal) else sum(map(size, condition.conditions))

    alternatives = compile_pattern("|".join(f"a{number:03}" for number in range(199)))
    assert alternatives.required is None
    many = compile_pattern(".".join(f"a{number:03}" for number in range(199)))
    assert 0 < size(many.required) <= MAX_LITERALS


def test_words_require_their_letters_if_they_are_long_enough() -> None:
    required = [word.required for word in compile_words("ёжик и котик")]
    assert required == [Literal("ежик"), None, Literal("котик")]
