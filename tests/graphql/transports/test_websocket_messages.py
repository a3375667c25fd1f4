"""WebSocket messages that are none: the socket is closed, with a code and a reason."""

import json

import pytest

from tests.clients import Client
from tests.graphql.transports.wire import socket

pytestmark = pytest.mark.usefixtures("no_faults")

DEEP = '{"a":' * 50_000 + "1" + "}" * 50_000


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


MALFORMED = {
    "binary": b'{"type": "ping"}',
    "nothing": "",
    "no JSON": "ping",
    "half": '{"type": "pi',
    "null": "null",
    "a number": "1",
    "a list": '[{"type": "ping"}]',
    "a text": '"ping"',
    "no type": "{}",
    "a number as type": '{"type": 1}',
    "null as type": '{"type": null}',
    "an unknown type": '{"type": "start"}',
    "an unknown long type": json.dumps({"type": "ü" * 5000}),
    "a type of controls": r'{"type": "\u0000\u001f"}',
    "a message of the server's": '{"type": "next", "id": "1", "payload": {}}',
    "connection_ack": '{"type": "connection_ack"}',
    "a text as payload": '{"type": "ping", "payload": "x"}',
    "a list as payload": '{"type": "pong", "payload": []}',
    "false as payload": '{"type": "ping", "payload": false}',
    "a deep payload": json.dumps({"type": "ping", "payload": nested(300)}),
    "a very deep payload": f'{{"type": "ping", "payload": {DEEP}}}',
    "half a surrogate pair": r'{"type": "\ud800"}',
    "NaN": '{"type": "ping", "payload": {"a": NaN}}',
    "a float beyond all": '{"type": "ping", "payload": {"a": 1e999}}',
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("init", [True, False])
def test_a_message_that_is_none_closes_the_socket(user: Client, message: str | bytes, init: bool) -> None:  # noqa: FBT001
    with socket(user, init=init) as connection:
        connection.send(message)
        code, reason = connection.closed()
    assert code == 4400
    assert reason


@pytest.mark.parametrize("payload", ["1", "true", '"Bearer x"', '["Bearer x"]'])
def test_an_init_whose_payload_is_no_object_closes_the_socket(user: Client, payload: str) -> None:
    with socket(user, init=False) as connection:
        connection.send(f'{{"type": "connection_init", "payload": {payload}}}')
        assert connection.closed()[0] == 4400


QUERY = {"query": "{ __typename }"}
BAD_SUBSCRIPTIONS: dict[str, dict[str, object]] = {
    "no id": {"payload": QUERY},
    "an empty id": {"id": "", "payload": QUERY},
    "a number as id": {"id": 1, "payload": QUERY},
    "null as id": {"id": None, "payload": QUERY},
    "a long id": {"id": "x" * 5000, "payload": QUERY},
    "no payload": {"id": "1"},
    "null as payload": {"id": "1", "payload": None},
    "a text as payload": {"id": "1", "payload": "{ __typename }"},
    "an empty payload": {"id": "1", "payload": {}},
    "a number as query": {"id": "1", "payload": {"query": 1}},
    "a list as variables": {"id": "1", "payload": {**QUERY, "variables": []}},
    "a text as extensions": {"id": "1", "payload": {**QUERY, "extensions": ""}},
    "an object as operationName": {"id": "1", "payload": {**QUERY, "operationName": {}}},
    "deep variables": {"id": "1", "payload": {**QUERY, "variables": nested(300)}},
    "complete without id": {"type": "complete"},
    "complete of a number": {"type": "complete", "id": 1},
}


@pytest.mark.parametrize("message", BAD_SUBSCRIPTIONS.values(), ids=BAD_SUBSCRIPTIONS)
def test_a_subscription_that_is_none_closes_the_socket(user: Client, message: dict[str, object]) -> None:
    with socket(user) as connection:
        connection.send({"type": "subscribe", **message})
        code, reason = connection.closed()
    assert code == 4400
    assert not {"str", "int", "dict"} & set(reason.replace("`", " ").split())


def test_a_frame_that_is_no_utf_8_closes_the_socket(user: Client) -> None:
    with socket(user) as connection:
        connection.connection.send(b'{"type": "ping", "payload": {"a": "\xff"}}', text=True)
        assert connection.closed()[0] == 1007


def test_a_message_that_is_too_large_closes_the_socket(user: Client) -> None:
    with socket(user) as connection:
        connection.send('{"type": "ping", "payload": {"a": "%s"}}' % ("x" * 2**20))
        assert connection.closed()[0] == 1009


def test_a_packed_message_that_is_too_large_closes_the_socket(user: Client) -> None:
    with socket(user, compression="deflate") as connection:
        connection.send(" " * 50_000_000)
        assert connection.closed()[0] == 1009
