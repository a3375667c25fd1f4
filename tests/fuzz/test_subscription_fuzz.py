"""Every subscription of the GraphQL API, by generated operations; Schemathesis leaves them out."""

import json
from typing import Any

import graphql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries

from graphql_schema.schema import core_schema
from tests.clients import Client
from tests.fuzz.answers import assert_private, assert_told_well
from tests.fuzz.knowledge import Ids
from tests.fuzz.people import Person, all_ids, errors_logged
from tests.servers import ServerProcess

# Hypothesis knows queries only, so it is shown a schema whose queries are our subscriptions.
SUBSCRIPTIONS = graphql.GraphQLSchema(query=core_schema.subscription_type)
FIELDS = SUBSCRIPTIONS.query_type.fields if SUBSCRIPTIONS.query_type else {}
WITHOUT_END = {"threadsChanged"}


@pytest.mark.parametrize("field", FIELDS)
def test_a_subscription_tells_its_user_only_and_ends_well(
    fuzzed: ServerProcess, carol: Person, bob: Person, field: str
) -> None:
    with fuzzed.client(carol.token) as client:

        @settings(max_examples=25, derandomize=True, database=None, deadline=None)
        @given(operations(field, all_ids(carol, bob)))
        def check(operation: str) -> None:
            for line in lines(client, operation, most=3 if field in WITHOUT_END else None):
                assert_private(line.encode(), bob.marker)
                for error in payload_of(line).get("errors", ()):
                    assert error["extensions"]["code"] != "INTERNAL", error
                    assert_told_well(error["message"])

        check()
    assert errors_logged(fuzzed) == []


def operations(field: str, ids: Ids) -> st.SearchStrategy[str]:
    """Subscriptions to the field, with ids and cursors of both users and odd ones."""
    odd = st.text(max_size=20)
    scalars = {
        "UUID": (st.sampled_from([*ids["run"], *ids["thread"]]) | odd).map(nodes.String),
        "Cursor": st.just(nodes.Null) | (st.sampled_from(ids["cursor"]) | odd).map(nodes.String),
        "ID": odd.map(nodes.String),
    }
    return queries(SUBSCRIPTIONS, fields=[field], custom_scalars=scalars).map("subscription {}".format)


def lines(client: Client, operation: str, *, most: int | None) -> list[str]:
    """The lines of the answer; the first `most` of a stream without an end."""
    headers = {"Accept": "text/event-stream"}
    with client.stream("POST", "/graphql", json={"query": operation}, headers=headers) as response:
        assert response.status_code in (200, 400), response.status_code
        found = []
        for line in response.iter_lines():
            found.append(line)
            if len(found) == most:
                break
        return found


def payload_of(line: str) -> dict[str, Any]:
    """The GraphQL response in a line of an event stream, or in the line that is a whole JSON body."""
    text = line.removeprefix("data:").strip()
    return json.loads(text) if text.startswith("{") else {}
