"""Costs of operations: weights of fields, multiplied by the sizes of the lists that they stand in."""

from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
import strawberry
from graphql import build_schema, get_introspection_query, get_operation_ast, parse, validate
from strawberry.schema.schema_converter import GraphQLCoreConverter

from core.settings import Settings
from graphql_schema import costs
from graphql_schema.costs import MOST, Cost, CostModel, ListSize
from tests.graphql.documents import steps


@strawberry.enum
class Color(Enum):
    RED = "red"


@strawberry.interface
class Node:
    id: strawberry.ID
    parent: "Node"


@strawberry.type
class Message(Node):
    text: str
    color: Color
    tags: list[str]
    digest: str = strawberry.field(directives=[Cost(weight=7)])
    replies: list["Message"]
    history: list["Message"] = strawberry.field(directives=[ListSize(assumed_size=3)])


@strawberry.type
class PageInfo:
    end_cursor: str


@strawberry.type
class MessageEdge:
    node: Message


@strawberry.type
class MessageConnection:
    edges: list[MessageEdge]
    nodes: list[Message]
    page_info: PageInfo
    total_count: int


def messages(first: int | None = None, last: int | None = None) -> MessageConnection:
    raise AssertionError((first, last))  # costs are known without a resolver


@strawberry.type
class Thread(Node):
    title: str
    pinned: MessageConnection
    messages: MessageConnection = strawberry.field(
        resolver=messages,
        directives=[ListSize(assumed_size=50, slicing_arguments=["first", "last"])],
    )


@strawberry.type
class ThreadConnection:
    nodes: list[Thread]


def threads(first: int = 20, last: int | None = None) -> ThreadConnection:
    raise AssertionError((first, last))  # costs are known without a resolver


@strawberry.type
class Query:
    thread: Thread
    node: Node
    hit: Annotated[Thread | Message, strawberry.union("Hit")]
    threads: ThreadConnection = strawberry.field(
        resolver=threads, directives=[ListSize(slicing_arguments=["first", "last"]), Cost(weight=5)]
    )


@strawberry.type
class Mutation:
    log_out: bool
    import_thread: Thread = strawberry.field(directives=[Cost(weight=100)])


@strawberry.type
class Subscription:
    thread: Thread


STRAWBERRY = strawberry.Schema(Query, Mutation, Subscription)
SCHEMA = STRAWBERRY._schema  # noqa: SLF001
MODEL = CostModel(SCHEMA)


def cost(source: str, name: str | None = None, **variables: Any) -> int:
    document = parse(source)
    assert validate(SCHEMA, document) == []
    operation = get_operation_ast(document, name)
    assert operation
    return MODEL.of(document, operation, variables)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{ thread { id title } }", 1),
        ("{ hit { ... on Message { text color tags digest } } }", 1 + 7),
        ("mutation { logOut }", 10),
        ("mutation { importThread { id } }", 100),
        ("subscription { thread { pinned { totalCount } } }", 10 + 1),
        ("{ __typename __schema { types { name } } thread { __typename } }", 4001),
    ],
)
def test_leaves_are_free_objects_cost_one_and_root_fields_of_changes_more(source: str, expected: int) -> None:
    assert cost(source) == expected


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        ("text", 0),
        ("replies { id }", 1),
        ("replies { parent { id } }", 1 + 10 * 1),
        ("history { parent { id } }", 1 + 3 * 1),
        ("replies { history { parent { id } } }", 1 + 10 * (1 + 3 * 1)),
    ],
)
def test_a_list_multiplies_what_is_below_by_its_assumed_size(selected: str, expected: int) -> None:
    assert cost(f"{{ hit {{ ... on Message {{ {selected} }} }} }}") == 1 + expected


def of_threads(size: int) -> int:
    """The cost of `threads { nodes { id } }`."""
    return 5 + size * 1


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ("", 20),
        ("(first: 3)", 3),
        ("(first: 100)", 100),
        ("(first: 101)", 101),
        ("(first: 2147483647)", 2147483647),
        ("(last: 30)", 30),
        ("(last: 5)", 20),
        ("(first: 3, last: 5)", 5),
        ("(first: 0)", 10),
        ("(first: -5)", 10),
        ("(first: 3, last: null)", 3),
    ],
)
def test_the_largest_slicing_argument_is_the_size(arguments: str, size: int) -> None:
    """`first: 20` is the argument's default, and 10 is assumed where nothing says a size."""
    assert cost(f"{{ threads{arguments} {{ nodes {{ id }} }} }}") == min(of_threads(size), MOST)


@pytest.mark.parametrize(
    ("definition", "variables", "size"),
    [
        ("$n: Int", {"n": 7}, 7),
        ("$n: Int", {"n": 7.0}, 7),
        ("$n: Int", {"n": -7}, 50),
        ("$n: Int", {"n": None}, 50),
        ("$n: Int", {"n": True}, 50),
        ("$n: Int", {"n": "7"}, 50),
        ("$n: Int", {"n": float("inf")}, 50),
        ("$n: Int", {"n": [7]}, 1),  # and then refused
        ("$n: Int", {}, 50),
        ("$n: Int = 4", {}, 4),
        ("$n: Int = 4", {"n": 7}, 7),
        ("$n: Int = 4", {"n": None}, 50),
    ],
)
def test_a_variable_gives_the_size(definition: str, variables: dict[str, Any], size: int) -> None:
    source = f"query ({definition}) {{ thread {{ messages(first: $n) {{ nodes {{ id }} }} }} }}"
    assert cost(source, **variables) == 1 + 1 + size * 1


@pytest.mark.parametrize(
    ("arguments", "variables", "size"),
    [
        ("first: $n", {}, 20),
        ("first: $n", {"n": 7}, 7),
        ("last: $n", {"n": 7}, 20),
        ("first: $n, last: $m", {"n": 7, "m": 30}, 30),
        ("first: 3, last: $m", {}, 3),
        ("first: 30, last: $m", {"m": 7}, 30),
    ],
)
def test_variables_join_literals_and_defaults_of_arguments(
    arguments: str, variables: dict[str, Any], size: int
) -> None:
    definitions = " ".join(f"{name}: Int" for name in ("$n", "$m") if name in arguments)
    assert cost(f"query ({definitions}) {{ threads({arguments}) {{ nodes {{ id }} }} }}", **variables) == (
        of_threads(size)
    )


def test_connections_multiply_each_other_and_their_lists_count_once() -> None:
    source = """
        query ($inner: Int) {
            threads(first: 4) {
                nodes {
                    messages(first: $inner) { edges { node { id parent { id } } } pageInfo { endCursor } }
                }
            }
        }
    """
    message = 1 + 1  # node and parent
    messages = 1 + 6 * (1 + message + 1)  # edges and pageInfo once an item: above the truth, and simple
    assert cost(source, inner=6) == 5 + 4 * (1 + messages)


def test_a_connection_without_a_declared_size_is_assumed_to_hold_ten() -> None:
    assert cost("{ thread { pinned { nodes { id } } } }") == 1 + 1 + 10 * 1


def test_what_directives_may_skip_is_counted() -> None:
    source = "query ($v: Boolean!) { thread @skip(if: true) { parent @include(if: $v) { id } } }"
    assert cost(source, v=False) == 2


def test_an_abstract_selection_costs_what_is_selected_on_each_type() -> None:
    source = """{
        node {
            id parent { id }
            ... on Message { digest }
            ... on Thread { messages(first: 2) { nodes { id } } }
        }
        hit { __typename ... on Node { parent { id } } ...OnThread }
    }
    fragment OnThread on Thread { pinned { totalCount } }"""
    node = 1 + 1 + 7 + (1 + 2 * 1)
    hit = 1 + 1 + 1
    assert cost(source) == node + hit


def test_each_operation_has_its_own_cost_and_defaults() -> None:
    source = """
        query A($n: Int = 2) { thread { ...F } }
        query B($n: Int) { thread { ...F } }
        mutation C { logOut }
        fragment F on Thread { messages(first: $n) { nodes { id } } }
    """
    assert cost(source, "A") == 1 + 1 + 2
    assert cost(source, "A", n=8) == 1 + 1 + 8
    assert cost(source, "B") == 1 + 1 + 50
    assert cost(source, "C") == 10


def doubling(levels: int, innermost: str) -> str:
    fragments = (f"fragment F{i} on Thread {{ ...F{i + 1} ...F{i + 1} }}" for i in range(levels))
    return f"{{ thread {{ ...F0 }} }} {' '.join(fragments)} fragment F{levels} on Thread {{ {innermost} }}"


@pytest.mark.parametrize("innermost", ["parent { id }", "messages(first: $n) { totalCount }"])
def test_fragments_that_spread_each_other_twice_cost_what_they_expand_to(innermost: str) -> None:
    head = "query ($n: Int)" if "$n" in innermost else "query"
    assert cost(head + doubling(22, innermost)) == 1 + 2**22
    assert cost(head + doubling(49, innermost)) == MOST


def test_costing_takes_steps_in_proportion_to_what_is_written() -> None:
    source = "query ($n: Int)" + doubling(49, "messages(first: $n) { nodes { parent { id } } }")
    document = parse(source)
    operation = get_operation_ast(document)
    assert operation
    assert steps(costs, lambda: MODEL.of(document, operation, {"n": 1})) < 30 * len(source.split())


def test_a_request_may_ask_for_the_schema_twice_and_no_more() -> None:
    """It is made in one go, which nothing else can interrupt."""
    once = cost(get_introspection_query())
    assert 2 * once <= Settings(_env_file=None).graphql_max_cost < 3 * once
    assert cost('{ a: __type(name: "Message") { name } b: __type(name: "Node") { fields { name } } }') == 400
    assert cost("{ __typename }") == 0


@pytest.mark.parametrize(
    ("query", "variables", "size"),
    [
        ("{ nodes(ids: [1, 2, 3]) { parent { id } } }", {}, 3),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { parent { id } } }", {"ids": ["1"] * 100}, 100),
        ('query ($ids: [ID!]! = ["1", "2"]) { nodes(ids: $ids) { parent { id } } }', {}, 2),
    ],
)
def test_an_argument_that_is_a_list_counts_by_its_length(
    query: str, variables: dict[str, Any], size: int
) -> None:
    schema = build_schema("type Query { nodes(ids: [ID!]!): [A] } type A { parent: A id: ID }")
    definition = SimpleNamespace(directives=[ListSize(slicing_arguments=["ids"])])
    root = schema.query_type
    assert root
    root.fields["nodes"].extensions = {GraphQLCoreConverter.DEFINITION_BACKREF: definition}
    document = parse(query)
    operation = get_operation_ast(document)
    assert operation
    assert CostModel(schema).of(document, operation, variables) == 1 + size


@pytest.mark.parametrize(
    ("definition", "expected"), [("$first: Int", MOST), ("$first: Int, $id: ID", of_threads(20))]
)
def test_numbers_without_end_can_be_costed(definition: str, expected: int) -> None:
    """Python refuses to read them; graphql-core refuses them as an Int, later."""
    selection = "{ threads(first: $first) { nodes { id } } }"
    document = parse(f"query ({definition} = {'9' * 5000}) {selection}")
    operation = get_operation_ast(document)
    assert operation
    assert MODEL.of(document, operation, {}) == expected


def test_a_schema_without_directives_has_the_default_costs() -> None:
    schema = build_schema("type Query { a: [A] b: A } type A { a(first: Int): [A] id: ID }")
    document = parse("{ a { a(first: 2) { b: a { id } } } b { id } }")
    operation = get_operation_ast(document)
    assert operation
    assert CostModel(schema).of(document, operation, {}) == 1 + 10 * (1 + 10 * 1) + 1


def test_a_slicing_argument_that_the_field_lacks_is_refused_when_the_model_is_built() -> None:
    @strawberry.type
    class Wrong:
        items: list[Message] = strawberry.field(directives=[ListSize(slicing_arguments=["first"])])

    with pytest.raises(ValueError, match=r"@listSize on Wrong.items names arguments it has not: \['first'\]"):
        CostModel(strawberry.Schema(Wrong)._schema)  # noqa: SLF001


def test_the_schema_shows_its_costs() -> None:
    sdl = STRAWBERRY.as_str()
    assert "directive @cost(weight: Int!) on FIELD_DEFINITION" in sdl
    assert "directive @listSize(assumedSize: Int, slicingArguments: [String!]) on FIELD_DEFINITION" in sdl
    assert 'ThreadConnection! @listSize(slicingArguments: ["first", "last"]) @cost(weight: 5)' in sdl
    assert "[Message!]! @listSize(assumedSize: 3)" in sdl
