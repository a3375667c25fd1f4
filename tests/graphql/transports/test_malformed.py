"""Requests that are none: refused with 400, 413 or 415, never a fault of ours, and told in plain words."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients import Client
from tests.graphql.clients import data, graphql
from tests.graphql.transports.lab import LabServer
from tests.graphql.transports.wire import PREFLIGHT, codes, post, refused
from tests.servers import ServerProcess

GRAPHQL_JSON = "application/graphql-response+json"
QUERY = '"query": "{ __typename }"'

pytestmark = pytest.mark.usefixtures("no_faults")

BODIES = {
    "nothing": b"",
    "white space": b" \n",
    "half": b'{"query": "{ __ty',
    "two values": b"{} {}",
    "single quotes": b"{'query': '{ __typename }'}",
    "null": b"null",
    "a number": b"1",
    "a text": b'"{ __typename }"',
    "true": b"true",
    "a list of nulls": b"[null]",
    "a list of texts": b'["{ __typename }"]',
    "lists in a list": b"[[]]",
    "an empty object": b"{}",
    "no query": b'{"variables": {}}',
    "a null query": b'{"query": null}',
    "an empty query": b'{"query": ""}',
    "a number as query": b'{"query": 1}',
    "an object as query": b'{"query": {}}',
    "a list as variables": b"{%s, %s}" % (QUERY.encode(), b'"variables": []'),
    "a text as variables": b"{%s, %s}" % (QUERY.encode(), b'"variables": "{}"'),
    "a number as extensions": b"{%s, %s}" % (QUERY.encode(), b'"extensions": 1'),
    "true as operationName": b"{%s, %s}" % (QUERY.encode(), b'"operationName": true'),
    "NaN": b"{%s, %s}" % (QUERY.encode(), b'"variables": {"a": NaN}'),
    "a float beyond all": b"{%s, %s}" % (QUERY.encode(), b'"variables": {"a": 1e400}'),
    "an integer of 5000 digits": b"{%s, %s}" % (QUERY.encode(), b'"variables": {"a": %s}' % (b"9" * 5000)),
    "a byte that is no UTF-8": b'{"query": "{ __typename }\xff"}',
    "a variable that is no UTF-8": b"{%s, %s}" % (QUERY.encode(), b'"variables": {"a": "\xc3("}'),
    "UTF-16": "{}".encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"query": "{ __typename }"}',
    "half a surrogate pair": b'{"query": "{ __typename } # \\ud800"}',
    "half a surrogate pair as key": b"{%s, %s}" % (QUERY.encode(), b'"variables": {"\\udfff": 1}'),
    "NUL in the query": b'{"query": "{ __typename \\u0000 }"}',
    "lists 300 deep": b"{%s, %s}" % (QUERY.encode(), b'"variables": {"a": %s}' % (b"[" * 300 + b"]" * 300)),
    "extensions 300 deep": b"{%s, %s}"
    % (QUERY.encode(), b'"extensions": %s1%s' % (b'{"a":' * 300, b"}" * 300)),
    "lists 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "unknown members 100,000 deep": b'{%s, "x": %s}' % (QUERY.encode(), b"[" * 100_000 + b"]" * 100_000),
    "a query of braces": b'{"query": "%s"}' % (b"{a" * 5000),
    "a query of brackets": b'{"query": "{ nodes(ids: %s) }"}' % (b"[" * 1000),
    "no GraphQL": b'{"query": "SELECT 1"}',
    "types": b'{"query": "type A { a: ID }"}',
    "only white space": b'{"query": " \\n,, # nothing"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_request_is_400(user: Client, body: bytes) -> None:
    response = post(user, body, accept=GRAPHQL_JSON)
    code = refused(response, 400)
    assert code in {
        "BAD_USER_INPUT",
        "GRAPHQL_PARSE_FAILED",
        "GRAPHQL_VALIDATION_FAILED",
        "QUERY_TOO_COMPLEX",
    }


def test_of_two_members_of_one_name_the_last_counts(user: Client) -> None:
    body = b'{"query": "{ first: __typename }", "query": "{ second: __typename }"}'
    assert post(user, body).json()["data"] == {"second": "Query"}


# Sizes


def test_a_document_that_is_too_long_is_refused(user: Client) -> None:
    answer = graphql(user, "{ __typename }" + " " * 100_000)
    assert codes(answer) == ["QUERY_TOO_COMPLEX"]
    assert answer["errors"][0]["extensions"]["limit"] == "document"


def test_a_document_of_too_many_tokens_is_refused(user: Client) -> None:
    assert codes(graphql(user, "{ __typename " + "__typename " * 2000 + "}"))


def test_variables_of_too_many_values_are_refused(user: Client) -> None:
    many: list[Any] = [list(range(10_001)), {f"k{n}": n for n in range(10_001)}, [[[]] * 10_000]]
    for values in many:
        answer = graphql(user, "{ __typename }", ids=values)
        assert codes(answer) == ["QUERY_TOO_COMPLEX"]
        assert answer["errors"][0]["extensions"]["limit"] == "variables"


def test_the_errors_of_one_request_are_few(user: Client) -> None:
    answer = graphql(user, "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[True] * 9000)
    assert len(answer["errors"]) <= 60


def test_a_body_that_is_too_large_is_413(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"query": "{ __typename }", "x": "'
        yield b"x" * 5000
        yield b'"}'

    with LabServer(tmp_path, max_body_bytes=4096) as lab, lab.client() as client:
        body = b"".join(pieces())
        declared = post(client, body)
        undeclared = client.post("/graphql", content=pieces(), headers={"Content-Type": "application/json"})
        file = {"0": ("a", b"x" * 5000)}
        form = {"operations": '{"query": "{ __typename }"}', "map": "{}"}
        multipart = client.post("/graphql", data=form, files=file, headers=PREFLIGHT)
        for response in (declared, undeclared, multipart):
            assert refused(response, 413) == "BODY_TOO_LARGE"
        assert post(client, {"query": "{ __typename }"}).status_code == 200


# Bodies that end too early


def send_raw(server: ServerProcess, head: str, body: bytes) -> None:
    """Send what is no whole request, and leave."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        request = f"POST /graphql HTTP/1.1\r\nHost: x\r\nGraphQL-Require-Preflight: 1\r\n{head}\r\n\r\n"
        connection.sendall(request.encode() + body)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Type: application/json\r\nContent-Length: 100", b'{"query": "{ __typename }"'),
        ("Content-Type: application/json\r\nTransfer-Encoding: chunked", b"5\r\n{    \r\n"),
        ("Content-Type: application/json\r\nTransfer-Encoding: chunked", b"zz\r\n"),
        (
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000",
            b"--x\r\nContent-Disposition: form",
        ),
        (
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000",
            b'--x\r\nContent-Disposition: form-data; name="0"; filename="a"\r\n\r\nabc',
        ),
    ],
)
def test_a_body_that_breaks_off_hurts_nobody(
    server: ServerProcess, user: Client, head: str, body: bytes
) -> None:
    send_raw(server, head, body)
    assert data(user, "{ __typename }") == {"__typename": "Query"}
