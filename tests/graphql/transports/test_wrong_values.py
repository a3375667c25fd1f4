"""Values that do not fit: the user's input, told in plain words and without the value."""

import base64
import json
from typing import Any

import pytest

from tests.clients import Client
from tests.graphql.clients import data, graphql
from tests.graphql.transports.wire import codes, event_stream

pytestmark = pytest.mark.usefixtures("no_faults")

CREATE = """mutation ($metadata: JSON, $title: String) {
  createThread(input: {metadata: $metadata, title: $title}) {
    __typename ... on CreateThreadSuccess { thread { title metadata } } ... on Error { message }
  }
}"""
THREAD = "query ($id: UUID!) { thread(id: $id) { id } }"
FIRST = "query ($first: Int!) { threads(first: $first) { nodes { id } } }"
AFTER = "query ($after: Cursor) { threads(after: $after) { nodes { id } } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
INPUT = "mutation ($input: CreateThreadInput!) { createThread(input: $input) { __typename } }"

WRONG: dict[tuple[str, str], list[Any]] = {
    (THREAD, "id"): ["x", "", 1, 1.5, True, None, [], {}, "😀", "9" * 5000],
    (FIRST, "first"): ["1", 1.5, True, None, [], {}, [True], 0, -1, 101],
    (AFTER, "after"): [1, True, [], {}, "", "x", "=", "é", "a" * 600, "MQ==", "a-1"],
    (NODES, "ids"): [[None], [True], [{}], None, [["x"]]],
    # A value that may be left out and may not be null.
    ('query ($id: UUID = "0197b4e2-7c11-7000-8000-3d1c5b2a9f10") { thread(id: $id) { id } }', "id"): [None],
    ("query ($if: Boolean = true) { threads @include(if: $if) { nodes { id } } }", "if"): [None],
    (INPUT, "input"): [1, "x", [], [None], {"titel": "x"}, {"title": {"a": [None]}}],
}


@pytest.mark.parametrize(
    ("query", "variables"),
    [(query, {name: value}) for (query, name), values in WRONG.items() for value in values],
)
def test_a_variable_that_does_not_fit_is_the_users_input(
    user: Client, query: str, variables: dict[str, Any]
) -> None:
    answer = graphql(user, query, **variables)
    assert set(codes(answer)) == {"BAD_USER_INPUT"}
    assert "None" not in str(answer["errors"][0]["message"])


def test_a_variable_that_is_missing_is_the_users_input(user: Client) -> None:
    assert codes(graphql(user, FIRST)) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    "query",
    [
        '{ thread(id: "x") { id } }',
        "{ thread(id: 1) { id } }",
        "{ thread(id: null) { id } }",
        "{ threads(first: %s) { nodes { id } } }" % ("9" * 1000),
        "{ threads(first: %s) { nodes { id } } }" % ("9" * 5000),
        "query ($id: ID! = %s) { node(id: $id) { id } }" % ("9" * 5000),
        "{ threads(first: 1.5) { nodes { id } } }",
        "{ threads(first: true) { nodes { id } } }",
        '{ threads(after: "x") { nodes { id } } }',
        "mutation { createThread(input: {title: 1}) { __typename } }",
        "mutation { createThread(input: [1]) { __typename } }",
    ],
)
def test_a_literal_that_does_not_fit_is_the_users_input(user: Client, query: str) -> None:
    assert set(codes(graphql(user, query))) == {"BAD_USER_INPUT"}


@pytest.mark.parametrize(
    "instant",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00",
        "2026-01-01T00:00:00+01:00",
    ],
)
@pytest.mark.parametrize("kind", ["t", "u", "m", ["t"], 1])
def test_a_cursor_that_was_made_up_is_the_users_input(user: Client, kind: object, instant: str) -> None:
    text = json.dumps([kind, instant, "0197b4e2-7c11-7000-8000-3d1c5b2a9f10"])
    cursor = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    assert codes(graphql(user, AFTER, after=cursor)) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("text", ["[" * 1500, "{}", "null", '"t"', "\x00\xff"])
def test_a_cursor_of_other_json_is_the_users_input(user: Client, text: str) -> None:
    cursor = base64.urlsafe_b64encode(text.encode("latin-1")).rstrip(b"=").decode()
    assert codes(graphql(user, AFTER, after=cursor)) == ["BAD_USER_INPUT"]


def test_a_cursor_of_a_subscription_that_does_not_fit_is_the_users_input(user: Client) -> None:
    for literal in ('"x"', "1", '"é"', '""'):
        query = f"subscription {{ threadsChanged(after: {literal}) {{ __typename }} }}"
        with event_stream(user, query) as events:
            failed, complete = events
        assert codes(failed.data) == ["BAD_USER_INPUT"]
        assert complete.event == "complete"


def test_the_value_that_does_not_fit_is_not_shown(user: Client) -> None:
    query = "mutation ($input: LoginInput!) { login(input: $input) { __typename } }"
    for wrong in ({"password": 31337}, {"password": ["31337"]}, {"password": "31337", "extra": 1}, "31337"):
        answer = graphql(user, query, input={"username": "x", **wrong} if isinstance(wrong, dict) else wrong)
        assert set(codes(answer)) == {"BAD_USER_INPUT"}
        assert "31337" not in json.dumps(answer)
        assert "$input" in answer["errors"][0]["message"]


def test_the_place_of_the_value_that_does_not_fit_is_told(user: Client) -> None:
    answer = graphql(user, INPUT, input={"title": 5})
    (message,) = [error["message"] for error in answer["errors"]]
    assert (
        message == "Variable '$input' has invalid value at .title: String cannot represent a non string value"
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": 10**400},
        {"a": -(2**64)},
        {"a": 5e-324},
        {"": 1, "__proto__": {"x": 1}, "constructor": None},
        {"a": "\u0001\u001f\u007f\u2028\ufffe😀"},
        {"a": [[[[[]]]]]},
    ],
)
def test_unusual_values_come_back_as_they_were_sent(user: Client, metadata: dict[str, Any]) -> None:
    made = data(user, CREATE, metadata=metadata)["createThread"]
    assert made["thread"]["metadata"] == metadata


@pytest.mark.parametrize(
    "values",
    [
        {"metadata": 1},
        {"metadata": []},
        {"metadata": "x"},
        {"title": "x" * 256},
        {"metadata": {"a": [[]] * 50}},
    ],
)
def test_values_that_no_thread_can_have_are_failures_or_kept(user: Client, values: dict[str, Any]) -> None:
    made = data(user, CREATE, **values)["createThread"]
    assert made["__typename"] in {"InvalidInput", "CreateThreadSuccess"}


@pytest.mark.parametrize("title", ["a\u0000b", "\u0000"])
def test_nul_is_told_or_kept_on_every_database(user: Client, title: str) -> None:
    assert data(user, CREATE, title=title)["createThread"]["__typename"] in {
        "InvalidInput",
        "CreateThreadSuccess",
    }
