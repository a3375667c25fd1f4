"""Validation compares fields in pairs: what passes the limits keeps that bounded."""

from collections.abc import Callable, Iterator
from unittest.mock import patch

import pytest
from graphql import DocumentNode, build_schema, parse, validate
from graphql.validation import OverlappingFieldsCanBeMergedRule
from graphql.validation.rules import overlapping_fields_can_be_merged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphql_schema import limits
from graphql_schema.limits import Limits, check_document
from tests.graphql.documents import documents, entangled, limit, steps, wide

SCHEMA = build_schema("""
    interface Node { id: ID! parent: Node }
    type Query implements Node { id: ID! parent: Node user: User users(first: Int): UserConnection }
    type User implements Node { id: ID! parent: Node name: String friends(first: Int): UserConnection }
    type UserConnection { edges: [UserEdge] pageInfo: PageInfo totalCount: Int }
    type UserEdge { cursor: String node: User }
    type PageInfo { hasNextPage: Boolean endCursor: String }
""")


def comparisons(document: DocumentNode) -> int:
    """How many pairs of fields graphql-core compares."""
    rule = overlapping_fields_can_be_merged
    with patch.object(rule, "find_conflict", wraps=rule.find_conflict) as find_conflict:
        validate(SCHEMA, document, [OverlappingFieldsCanBeMergedRule], max_errors=10**6)
    return find_conflict.call_count


def fragments(count: int, selected: str) -> str:
    names = range(count)
    definitions = (f"fragment F{i} on Query {{ {selected} }}" for i in names)
    return "{" + " ".join(f"...F{i}" for i in names) + "}" + " ".join(definitions)


def doubled_fields(depth: int) -> str:
    return "user { name }" if depth == 0 else f"user {{ {doubled_fields(depth - 1)} }} " * 2


def exclusive(count: int) -> str:
    return "{ parent {" + "... on Query { parent { id } } ... on User { parent { id } } " * count + "} }"


ADVERSARIES: dict[str, Callable[[int], str]] = {
    "copies of a field": lambda n: "{" + "id " * n + "}",
    "copies with selections": lambda n: "{" + "user { parent { id } } " * n + "}",
    "copies with arguments": lambda n: "{" + "users(first: 1) { totalCount } " * n + "}",
    "two copies on each level": lambda n: "{" + doubled_fields(n) + "}",
    "fragments of one field": lambda n: fragments(n, "id"),
    "fragments of copies": lambda n: fragments(n, "user { id } " * 5),
    "fragments of fragments": entangled,
    "types that exclude each other": exclusive,
    "fields that conflict": lambda n: "{" + "user { x: id } user { x: name } " * n + "}",
}


def growing(make: Callable[[int], str]) -> Iterator[DocumentNode]:
    for size in range(1, 400):
        yield parse(make(size), max_tokens=20_000)


def test_copies_of_a_field_count_as_their_square() -> None:
    document = parse("{ id id id id x: id }")
    assert check_document(document, wide(max_field_pairs=4 * 4 + 1)) == []
    (error,) = check_document(document, wide(max_field_pairs=4 * 4))
    assert limit(error) == "fieldPairs"
    assert "Select each field once" in error.message


@pytest.mark.parametrize("make", ADVERSARIES.values(), ids=ADVERSARIES.keys())
def test_what_passes_costs_validation_a_bounded_number_of_comparisons(make: Callable[[int], str]) -> None:
    for document in growing(make):
        if check_document(document, wide(max_field_pairs=1000)):
            break
        assert comparisons(document) <= 4 * 1000
    else:
        pytest.fail("no size of this document is refused")


@pytest.mark.parametrize("make", ADVERSARIES.values(), ids=ADVERSARIES.keys())
def test_counting_pairs_gives_up_at_the_limit(make: Callable[[int], str]) -> None:
    size = 8 if make is ADVERSARIES["two copies on each level"] else 40
    document = parse(make(size), max_tokens=20_000)
    taken = steps(limits, lambda: check_document(document, wide(max_field_pairs=500)))
    assert taken < 30 * len(make(size).split()) + 10 * 500


def component(number: int, children: list[int]) -> str:
    """A fragment as Apollo's client sends it; every fourth shows a list, whose items others show."""
    spreads = " ".join(f"...Component{child}" for child in children)
    if number % 4:
        return f"fragment Component{number} on User {{ __typename id name {spreads} }}"
    return f"""
        fragment Component{number} on User {{
            __typename id
            friends(first: 10) {{
                __typename totalCount
                pageInfo {{ __typename hasNextPage endCursor }}
                edges {{ __typename cursor node {{ __typename id {spreads} }} }}
            }}
        }}
    """


def test_a_screen_of_forty_components_passes() -> None:
    children = {i: [child for child in range(3 * i + 1, 3 * i + 4) if child < 40] for i in range(40)}
    source = "query Screen { user { __typename id ...Component0 } }"
    source += "".join(component(number, below) for number, below in children.items())
    document = parse(source, max_tokens=Limits().max_tokens)
    assert check_document(document, Limits()) == []
    assert validate(SCHEMA, document) == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(cycles=True), st.integers(1, 200))
def test_any_document_that_passes_costs_validation_a_bounded_number_of_comparisons(
    document: DocumentNode, allowed: int
) -> None:
    if not check_document(document, wide(max_field_pairs=allowed)):
        assert comparisons(document) <= 4 * allowed
