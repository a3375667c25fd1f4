"""Static limits of documents: counted as if fragments were expanded, in the time of what is written."""

from collections.abc import Callable

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    build_schema,
    get_introspection_query,
    get_operation_ast,
    parse,
    validate,
)
from hypothesis import HealthCheck, given, settings

from graphql_schema import limits
from graphql_schema.limits import Limits, check_document
from tests.graphql.documents import documents, doubling, entangled, limit, steps, wide


def exceeded(source: str, **allowed: int) -> list[str]:
    """The limits that the document exceeds; those that are not given are out of reach."""
    return [limit(error) for error in check_document(parse(source), wide(**allowed))]


@pytest.mark.parametrize("type_depth", [7, 9])
def test_the_introspection_queries_of_playgrounds_pass(type_depth: int) -> None:
    source = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        experimental_directive_deprecation=True,
        one_of=True,
        type_depth=type_depth,
    )
    document = parse(source, max_tokens=Limits().max_tokens)
    assert check_document(document, Limits()) == []
    assert validate(build_schema("type Query { id: ID }"), document) == []


def test_an_error_says_what_is_too_much_and_where() -> None:
    (error,) = check_document(parse("query Deep { a { b { c } } }"), wide(max_depth=2))
    assert error.message == (
        "The query 'Deep' has 3 levels of fields, its fragments included; the limit is 2. "
        "Fetch the inner objects by id."
    )
    assert error.extensions == {"code": "QUERY_TOO_COMPLEX", "limit": "depth", "maximum": 2}
    assert error.locations == [(1, 1)]


@pytest.mark.parametrize(
    ("source", "depth"),
    [
        ("{ a { b } }", 2),
        ("{ ... { ... on Query { a } } }", 1),
        ("{ a { ...F } } fragment F on A { b { ...G } } fragment G on B { c { d } }", 4),
        ("{ __schema { types { name } } }", 3),
        ("fragment F on A { b { c } } { a { ...G } } fragment G on A { d { ...F } }", 4),
        ("{ a { ...F } b } fragment F on A { ...F c { ...F } }", 2),
    ],
)
def test_depth_is_the_longest_way_through_fields_and_fragments(source: str, depth: int) -> None:
    assert exceeded(source, max_depth=depth) == []
    assert exceeded(source, max_depth=depth - 1) == ["depth"]


@pytest.mark.parametrize(
    ("source", "aliases"),
    [
        ("{ x: a { y: b c } }", 2),
        ("{ x: x }", 1),
        ("{" + "a { ...F } " * 10 + "} fragment F on A { x: b }", 10),
    ],
)
def test_aliases_count_wherever_their_fragment_is_spread(source: str, aliases: int) -> None:
    assert exceeded(source, max_aliases=aliases) == []
    assert exceeded(source, max_aliases=aliases - 1) == ["aliases"]


def test_directives_count_wherever_they_stand() -> None:
    source = """
        query ($v: Int @d) @d { a @d @d { ...F @d ... @d { b } } }
        fragment F on A @d { c @d }
    """
    assert exceeded(source, max_directives=8) == []
    assert exceeded(source, max_directives=7) == ["directives"]


def test_root_fields_count_through_fragments_but_not_below_fields() -> None:
    source = "{ a { x y z ...F } ...F ... { b ...F } } fragment F on Query { c d }"
    assert exceeded(source, max_root_fields=6) == []
    assert exceeded(source, max_root_fields=5) == ["rootFields"]


def test_definitions_are_limited() -> None:
    source = "query A { a } query B { b } fragment F on Query { a } fragment G on Query { a }"
    assert exceeded(source, max_operations=2, max_fragments=2) == []
    assert exceeded(source, max_operations=1, max_fragments=1) == ["fragments", "operations"]


def test_each_operation_is_judged_by_itself() -> None:
    source = "query A { ...F } mutation B { a { b } } subscription C { a } fragment F on Query { a { b } }"
    errors = check_document(parse(source), wide(max_depth=1))
    assert [error.message.split(" has ")[0] for error in errors] == ["The query 'A'", "The mutation 'B'"]


def test_definitions_of_types_are_refused_before_validation_compares_names_with_them() -> None:
    (error,) = check_document(parse("{ a } type Misspelt { id: ID }"), wide())
    assert "no definitions of types" in error.message
    assert error.locations == [(1, 7)]


@pytest.mark.parametrize(
    "source",
    [
        "{ ...Unknown }",
        "fragment Alone on Query { ...Alone }",
        "{ ...F } fragment F on Query { ...G } fragment G on Query { x: a ...F ...F ...G }",
        "{ ...F } fragment F on Query { a } fragment F on Query { x: b }",
        "{ a { } }",
    ],
)
def test_invalid_documents_are_left_to_validation(source: str) -> None:
    assert check_document(parse(source), Limits()) == []


def nested(depth: int) -> DocumentNode:
    """A document that the parser, which recurses, would not make."""
    node = FieldNode(name=NameNode(value="a"))
    for _ in range(depth - 1):
        selection_set = SelectionSetNode(selections=(InlineFragmentNode(selection_set=sole(node)),))
        node = FieldNode(name=NameNode(value="a"), selection_set=selection_set)
    operation = OperationDefinitionNode(operation=OperationType.QUERY, selection_set=sole(node))
    return DocumentNode(definitions=(operation,))


def sole(node: FieldNode) -> SelectionSetNode:
    return SelectionSetNode(selections=(node,))


def test_nesting_deeper_than_the_stack_is_counted() -> None:
    assert check_document(nested(5000), wide(max_depth=5000)) == []
    (error,) = check_document(nested(5000), wide(max_depth=4999))
    assert "5000 levels" in error.message


# Fragments that spread each other


@pytest.mark.parametrize("levels", [22, 49])
def test_fragments_that_spread_each_other_twice_are_counted_as_expanded(levels: int) -> None:
    counted = {"max_aliases": 2**levels, "max_directives": 2**levels, "max_root_fields": 2**levels}
    assert exceeded(doubling(levels), **counted) == []
    one_less = {name: count - 1 for name, count in counted.items()}
    assert exceeded(doubling(levels), **one_less) == ["aliases", "directives", "rootFields"]


def test_figures_beyond_any_use_are_not_written_out() -> None:
    (error,) = check_document(parse(doubling(49)), wide(max_aliases=30))
    assert "has over a billion aliases" in error.message


@pytest.mark.parametrize("make", [doubling, entangled])
@pytest.mark.parametrize("levels", [12, 22, 49])
def test_counting_takes_steps_in_proportion_to_what_is_written(
    make: Callable[[int], str], levels: int
) -> None:
    source = make(levels)
    document = parse(source)
    assert steps(limits, lambda: check_document(document, wide(max_field_pairs=0))) < 30 * len(source.split())


# Random documents


def expand(document: DocumentNode) -> dict[str, int]:
    """Depth, aliases, directives and root fields, by walking every way there is."""
    fragments = {
        node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
    }
    found = {"max_depth": 0, "max_aliases": 0, "max_directives": 0, "max_root_fields": 0}

    def walk(selection_set: SelectionSetNode, depth: int) -> None:
        for node in selection_set.selections:
            found["max_directives"] += len(node.directives or ())
            if isinstance(node, FieldNode):
                found["max_depth"] = max(found["max_depth"], depth + 1)
                found["max_aliases"] += node.alias is not None
                found["max_root_fields"] += depth == 0
                if node.selection_set:
                    walk(node.selection_set, depth + 1)
            elif isinstance(node, InlineFragmentNode):
                walk(node.selection_set, depth)
            elif isinstance(node, FragmentSpreadNode) and node.name.value in fragments:
                walk(fragments[node.name.value].selection_set, depth)

    operation = get_operation_ast(document)
    assert operation
    walk(operation.selection_set, 0)
    return found


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(documents(cycles=False))
def test_any_document_is_counted_as_if_its_fragments_were_expanded(document: DocumentNode) -> None:
    counts = expand(document)
    assert check_document(document, wide(**counts)) == []
    for name, count in counts.items():
        errors = check_document(document, wide(**{**counts, name: count - 1}))
        assert [error.extensions and error.extensions["maximum"] for error in errors] == [count - 1]
