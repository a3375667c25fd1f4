"""GraphQL over HTTP: methods, media types, statuses, batches."""

from pathlib import Path

import httpx
import pytest

from tests.clients import Client
from tests.graphql.transports.lab import LabServer
from tests.graphql.transports.wire import THREADS, codes, event_stream, post, refused

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
UTF_8 = "; charset=utf-8"
URQL = f"{GRAPHQL_JSON}, application/graphql+json, {JSON}, text/event-stream, multipart/mixed"
APOLLO = f"multipart/mixed;boundary=graphql;subscriptionSpec=1.0,{GRAPHQL_JSON},{JSON};q=0.9"

VALID = "{ __typename }"
INVALID = "{ unheard }"
FAILING = "{ threads(first: 0) { nodes { id } } }"


class Titled:
    """A thread whose title tells whether something was executed."""

    def __init__(self, user: Client) -> None:
        self._user = user
        self._id = user.new_thread(title="as it was")["id"]

    def rename(self, title: str = "changed") -> str:
        """The mutation that does it."""
        thread = f'{{threadId: "{self._id}", title: "{title}"}}'
        return f"mutation Rename {{ updateThread(input: {thread}) {{ __typename }} }}"

    @property
    def title(self) -> str:
        title: str = self._user.get(f"/api/threads/{self._id}").json()["title"]
        return title


@pytest.fixture
def thread(user: Client) -> Titled:
    return Titled(user)


# What is asked and answered


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (f"{JSON}; charset=utf-8", JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        ("Application/GraphQL-Response+JSON", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{JSON}, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON};q=0.6", JSON),
        (f"*/*, {GRAPHQL_JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.1, */*", JSON),
        (f"{JSON};q=0, */*", GRAPHQL_JSON),
        (f"text/html, {JSON};q=0.1", JSON),
        (URQL, GRAPHQL_JSON),
        (APOLLO, GRAPHQL_JSON),
        (f"text/event-stream, {JSON};q=0.1", JSON),
    ],
)
def test_the_media_type_that_is_wanted_is_answered(user: Client, accept: str | None, answered: str) -> None:
    def ask(query: str) -> httpx.Response:
        request = user.build_request("POST", "/graphql", json={"query": query})
        del request.headers["accept"]
        request.headers.update({} if accept is None else {"accept": accept})
        return user.send(request)

    good, bad, failing = map(ask, (VALID, INVALID, FAILING))

    assert {good.headers["content-type"], bad.headers["content-type"]} == {answered + UTF_8}
    assert (good.status_code, good.json()["data"]) == (200, {"__typename": "Query"})
    assert "Accept" in good.headers["vary"]
    # Only the media type of GraphQL may tell by its status that nothing was executed.
    assert bad.status_code == (400 if answered == GRAPHQL_JSON else 200)
    assert codes(bad.json()) == ["GRAPHQL_VALIDATION_FAILED"]
    assert (failing.status_code, failing.json()["data"]) == (200, None)
    assert codes(failing.json()) == ["BAD_USER_INPUT"]


def test_several_accept_headers_are_one(user: Client) -> None:
    headers = [("accept", "text/html"), ("accept", GRAPHQL_JSON)]
    response = httpx.post(f"{user.base_url}/graphql", json={"query": VALID}, headers=headers)
    assert response.headers["content-type"] == GRAPHQL_JSON + UTF_8


@pytest.mark.parametrize(
    "accept", ["text/html", "image/*", "json", "application/json;q=0", "application/json;q=x"]
)
def test_what_cannot_be_given_is_406(user: Client, thread: Titled, accept: str) -> None:
    assert refused(post(user, {"query": VALID}, accept=accept), 406) == "BAD_USER_INPUT"
    assert refused(post(user, {"query": thread.rename()}, accept=accept), 406) == "BAD_USER_INPUT"
    assert thread.title == "as it was"


@pytest.mark.parametrize("accept", [None, "*/*", JSON, GRAPHQL_JSON, f"{JSON}, multipart/mixed", "text/*"])
def test_a_subscription_is_not_answered_in_plain_json(user: Client, accept: str | None) -> None:
    response = post(user, {"query": THREADS}, **({} if accept is None else {"accept": accept}))
    assert refused(response, 406) == "BAD_USER_INPUT"
    assert "text/event-stream" in response.text


def test_a_subscription_of_urql_is_an_event_stream(user: Client) -> None:
    with event_stream(user, THREADS, accept=URQL) as events:
        frame = events.next()
    assert frame.event == "next"
    assert frame.data["data"]["threadsChanged"]["__typename"] == "ThreadsCaughtUp"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/graphql",
        GRAPHQL_JSON,
        "application/json; charset=utf-16",
        "application/json; charset=latin1",
        "text/json",
        "application/json, text/plain",
    ],
)
def test_a_body_of_another_type_is_415(user: Client, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = user.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)
    assert refused(response, 415) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "content_type", ["APPLICATION/JSON", 'application/json;charset="UTF-8"', "application/json;a=b"]
)
def test_json_is_json_however_it_is_written(user: Client, content_type: str) -> None:
    content = '{"query": "{ thread: __typename }", "variables": {"é": "✓"}}'.encode()
    response = user.post("/graphql", content=content, headers={"content-type": content_type})
    assert response.json()["data"] == {"thread": "Query"}


# Methods


def test_a_query_by_get(user: Client) -> None:
    thread_id = user.new_thread(title="Rome")["id"]
    query = "query A { __typename } query B($id: UUID!) { thread(id: $id) { title } }"
    variables = f'{{"id": "{thread_id}"}}'
    response = user.get(
        "/graphql", params={"query": query, "variables": variables, "operationName": "B", "extensions": ""}
    )
    assert (response.status_code, response.json()["data"]) == (200, {"thread": {"title": "Rome"}})


@pytest.mark.parametrize("accept", ["*/*", GRAPHQL_JSON, "text/event-stream"])
def test_a_mutation_by_get_does_nothing(user: Client, thread: Titled, accept: str) -> None:
    response = user.get("/graphql", params={"query": thread.rename()}, headers={"accept": accept})
    assert refused(response, 405) == "BAD_USER_INPUT"
    assert response.headers["allow"] == "POST"
    assert thread.title == "as it was"


def test_a_mutation_beside_a_query_in_a_get_does_nothing(user: Client, thread: Titled) -> None:
    query = thread.rename() + " query Look { __typename }"
    params = {"query": query, "operationName": "Rename"}
    assert refused(user.get("/graphql", params=params), 405) == "BAD_USER_INPUT"
    assert user.get("/graphql", params={**params, "operationName": "Look"}).status_code == 200
    assert thread.title == "as it was"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"query": ""},
        {"query": VALID, "variables": "[]"},
        {"query": VALID, "variables": "{"},
        {"query": VALID, "variables": "1"},
        {"query": VALID, "extensions": "null null"},
        {"variables": "{}"},
    ],
)
def test_a_get_that_asks_nothing_is_400(user: Client, params: dict[str, str]) -> None:
    response = user.get("/graphql", params=params, headers={"accept": GRAPHQL_JSON})
    assert refused(response, 400) in {"BAD_USER_INPUT", "GRAPHQL_PARSE_FAILED"}


@pytest.mark.parametrize("method", ["OPTIONS", "DELETE", "PATCH", "TRACE", "QUERY"])
def test_other_methods_are_405(user: Client, method: str) -> None:
    response = user.request(method, "/graphql", params={"query": VALID})
    assert refused(response, 405) == "BAD_USER_INPUT"
    assert response.headers["allow"] == "GET, POST, PUT"


def test_head_is_405_without_a_body(user: Client) -> None:
    response = user.head("/graphql")
    assert (response.status_code, response.content) == (405, b"")


# Which operation


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("query A { __typename } query B { __typename }", None),
        ("query A { __typename } query B { __typename }", ""),
        ("query A { __typename }", "B"),
        ("{ __typename }", "A"),
        ("fragment F on Query { __typename }", None),
    ],
)
def test_an_operation_that_is_not_named_clearly_is_not_executed(
    user: Client, query: str, name: str | None
) -> None:
    answer = post(user, {"query": query, "operationName": name}).json()
    assert "data" not in answer
    assert set(codes(answer)) <= {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}


def test_nulls_are_as_good_as_nothing(user: Client) -> None:
    body = {"query": VALID, "operationName": None, "variables": None, "extensions": None, "more": 1}
    assert post(user, body).json()["data"] == {"__typename": "Query"}


# Batches


def batch(user: Client, *queries: str, **headers: str) -> httpx.Response:
    return post(user, [{"query": query} for query in queries], **headers)


def test_a_batch_is_answered_in_its_order(user: Client) -> None:
    response = batch(user, "{ a: __typename }", INVALID, FAILING, "{ b: __typename }")

    assert response.status_code == 200
    first, second, third, fourth = response.json()
    assert (first["data"], fourth["data"]) == ({"a": "Query"}, {"b": "Query"})
    assert ("data" not in second, codes(second)) == (True, ["GRAPHQL_VALIDATION_FAILED"])
    assert (third["data"], codes(third)) == (None, ["BAD_USER_INPUT"])


def test_changes_of_a_batch_are_made_one_after_another(user: Client, thread: Titled) -> None:
    response = batch(user, *map(thread.rename, ("first", "second", "third")))
    made = [answer["data"]["updateThread"]["__typename"] for answer in response.json()]
    assert made == ["UpdateThreadSuccess"] * 3
    assert thread.title == "third"


@pytest.mark.parametrize("size", [0, 6, 100])
def test_a_batch_of_another_size_is_refused_whole(user: Client, thread: Titled, size: int) -> None:
    assert refused(batch(user, *[thread.rename()] * size), 400) == "BAD_USER_INPUT"
    assert thread.title == "as it was"


def test_a_batch_costs_what_its_operations_cost_together(user: Client, thread: Titled) -> None:
    query = "{ threads(first: 100) { nodes { messages(first: 30) { nodes { id } } } } }"
    cost: int = post(user, {"query": query}).json()["extensions"]["cost"]["requested"]
    limit: int = post(user, {"query": query}).json()["extensions"]["cost"]["limit"]
    most = limit // cost
    assert 1 < most < 5

    assert len(batch(user, *[query] * most).json()) == most
    answer = batch(user, thread.rename(), *[query] * (most + 1)).json()
    assert codes(answer) == ["QUERY_TOO_COMPLEX"]
    assert answer["errors"][0]["extensions"]["cost"]["requested"] > limit
    assert thread.title == "as it was"


def test_a_batch_cannot_subscribe(user: Client, thread: Titled) -> None:
    for accept in ("*/*", URQL):
        assert refused(batch(user, thread.rename(), THREADS, accept=accept), 400) == "BAD_USER_INPUT"
    assert (
        refused(batch(user, thread.rename(), thread.rename(), accept="text/event-stream"), 406)
        == "BAD_USER_INPUT"
    )
    assert thread.title == "as it was"


def test_a_batch_by_get_is_none(user: Client) -> None:
    assert user.get("/graphql", params={"query": [VALID, VALID]}).json()["data"] == {"__typename": "Query"}


def test_batches_can_be_switched_off(tmp_path: Path) -> None:
    with LabServer(tmp_path, graphql_max_batch=1) as lab, lab.client() as client:
        response = post(client, [{"query": VALID}] * 2)
        assert refused(response, 400) == "BAD_USER_INPUT"
        assert "CHAT_GRAPHQL_MAX_BATCH" in response.text
        assert post(client, [{"query": VALID}]).json() == [post(client, {"query": VALID}).json()]
