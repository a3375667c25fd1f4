"""Random regular expressions in what Python and this search have in common, and texts for them."""

from hypothesis import strategies as st

from core.search.literals import AllOf, AnyOf, Condition, Literal

_CHARACTERS = "abAB1_ -\nкотКОТ\u0435\u0451ж😀\u0301ſkß"
_ATOMS = [*"abB1-ктО😀\u0435\u0451", "_", "кот", "abb", "k", "ß"]
_CLASSES = [
    ".",
    r"\w",
    r"\W",
    r"\d",
    r"\D",
    r"\s",
    r"\S",
    "[ab]",
    "[^a]",
    "[а-я]",
    "[^к-о]",
    r"[\w-]",
    r"[^\W\d]",
    r"[\W1]",
    r"[^\s_]",
    r"[\S]",
    "[\u0451-]",
    "[^\u0435]",
    "[a-z_]",
]
_COUNTS = ["*", "+", "?", "{2}", "{1,2}", "{2,}", "{,1}", "*?", "+?", "??"]

texts = st.text(alphabet=_CHARACTERS, max_size=14)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.lists(inner, min_size=2, max_size=4).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(_COUNTS)).map(lambda pair: f"({pair[0]}){pair[1]}"),
    )


def patterns(*, edges: tuple[str, ...] = (r"\b", r"\B")) -> st.SearchStrategy[str]:
    """Patterns of which Python says the same, but for ё."""
    atoms = st.sampled_from(_ATOMS + _CLASSES)
    leaves = st.one_of(atoms, st.sampled_from(edges)) if edges else atoms
    bodies = st.recursive(leaves, _larger, max_leaves=8)
    return st.tuples(
        st.sampled_from(["", "", "(?m)", "(?s)", "(?ms)"]),
        st.sampled_from(["", "", "", "^", r"\A"]),
        bodies,
        st.sampled_from(["", "", "", "$", r"\Z"]),
    ).map("".join)


def holds(condition: Condition | None, folded: str) -> bool:
    """Whether a folded text meets the condition."""
    match condition:
        case Literal(text):
            return text in folded
        case AllOf(conditions):
            return all(holds(part, folded) for part in conditions)
        case AnyOf(conditions):
            return any(holds(part, folded) for part in conditions)
    return True
