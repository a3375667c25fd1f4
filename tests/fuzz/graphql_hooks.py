"""What Schemathesis gives as values, and checks, on the GraphQL API."""

import random
from typing import Any

import graphql
import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.graphql import nodes

from tests.fuzz.answers import assert_private, assert_told_well
from tests.fuzz.knowledge import handed_over

IDS, SECRET = handed_over()

# Stands for an id of one of the two users, until it is known which kind of id the place wants.
KNOWN = "known"
_ANY = [value for kind, values in IDS.items() if kind not in ("file", "cursor") for value in values]
_JSON = [
    "{}",
    '{model: "echo"}',
    '{a: [1, 2.5, true, null, "ж"], b: {c: {}}}',
    '{product_id: "p", agentId: {id: "a"}}',
    "{product: 7, agent: [null]}",
    "{n: 99999999999999999999}",
    "{n: 1e400}",
    "{a: " * 101 + "1" + "}" * 101,
    "[]",
    '"text"',
    "false",
]


def mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Four usual values for an odd one."""
    return st.integers(0, 4).flatmap(lambda number: usual if number < 4 else odd)


_odd_text = st.one_of(st.uuids().map(str), st.text(max_size=20), st.just("x" * 600))
_known_id = mostly(st.just(KNOWN), _odd_text).map(nodes.String)
_null = st.just(nodes.Null)
_cursor = mostly(st.sampled_from(IDS["cursor"]), _odd_text).map(nodes.String)

schemathesis.graphql.scalar("ID", _known_id)
schemathesis.graphql.scalar("UUID", _known_id)
# All their places may be empty, and most have to be, for a page to be what it should.
schemathesis.graphql.scalar("Cursor", st.one_of(_null, _null, _cursor))
schemathesis.graphql.scalar("Int", st.one_of(_null, mostly(st.integers(1, 5), st.integers()).map(nodes.Int)))
schemathesis.graphql.scalar("JSON", st.sampled_from(_JSON).map(graphql.parse_value))
schemathesis.graphql.scalar("Upload", mostly(_null, _odd_text.map(nodes.String)))


@schemathesis.hook
def before_generate_body(
    context: HookContext, strategy: st.SearchStrategy[graphql.DocumentNode]
) -> st.SearchStrategy[graphql.DocumentNode]:
    """Put ids of both users where ids are wanted."""
    assert context.operation is not None
    field = context.operation.label.partition(".")[2]
    return st.builds(_with_known_ids, strategy, st.just(field), st.randoms())


@schemathesis.check
def other_users_data_is_private(_context: CheckContext, response: Response, _case: Case[Any]) -> None:
    """Nothing of the other user is in any answer."""
    assert_private(response.content, SECRET)


@schemathesis.check
def answers_are_well_formed(_context: CheckContext, response: Response, _case: Case[Any]) -> None:
    """Data, or errors with codes, in words for callers; never a fault of the server."""
    assert response.status_code in (200, 400)
    answer = response.json()
    assert answer.keys() & {"data", "errors"}
    for error in answer.get("errors", ()):
        assert error["extensions"]["code"] != "INTERNAL", error
        assert_told_well(error["message"])


def _with_known_ids(
    document: graphql.DocumentNode, field: str, chance: random.Random
) -> graphql.DocumentNode:
    class FillIn(graphql.Visitor):
        def enter_string_value(
            self, node: graphql.StringValueNode, _key: Any, parent: Any, _path: Any, ancestors: list[Any]
        ) -> graphql.StringValueNode | None:
            if node.value != KNOWN:
                return None
            places = (graphql.ArgumentNode, graphql.ObjectFieldNode)
            place = next(item for item in (parent, *reversed(ancestors)) if isinstance(item, places))
            kind = place.name.value.removesuffix("Id")
            return nodes.String(chance.choice(IDS.get(kind) or IDS.get(field) or _ANY))

    filled: graphql.DocumentNode = graphql.visit(document, FillIn())
    return filled
