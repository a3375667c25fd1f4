"""What a page of another site makes a browser send does nothing."""

from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.clients import Client
from tests.graphql.transports.lab import LabServer
from tests.graphql.transports.wire import PREFLIGHT, refused, socket

QUERY = {"query": "{ __typename }"}
FORM = {"operations": '{"query": "{ __typename }"}', "map": "{}"}
FILE = {"0": ("a.txt", b"hello")}

PREFLIGHTED = [
    PREFLIGHT,
    {"Apollo-Require-Preflight": "true"},
    {"X-Apollo-Operation-Name": "Anything"},
    {"Authorization": "Bearer x"},
]
# What a browser adds by itself, or lets any page set.
AMBIENT = [
    {},
    {"Cookie": "a=b"},
    {"Authorization": "Basic YTpi"},
    {"Authorization": ""},
    {"Accept-Language": "en"},
    {"Origin": "http://evil.example"},
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A server that pages of one other origin may call."""
    with LabServer(tmp_path_factory.mktemp("lab"), cors_origins=("https://chat.example",)) as server:
        yield server


@pytest.fixture
def stranger(lab: LabServer) -> Iterator[Client]:
    with lab.client() as client:
        yield client


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
@pytest.mark.parametrize("headers", AMBIENT)
def test_a_get_of_another_site_is_refused(stranger: Client, site: str, headers: dict[str, str]) -> None:
    for accept in ("application/json", "text/event-stream"):
        sent = {"Sec-Fetch-Site": site, "Accept": accept, **headers}
        assert refused(stranger.get("/graphql", params=QUERY, headers=sent), 403) == "BAD_USER_INPUT"


@pytest.mark.parametrize("site", [None, "none", "same-origin"])
def test_a_get_of_this_site_or_of_a_person_is_answered(stranger: Client, site: str | None) -> None:
    headers = {} if site is None else {"Sec-Fetch-Site": site}
    assert stranger.get("/graphql", params=QUERY, headers=headers).status_code == 200


@pytest.mark.parametrize("headers", PREFLIGHTED)
def test_a_get_that_the_browser_asked_about_is_answered(stranger: Client, headers: dict[str, str]) -> None:
    sent = {"Sec-Fetch-Site": "cross-site", **headers}
    assert stranger.get("/graphql", params=QUERY, headers=sent).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "text/plain; application/json", ""]
)
@pytest.mark.parametrize("headers", [*AMBIENT, PREFLIGHT])
def test_a_post_that_needs_no_preflight_is_refused(
    stranger: Client, content_type: str, headers: dict[str, str]
) -> None:
    sent = {"Content-Type": content_type, "Sec-Fetch-Site": "cross-site", **headers}
    response = stranger.post("/graphql", content=b'{"query": "{ __typename }"}', headers=sent)
    assert refused(response, 415) == "BAD_USER_INPUT"


@pytest.mark.parametrize("headers", AMBIENT)
def test_a_multipart_post_without_a_preflight_is_refused(stranger: Client, headers: dict[str, str]) -> None:
    response = stranger.post("/graphql", data=FORM, files=FILE, headers=headers)
    assert refused(response, 400) == "BAD_USER_INPUT"
    assert "GraphQL-Require-Preflight" in response.text


@pytest.mark.parametrize("headers", PREFLIGHTED)
def test_a_multipart_post_with_a_preflight_is_answered(stranger: Client, headers: dict[str, str]) -> None:
    assert stranger.post("/graphql", data=FORM, files=FILE, headers=headers).status_code == 200


def test_no_cookie_is_ever_asked_for(stranger: Client) -> None:
    headers = {"Origin": "https://chat.example"}
    response: httpx.Response = stranger.post("/graphql", json=QUERY, headers=headers)
    assert "set-cookie" not in response.headers
    assert "access-control-allow-credentials" not in response.headers


# WebSockets, before which no browser asks


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://chat.example.evil.example",
        "https://chat.example:8443",
        "http://chat.example",
        "https://evil.example/https://chat.example",
        "null",
        "",
        "http://",
        "http://[",
        "http://127.0.0.1",
        "http://localhost:%s",
        "file://",
    ],
)
def test_a_socket_of_another_site_is_refused_before_its_handshake(stranger: Client, origin: str) -> None:
    origin = origin.replace("%s", str(stranger.base_url.port))
    with pytest.raises(InvalidStatus) as caught, socket(stranger, init=False, origin=origin):
        pass
    assert caught.value.response.status_code == 403


@pytest.mark.parametrize(
    "origin", ["https://chat.example", "http://127.0.0.1:%s", "HTTP://127.0.0.1:%s", None]
)
def test_a_socket_of_this_site_or_an_allowed_one_is_served(stranger: Client, origin: str | None) -> None:
    origin = origin and origin.replace("%s", str(stranger.base_url.port))
    with socket(stranger, origin=origin) as connection:
        connection.subscribe("{ __typename }")
        assert connection.receive()["payload"]["data"] == {"__typename": "Query"}


def test_any_site_may_connect_by_default(user: Client) -> None:
    with socket(user, origin="http://other.example") as connection:
        connection.subscribe("{ __typename }")
        assert connection.receive()["payload"]["data"] == {"__typename": "Query"}
