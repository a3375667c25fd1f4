"""Persisted operations: automatic ones, and a list of those that a deployment executes."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import SettingsError
from graphql_schema.documents import load_allowed
from tests.clients import Client
from tests.conftest import unique
from tests.graphql.transports.wire import THREADS, codes, event_stream, multipart, post, shared_stream, socket
from tests.servers import ServerProcess

ACCEPT = {"accept": "application/graphql-response+json"}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def apq(text: str, **body: Any) -> dict[str, Any]:
    """A request by the hash of `text`; with `query=text` it is known from then on."""
    return {**body, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}}


@pytest.fixture
def text() -> str:
    """A document that nobody has sent yet."""
    alias = unique("alias").replace("-", "_")
    return f"query Named($first: Int) {{ {alias}: threads(first: $first) {{ nodes {{ id }} }} }}"


def test_a_document_is_known_by_its_hash_once_it_was_sent(user: Client, text: str) -> None:
    for _ in range(2):
        unknown = post(user, apq(text), **ACCEPT)
        assert (unknown.status_code, unknown.json()["errors"][0]["message"]) == (
            400,
            "PersistedQueryNotFound",
        )
        assert codes(unknown.json()) == ["PERSISTED_QUERY_NOT_FOUND"]
        # Who does not ask for it is not remembered.
        assert "data" in post(user, {"query": text}).json()
    assert "data" in post(user, apq(text, query=text), **ACCEPT).json()

    hit = post(user, apq(text, variables={"first": 1}, operationName="Named"), **ACCEPT)
    assert (hit.status_code, list(hit.json())) == (200, ["data", "extensions"])
    assert codes(post(user, apq(text, variables={"first": 0}), **ACCEPT).json()) == ["BAD_USER_INPUT"]


def test_what_one_user_sent_another_may_use_but_not_see(user: Client, text: str) -> None:
    post(user, apq(text, query=text))
    with httpx.Client(base_url=user.base_url) as stranger:
        assert codes(post(stranger, apq(text)).json()) == ["UNAUTHENTICATED"]


def test_a_hash_by_get(user: Client, text: str) -> None:
    extensions = json.dumps(apq(text)["extensions"])
    missed = user.get("/graphql", params={"extensions": extensions}, headers=ACCEPT)
    assert codes(missed.json()) == ["PERSISTED_QUERY_NOT_FOUND"]
    user.get("/graphql", params={"extensions": extensions, "query": text}).raise_for_status()
    assert "data" in user.get("/graphql", params={"extensions": extensions}).json()


def test_a_mutation_by_its_hash_is_not_executed_by_get(user: Client) -> None:
    mutation = f"mutation {unique('M').replace('-', '_')} {{ logout {{ __typename }} }}"
    extensions = json.dumps(apq(mutation)["extensions"])
    for params in ({"extensions": extensions, "query": mutation}, {"extensions": extensions}):
        assert user.get("/graphql", params=params).status_code == 405
    assert post(user, {"query": "{ viewer { permissions } }"}).json()["data"]["viewer"]


def test_a_hash_of_another_document_is_refused_and_not_kept(user: Client, text: str) -> None:
    other = text.replace("Named", "Other")
    assert codes(post(user, apq(other, query=text), **ACCEPT).json()) == ["BAD_USER_INPUT"]
    for document in (text, other):
        assert codes(post(user, apq(document)).json()) == ["PERSISTED_QUERY_NOT_FOUND"]


def test_a_document_that_is_not_valid_is_not_kept(user: Client) -> None:
    document = "{ " + unique("unheard").replace("-", "_") + " }"
    assert codes(post(user, apq(document, query=document)).json()) == ["GRAPHQL_VALIDATION_FAILED"]
    assert codes(post(user, apq(document)).json()) == ["PERSISTED_QUERY_NOT_FOUND"]


@pytest.mark.parametrize(
    "persisted",
    [
        {},
        [],
        1,
        "x",
        {"version": 1},
        {"sha256Hash": sha256("{ __typename }")},
        {"version": 2, "sha256Hash": sha256("{ __typename }")},
        {"version": "1", "sha256Hash": sha256("{ __typename }")},
        {"version": 1, "sha256Hash": None},
        {"version": 1, "sha256Hash": 1},
        {"version": 1, "sha256Hash": ["x"]},
    ],
)
@pytest.mark.parametrize("query", [None, "{ __typename }"])
def test_a_persisted_query_of_another_kind_is_refused(
    user: Client, persisted: object, query: str | None
) -> None:
    response = post(user, {"query": query, "extensions": {"persistedQuery": persisted}}, **ACCEPT)
    assert response.status_code == 400
    assert codes(response.json()) == ["PERSISTED_QUERY_NOT_SUPPORTED"]


@pytest.mark.parametrize(
    "document_id", ["", "x", "sha256:", "sha256:" + "0" * 64, "../../etc/passwd", "\u0000"]
)
def test_a_document_id_that_is_unknown_is_told(user: Client, document_id: str) -> None:
    assert codes(post(user, {"documentId": document_id}).json()) == ["PERSISTED_QUERY_NOT_FOUND"]


def test_a_hash_on_every_transport(user: Client) -> None:
    request = {"extensions": apq(THREADS)["extensions"]}
    post(user, apq(THREADS, query=THREADS))
    for accept in ("text/event-stream", "multipart/mixed;subscriptionSpec=1.0"):
        with user.stream("POST", "/graphql", json=request, headers={"Accept": accept}) as response:
            assert "ThreadsCaughtUp" in next(
                text for text in response.iter_text() if "payload" in text or "data" in text
            )
    with socket(user) as connection:
        connection.send({"id": "1", "type": "subscribe", "payload": request})
        assert connection.receive()["type"] == "next"
        connection.send({"id": "2", "type": "subscribe", "payload": apq("{ unknown }")})
        assert codes({"errors": connection.receive()["payload"]}) == ["PERSISTED_QUERY_NOT_FOUND"]


# The list of a deployment

LISTED = "query Listed { viewer { permissions } }"
LISTED_MUTATION = "mutation Listed { createThread(input: {}) { __typename } }"
UNLISTED = "query Unlisted { viewer { permissions } }"

APOLLO_MANIFEST = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [
        {"id": "first", "name": "Listed", "type": "query", "body": LISTED},
        {"id": sha256(LISTED_MUTATION), "name": "Listed", "type": "mutation", "body": LISTED_MUTATION},
        {"id": "third", "name": "Threads", "type": "subscription", "body": THREADS},
    ],
}
RELAY_FILE = {"first": LISTED, sha256(LISTED_MUTATION): LISTED_MUTATION, "third": THREADS}


@pytest.fixture(scope="module", params=[APOLLO_MANIFEST, RELAY_FILE], ids=["Apollo", "Relay"])
def listed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The first account of a server that executes nothing but a list."""
    directory = tmp_path_factory.mktemp("listed")
    file = directory / "operations.json"
    file.write_text(json.dumps(request.param), encoding="utf-8")
    settings = {"CHAT_GRAPHQL_ALLOWED_OPERATIONS": str(file)}
    server = ServerProcess(directory, "http://127.0.0.1:9", settings)
    with server, server.admin() as client:
        yield client


@pytest.mark.parametrize(
    "body",
    [
        {"query": LISTED},
        {"documentId": "first"},
        {"documentId": sha256(LISTED)},
        {"documentId": f"sha256:{sha256(LISTED)}"},
        apq(LISTED),
        apq(LISTED, query=LISTED),
        {"documentId": sha256(LISTED_MUTATION)},
    ],
)
def test_what_is_listed_is_executed_by_text_and_by_id(listed: Client, body: dict[str, Any]) -> None:
    assert "errors" not in post(listed, body).json()
    with socket(listed) as connection:
        connection.send({"id": "1", "type": "subscribe", "payload": body})
        assert "errors" not in connection.receive()["payload"]


def test_what_is_listed_is_executed_by_get(listed: Client) -> None:
    for params in (
        {"query": LISTED},
        {"documentId": "first"},
        {"extensions": json.dumps(apq(LISTED)["extensions"])},
    ):
        assert "errors" not in listed.get("/graphql", params=params).json()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": UNLISTED}, "PERSISTED_QUERY_ONLY"),
        ({"query": LISTED + " "}, "PERSISTED_QUERY_ONLY"),
        ({"query": "{"}, "PERSISTED_QUERY_ONLY"),
        ({"query": "{ __schema { queryType { name } } }"}, "PERSISTED_QUERY_ONLY"),
        ({"query": UNLISTED, "documentId": "first"}, "PERSISTED_QUERY_ONLY"),
        (apq(UNLISTED, query=UNLISTED), "PERSISTED_QUERY_ONLY"),
        (apq(UNLISTED), "PERSISTED_QUERY_NOT_FOUND"),
        ({"documentId": sha256(UNLISTED)}, "PERSISTED_QUERY_NOT_FOUND"),
        ({"documentId": LISTED}, "PERSISTED_QUERY_NOT_FOUND"),
        ({"documentId": "Listed"}, "PERSISTED_QUERY_NOT_FOUND"),
        ({"documentId": "operations"}, "PERSISTED_QUERY_NOT_FOUND"),
    ],
)
def test_what_is_not_listed_is_executed_on_no_transport(
    listed: Client, body: dict[str, Any], code: str
) -> None:
    assert codes(post(listed, body).json()) == [code]
    (answer,) = post(listed, [body]).json()
    assert codes(answer) == [code]
    params = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in body.items()}
    assert codes(listed.get("/graphql", params=params).json()) == [code]
    with socket(listed) as connection:
        connection.send({"id": "1", "type": "subscribe", "payload": body})
        assert codes({"errors": connection.receive()["payload"]}) == [code]
    # What was refused is not known from then on, either.
    assert codes(post(listed, body).json()) == [code]


def test_subscriptions_are_held_to_the_list_as_well(listed: Client) -> None:
    unlisted = THREADS.replace("subscription", "subscription Unlisted")
    with event_stream(listed, THREADS) as stream:
        assert "data" in stream.next().data
    with event_stream(listed, unlisted) as stream:
        assert codes(stream.next().data) == ["PERSISTED_QUERY_ONLY"]
    with multipart(listed, THREADS) as parts:
        assert "data" in parts.next()["payload"]
    with multipart(listed, unlisted) as parts:
        assert codes(parts.next()["payload"]) == ["PERSISTED_QUERY_ONLY"]
    with shared_stream(listed) as shared:
        assert shared.start(THREADS, "a").status_code == 202
        assert codes(shared.start(unlisted, "b").json()) == ["PERSISTED_QUERY_ONLY"]


def test_a_multipart_request_is_held_to_the_list_as_well(listed: Client) -> None:
    for query, expected in ((LISTED, None), (UNLISTED, ["PERSISTED_QUERY_ONLY"])):
        form = {"operations": json.dumps({"query": query}), "map": "{}"}
        headers = {"GraphQL-Require-Preflight": "1"}
        answer = listed.post("/graphql", data=form, files={"0": b"x"}, headers=headers).json()
        assert (codes(answer) if "errors" in answer else None) == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff{}",
        b"[" * 100_000,
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b'{"id": 1}',
        b'{"id": null}',
        b'{"operations": {"id": 1}}',
        b'{"operations": [{"id": "x"}]}',
        b'{"operations": [{"body": "{ a }"}]}',
        b'{"operations": [{"id": 1, "body": "{ a }"}]}',
        b'{"operations": [{"id": {}, "body": "{ a }"}]}',
        b'{"operations": ["{ a }"]}',
        b'{"operations": [null]}',
    ],
)
def test_a_list_that_is_none_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "operations.json"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_allowed(file)
    sentence = str(caught.value)
    assert sentence.startswith("CHAT_GRAPHQL_ALLOWED_OPERATIONS: ")
    assert str(file) in sentence
    assert ("it is no JSON" in sentence) or ("must hold an object of documents by id" in sentence)


def test_a_list_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "operations.json"
    server = ServerProcess(tmp_path, "http://127.0.0.1:9", {"CHAT_GRAPHQL_ALLOWED_OPERATIONS": str(file)})
    with pytest.raises(AssertionError, match="the server ended"):
        server.start()
    assert server.stop() == 2
    sentence = f"CHAT_GRAPHQL_ALLOWED_OPERATIONS: cannot read {file} (No such file or directory)"
    assert server.log_file.read_text() == f"gwp-chat: {sentence}\n"


def test_a_list_of_nothing_allows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "operations.json"
    for content in ("{}", '{"operations": []}'):
        file.write_text(content)
        assert load_allowed(file) == {}
