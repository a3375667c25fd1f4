"""Documents made to be expensive, documents made at random, and how to count what they cost."""

import sys
from collections.abc import Callable
from functools import cache
from types import FrameType, ModuleType
from typing import Any

from graphql import DocumentNode, GraphQLError, parse
from hypothesis import strategies as st

from graphql_schema.limits import Limits

NAMES = ["F0", "F1", "F2", "F3"]


def limit(error: GraphQLError) -> str:
    """The limit that an error names."""
    assert error.extensions
    assert error.extensions["code"] == "QUERY_TOO_COMPLEX"
    return str(error.extensions["limit"])


def wide(**allowed: int) -> Limits:
    """Limits of which only the given ones are within reach."""
    return Limits(**dict.fromkeys(Limits.__dataclass_fields__, 10**300) | allowed)


def steps(module: ModuleType, work: Callable[[], object]) -> int:
    """How many lines of the module run, which says more than a clock would."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != module.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def doubling(levels: int) -> str:
    """Fragments each of which spreads the next one twice."""
    fragments = (f"fragment F{i} on Query {{ ...F{i + 1} ...F{i + 1} }}" for i in range(levels))
    return f"{{ ...F0 }} {' '.join(fragments)} fragment F{levels} on Query {{ x: id @skip(if: false) }}"


def entangled(levels: int) -> str:
    """Fragments that spread all of them, themselves included."""
    spreads = " ".join(f"...F{i}" for i in range(levels))
    return f"{{ {spreads} }} " + " ".join(f"fragment F{i} on Query {{ {spreads} id }}" for i in range(levels))


@cache
def selections(*spreads: str) -> st.SearchStrategy[str]:
    """What may stand between braces, with spreads of these fragments."""
    leaves = ["id", "x: id", "x: parent { id }", "id @skip(if: true)", *(f"...{name}" for name in spreads)]
    heads = ["parent", "y: user", "user @skip(if: false)", "... on User", "... @include(if: true)"]

    def wrap(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        body = st.lists(inner, min_size=1, max_size=3).map(" ".join)
        return st.builds("{} {{ {} }}".format, st.sampled_from(heads), body)

    return st.lists(st.recursive(st.sampled_from(leaves), wrap, max_leaves=6), min_size=1, max_size=4).map(
        " ".join
    )


@st.composite
def documents(draw: st.DrawFn, *, cycles: bool) -> DocumentNode:
    """A query and four fragments in any order; with or without cycles of spreads."""
    parts = [f"{{ {draw(selections(*NAMES, 'Missing'))} }}"]
    for i, name in enumerate(NAMES):
        type_name = draw(st.sampled_from(["Query", "User", "Node", "ID"]))
        spreads = NAMES if cycles else NAMES[i + 1 :]
        parts.append(f"fragment {name} on {type_name} {{ {draw(selections(*spreads))} }}")
    return parse(" ".join(draw(st.permutations(parts))))
