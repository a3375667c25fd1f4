"""What the executor answers is what graphql-core answers, whatever the document and the data."""

import asyncio
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from graphql import (
    DocumentNode,
    ExecutionResult,
    NoUnusedFragmentsRule,
    NoUnusedVariablesRule,
    execute,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    parse,
    specified_rules,
    validate,
)
from graphql.execution import Executor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphql_schema.executor import MOST_VARIANTS, AttributeExecutor, Plans
from tests.graphql.every_field import (
    ATTRIBUTES,
    ODD_VALUES,
    SCHEMA,
    Item,
    Point,
    Query,
    Recipe,
    item_of,
    recipes,
)

FRAGMENTS = """
fragment ItemParts on Item { name flag child { ...NamedParts number } slow point { x } }
fragment NamedParts on Named { name __typename ... on Other { size } }
fragment PointParts on Point { y owner { name ident } }
"""
SPREADS = {
    "Point": ["PointParts"],
    "Other": ["NamedParts"],
    **{name: ["ItemParts", "NamedParts"] for name in ("Item", "Named", "Either")},
}
DIRECTIVES = ["@skip(if: $yes)", "@include(if: $yes)", "@include(if: $maybe)", "@skip(if: true)"]


def _document(random: Random) -> str:
    kind = random.choice(["query", "query", "mutation"])
    selections = _selections(random, kind.title(), 4)
    return f"{kind} ($yes: Boolean!, $maybe: Boolean = true, $n: Int = 2) {selections} {FRAGMENTS}"


def _selections(random: Random, type_name: str, depth: int) -> str:
    parts = [_selection(random, type_name, depth) for _ in range(random.randint(1, 4))]
    return "{ " + " ".join(parts) + " }"


def _selection(random: Random, type_name: str, depth: int) -> str:
    directive = random.choice(DIRECTIVES) if random.random() < 0.1 else ""
    kind = random.choice(["field"] * 8 + ["__typename", "inline", "spread"])
    type_: Any = SCHEMA.type_map[type_name]
    if kind == "spread" and type_name in SPREADS:
        return f"...{random.choice(SPREADS[type_name])} {directive}"
    if is_abstract_type(type_) and (kind == "inline" or type_name == "Either"):
        type_name = random.choice(["Item", "Other"])
        return f"... on {type_name} {directive} {_selections(random, type_name, depth)}"
    if kind == "inline" and depth:
        return f"... {directive} {_selections(random, type_name, depth - 1)}"
    fields = {name: get_named_type(definition.type) for name, definition in type_.fields.items()}
    names = [name for name, named in fields.items() if depth or is_leaf_type(named)]
    if kind == "__typename" or not names:
        return f"{random.choice(['', 'kind: '])}__typename {directive}"
    name = random.choice(names)
    # The same response name always has the same arguments, or the fields could not be merged.
    alias, arguments = random.choice([("", ""), (f"{name}_a:", "(n: 5)"), (f"{name}_b:", "(n: $n)")])
    if "n" not in type_.fields[name].args:
        arguments = ""
    below = "" if is_leaf_type(fields[name]) else _selections(random, fields[name].name, depth - 1)
    return f"{alias} {name}{arguments} {directive} {below}"


_documents = st.randoms(use_true_random=True).map(_document)
_variables = st.fixed_dictionaries(
    {"yes": st.booleans()}, optional={"maybe": st.booleans() | st.none(), "n": st.integers(0, 9) | st.none()}
)


ADDRESS = re.compile(" at 0x[0-9a-f]+")


def _told(result: ExecutionResult) -> tuple[Any, ...]:
    """All that a client, or a log, is told; the order of keys and errors counts, addresses do not."""
    errors = [
        (ADDRESS.sub("", error.message), error.path, error.locations, type(error.original_error))
        for error in result.errors or ()
    ]
    return ADDRESS.sub("", repr(result.data)), errors


async def _execute(
    document: DocumentNode, root: Query, variables: dict[str, Any], **options: Any
) -> tuple[Any, ...]:
    calls: list[str] = []
    result = execute(SCHEMA, document, root, calls, variables, **options)
    if not isinstance(result, ExecutionResult):
        result = await result
    # What a failure left behind is settled in the background.
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    return *_told(result), calls


async def _assert_same(
    document: DocumentNode,
    root: Callable[[], Query],
    *several_variables: dict[str, Any],
) -> None:
    """Executions of one document, the later ones by what the earlier ones found out."""
    plans: Plans = {}
    for variables in several_variables:
        expected = await _execute(document, root(), variables, executor_class=Executor)
        actual = await _execute(document, root(), variables, executor_class=AttributeExecutor, plans=plans)
        assert actual == expected


_RULES = [rule for rule in specified_rules if rule not in (NoUnusedFragmentsRule, NoUnusedVariablesRule)]


@given(
    text=_documents, variables=_variables, others=_variables, item=st.none() | recipes(2), start=recipes(2)
)
@settings(derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
# Of graphql-core: what it cancels before it began, it does not close.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_every_answer_is_that_of_graphql_core(
    text: str, variables: dict[str, Any], others: dict[str, Any], item: Recipe | None, start: Recipe
) -> None:
    document = parse(text)
    assert validate(SCHEMA, document, _RULES) == []
    root = lambda: Query(item=item.build() if item else None, start=start.build())  # noqa: E731
    asyncio.run(_assert_same(document, root, others, variables, variables))


@pytest.mark.parametrize("attribute", ATTRIBUTES)
async def test_every_odd_value_of_an_attribute_is_judged_by_graphql_core(attribute: str) -> None:
    below = {
        "point": "{ x y owner { name } }",
        "points": "{ x y owner { name } }",
        "page": "{ total nodes { x y kind: __typename } }",
        "other": "{ name size }",
        "either": "{ ... on Item { name } ... on Other { name size item { name number } } }",
        "anyone": "{ __typename name ... on Other { size item { name number } } }",
    }.get(attribute, "")
    name = "maybeNumber" if attribute == "maybe_number" else attribute
    bare = f"bare: {name} {{ __typename }}" if below else ""
    document = parse(f"{{ items {{ number {bare} {name} {below} }} }}")
    for value in ODD_VALUES:
        await _assert_same(
            document,
            lambda value=value: Query(item=item_of(**{attribute: value()}), start=item_of()),  # type: ignore[misc]
            {},
        )


class _Noting(AttributeExecutor):
    """Notes which fields take graphql-core's way, resolver and all."""

    def build_resolve_info(self, *args: Any) -> Any:
        info = super().build_resolve_info(*args)
        self.context_value.append(f"info of {info.field_name}")
        return info


async def _fields_with_an_info(text: str, item: Item) -> list[str]:
    options = {"executor_class": _Noting}
    _, errors, calls = await _execute(parse(text), Query(item=item, start=item), {}, **options)
    assert errors == []
    return [call.removeprefix("info of ") for call in calls if call.startswith("info of ")]


async def test_fields_that_only_read_an_attribute_take_no_resolver() -> None:
    everything = """{ item {
        __typename name text number maybeNumber ratio flag colour shape ident moment extra words matrix
        point { x y owner { name } } points { x } page { total nodes { x } } items { total nodes { name } }
        child { name } children { number }
    } }"""
    item = item_of(child=item_of(), children=[item_of()], point=Point(x=1, y=2, owner=item_of()))
    assert await _fields_with_an_info(everything, item) == ["item"]
    assert await _fields_with_an_info("{ items { name page { total } } }", item) == ["items"]


async def test_only_what_is_beside_or_above_a_resolver_takes_graphql_cores_way() -> None:
    text = "{ item { name point { x } child { name twice } children { name } guarded } }"
    assert await _fields_with_an_info(text, item_of(child=item_of())) == ["item", "child", "twice", "guarded"]


async def test_the_events_of_a_subscription_share_what_the_first_found_out() -> None:
    document = parse("subscription { changes { number point { x } again { name } } }")
    plans: Plans = {}
    executor = AttributeExecutor.build(SCHEMA, document, context_value=[], plans=plans)
    assert isinstance(executor, AttributeExecutor)
    sizes = []
    for number in range(3):
        event = executor.build_per_event_executor(item_of(number=number, child=item_of()))
        result = event.execute_operation(serially=False)
        expected = {"changes": {"number": number, "point": {"x": 1}, "again": {"name": "n"}}}
        assert isinstance(result, ExecutionResult)
        assert _told(result) == (repr(expected), [])
        sizes.append([len(variant) for variant in plans.values()])
    assert sizes[0] == sizes[2] != []


@pytest.mark.parametrize("child", [None, item_of()])
async def test_a_null_for_a_directive_is_reported_where_it_is_met(child: Item | None) -> None:
    document = parse(
        "query ($maybe: Boolean = true) { item { name child { point { x @include(if: $maybe) } } } }"
    )
    root = Query(item=item_of(child=child), start=None)
    await _assert_same(document, lambda: root, {"maybe": None}, {}, {"maybe": None})


async def test_a_field_of_a_fragment_is_merged_with_others_in_one_place_and_not_in_another() -> None:
    document = parse("{ item { ...P } start { ...P point { y } } } fragment P on Item { point { x } }")
    root = Query(item=item_of(), start=item_of())
    await _assert_same(document, lambda: root, {})


async def test_a_field_that_the_schema_has_not_is_left_out() -> None:
    document = parse("{ item { name nothing point { x nothing } } }")
    await _assert_same(document, lambda: Query(item=item_of(), start=None), {})


async def test_a_client_cannot_fill_the_memory_with_variants_of_a_document() -> None:
    declared = " ".join(f"$v{number}: Boolean!" for number in range(4))
    used = " ".join(f"f{number}: name @skip(if: $v{number})" for number in range(4))
    document, plans = parse(f"query ({declared}) {{ item {{ {used} }} }}"), Plans()
    for number in range(16):
        variables = {f"v{bit}": bool(number >> bit & 1) for bit in range(4)}
        answer = await _execute(
            document,
            Query(item=item_of(), start=None),
            variables,
            executor_class=AttributeExecutor,
            plans=plans,
        )
        assert answer[0] == repr({"item": {f"f{bit}": "n" for bit in range(4) if not variables[f"v{bit}"]}})
        assert len(plans) <= MOST_VARIANTS


def test_middleware_is_refused_since_attributes_would_pass_it_by() -> None:
    with pytest.raises(TypeError, match="use Executor"):
        execute(SCHEMA, parse("{ item { name } }"), middleware=[], executor_class=AttributeExecutor)
