"""Bodies of many values: refused before anything is made of them, which would take many times their size."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import Settings
from graphql_schema.transports.decoding import OTHER_VALUES, BadRequest, check_size
from tests.clients import Client
from tests.graphql.transports.wire import PREFLIGHT, codes, post, refused, socket

WIDE = {
    "lists": "[" + "[]," * 200_000 + "[]]",
    "objects": "[" + "{}," * 200_000 + "{}]",
    "numbers": "[" + "1," * 200_000 + "1]",
    "texts": "[" + '"",' * 200_000 + '""]',
    "names": "{" + ",".join(f'"{number}":1' for number in range(200_000)) + "}",
    "lists in lists": '[{"a":[' * 100_000 + "]}]" * 100_000,
    "texts of quotes": "[" + r'"\"",' * 200_000 + '""]',
}
# What holds few values, although it looks like many.
LONG = {
    "commas": "," * 500_000,
    "brackets": "[{" * 500_000,
    "quotes": '"' * 500_000,
    "backslashes": "\\" * 500_001,
    "quotes and backslashes": '\\"[,' * 200_000,
    "lines": "a\n" * 500_000,
}


@pytest.mark.parametrize("wide", WIDE.values(), ids=WIDE)
def test_a_body_of_many_values_is_413(user: Client, wide: str) -> None:
    body = f'{{"query": "{{ __typename }}", "variables": {{"a": {wide}}}}}'
    for whole in (wide, body, f"[{body}]"):
        assert refused(post(user, whole), 413) == "QUERY_TOO_COMPLEX"
    for form in ({"operations": body, "map": "{}"}, {"operations": "{}", "map": wide}):
        response = user.post("/graphql", data=form, files={"0": b"x"}, headers=PREFLIGHT)
        assert refused(response, 413) == "QUERY_TOO_COMPLEX"


def test_a_body_of_too_many_variables_is_read_where_it_may_be_a_batch(user: Client) -> None:
    names = {f"{number}": "text" for number in range(45_000)}
    answer = post(user, {"query": "{ __typename }", "variables": names}).json()
    assert codes(answer) == ["QUERY_TOO_COMPLEX"]
    assert answer["errors"][0]["extensions"]["limit"] == "variables"


def test_a_message_of_many_values_closes_the_socket(user: Client) -> None:
    for name in ("lists", "numbers"):
        with socket(user) as connection:
            connection.send(f'{{"type": "ping", "payload": {{"a": {WIDE[name]}}}}}')
            code, reason = connection.closed()
        assert (code, "CHAT_GRAPHQL_MAX_VARIABLES" in reason) == (4400, True)


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_text_is_one_value(user: Client, text: str) -> None:
    variables = {"before": ["[", '"', "\\"], "text": text, "after": ["\\", '"']}
    body = {"query": "{ __typename }", "variables": variables}
    assert post(user, body).json()["data"] == {"__typename": "Query"}


def count(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(count, value.values()))
    return 1 + sum(map(count, value)) if isinstance(value, list) else 1


# Of what a naive count would take for structure.
TEXTS = st.text(alphabet='"\\,[{a', max_size=10)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)
)


@given(VALUES, st.integers(1, 5000), st.booleans())
def test_values_are_counted_without_being_made(value: Any, total: int, escaped: bool) -> None:  # noqa: FBT001
    settings = Settings(_env_file=None, graphql_max_variables=10, graphql_max_batch=1)
    most = OTHER_VALUES + 10
    body = [value] * (total // count(value))
    text = json.dumps(body) if escaped else msgspec.json.encode(body).decode()
    try:
        # Short bodies are not looked at: spaces make it long, and are no values.
        asyncio.run(check_size(text.encode() + b" " * most, settings))
    except BadRequest:
        assert count(body) > most
    else:
        assert count(body) <= 2 * most + 1
