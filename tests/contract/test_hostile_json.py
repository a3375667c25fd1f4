"""Bodies that mean harm: refused or kept, never a fault of ours, and never in the way of later reads."""

import json
from collections.abc import Iterator
from typing import Any, NoReturn

import httpx
import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import sse
from tests.servers import PASSWORD, ServerProcess

HEADERS = {"Content-Type": "application/json"}
BROKEN = {
    "nothing": b"",
    "white space": b" \n",
    "half": b'{"title": "hush',
    "no colon": b'{"title"}',
    "a stray comma": b'{"title": "hush",}',
    "single quotes": b"{'title': 'hush'}",
    "two values": b"{} {}",
    "not UTF-8": b'{"title": "hush\xff"}',
    "null": b"null",
    "a list": b"[]",
    "a text": b'"hush"',
    "a number": b"1",
}
# JSON values that no object of ours can hold.
IMPOSSIBLE = {
    "NaN": "NaN",
    "infinity": "[Infinity, -Infinity]",
    "a float beyond all": "1e400",
    "an integer of 5000 digits": "9" * 5000,
    "half a surrogate pair": r'"\ud800"',
    "half a surrogate pair as key": r'{"a": {"\udfff": 1}}',
    "lists 300 deep": "[" * 300 + "]" * 300,
    "objects 300 deep": '{"a":' * 300 + "1" + "}" * 300,
    "lists 900 deep": "[" * 900 + "]" * 900,
    "lists 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "objects 100,000 deep": '{"a":' * 100_000 + "1" + "}" * 100_000,
}
# Unusual values that must come back as they were.
UNUSUAL = {
    "NUL": r'"a\u0000b"',
    "NUL in a key": r'{"a\u0000": 1}',
    "an integer of 400 digits": "9" * 400,
    "a tiny float": "5e-324",
    "lists 50 deep": "[" * 50 + "]" * 50,
    "controls": r'"\u0001\u001f\u007f\u2028\ufffe"',
    "keys of objects": '{"__proto__": 1, "": 2, "id": null}',
}
ROUTES = [
    ("POST", "/api/threads", '{"metadata": {"x": %s}}'),
    ("PATCH", "/api/threads/{id}", '{"metadata": {"x": %s}}'),
    ("PUT", "/api/provider-threads/{id}", '{"payload": {"x": %s}}'),
    ("POST", "/api/threads/{id}/messages", '{"text": "Hi", "model": "unscripted", "metadata": {"x": %s}}'),
    (
        "POST",
        "/api/threads/{id}/messages/stream",
        '{"text": "Hi", "model": "unscripted", "metadata": {"x": %s}}',
    ),
]


@pytest.fixture(scope="module")
def sender(server: ServerProcess, admin: Client) -> Iterator[Client]:
    """One account for all of these bodies."""
    name = unique("hostile")
    admin.post("/api/auth/register", json={"username": name, "password": PASSWORD}).raise_for_status()
    with server.client().sign_in(name, PASSWORD) as client:
        yield client


def strict(response: httpx.Response) -> Any:
    """The body, read by the letter of the standard."""

    def refuse(word: str) -> NoReturn:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(response.content, parse_constant=refuse)


def assert_readable(client: Client, thread_id: str) -> None:
    """Whatever was sent, what is there can still be read."""
    for path in (
        "/api/threads?include_deleted=true",
        f"/api/threads/{thread_id}",
        f"/api/threads/{thread_id}/messages",
    ):
        response = client.get(path)
        assert response.status_code == 200, response.text
        strict(response)


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *[(method, path) for method, path, _ in ROUTES],
        ("POST", "/api/auth/login"),
        ("POST", "/api/auth/refresh"),
    ],
)
def test_what_is_not_a_json_object_is_the_callers_fault(
    sender: Client, method: str, path: str, body: bytes
) -> None:
    url = path.format(id="00000000-0000-0000-0000-000000000000")
    response = sender.request(method, url, content=body, headers=HEADERS)

    assert response.status_code in (400, 422), response.text
    assert strict(response)["detail"]
    assert "hush" not in response.text


@pytest.mark.parametrize("value", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
@pytest.mark.parametrize(("method", "path", "template"), ROUTES)
def test_a_value_that_cannot_be_kept_is_refused(
    sender: Client, method: str, path: str, template: str, value: str
) -> None:
    thread_id = sender.new_thread()["id"]
    body = (template % value).encode()
    response = sender.request(method, path.format(id=thread_id), content=body, headers=HEADERS)

    assert response.status_code in (400, 413, 422), response.text
    assert strict(response)["detail"]
    assert_readable(sender, thread_id)


@pytest.mark.parametrize("value", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_value_comes_back_as_it_was_sent(sender: Client, value: str) -> None:
    thread_id = sender.new_thread()["id"]
    kept = {"x": json.loads(value)}
    seen = []
    for method, path, template in ROUTES[:4]:
        url = path.format(id=thread_id)
        response = sender.request(method, url, content=(template % value).encode(), headers=HEADERS)
        assert response.is_success, response.text
        seen.append(strict(response))

    assert [body.get("metadata", body.get("payload")) for body in seen] == [kept] * 4
    assert_readable(sender, thread_id)


@pytest.mark.parametrize("name", ["title", "summary"])
@pytest.mark.parametrize("text", [r"a\u0000b", r"a\ud800b", r"\udc00"])
def test_text_that_no_database_holds_spoils_no_thread(sender: Client, name: str, text: str) -> None:
    thread_id = sender.new_thread()["id"]
    for method, path in (("POST", "/api/threads"), ("PATCH", f"/api/threads/{thread_id}")):
        content = f'{{"{name}": "{text}"}}'.encode()
        response = sender.request(method, path, content=content, headers=HEADERS)
        assert response.status_code in (200, 201, 400, 422), response.text
        strict(response)
    assert_readable(sender, thread_id)


@pytest.mark.parametrize("name", ["model", "model_label", "correlation_id", "content_type"])
@pytest.mark.parametrize("text", [r"a\u0000b", r"a\ud800b"])
def test_a_name_that_no_database_holds_is_refused(sender: Client, name: str, text: str) -> None:
    thread_id = sender.new_thread()["id"]
    file = {"filename": "a", "data_base64": ""}
    body: dict[str, Any] = {"text": "Hi", "model": "unscripted", "attachments": [file]}
    (file if name == "content_type" else body)[name] = "NAME"
    content = json.dumps(body).replace("NAME", text).encode()
    response = sender.post(f"/api/threads/{thread_id}/messages", content=content, headers=HEADERS)

    assert response.status_code == 422, response.text
    assert name in json.dumps(strict(response)["detail"])
    assert sender.messages(thread_id) == []


@pytest.mark.parametrize("text", [r"a\u0000b", r"a\ud800b"])
@pytest.mark.parametrize("name", ["provider", "conversation_id"])
def test_a_name_at_the_provider_that_no_database_holds_is_refused(
    sender: Client, name: str, text: str
) -> None:
    thread_id = sender.new_thread()["id"]
    content = f'{{"{name}": "{text}"}}'.encode()
    response = sender.put(f"/api/provider-threads/{thread_id}", content=content, headers=HEADERS)
    assert response.status_code == 422, response.text


@pytest.mark.parametrize(
    ("username", "password"),
    [
        (r"no\ud800body", "x"),
        (r"no\u0000body", "x"),
        ("nobody", r"\ud800"),
        ("nobody", r"\u0000"),
        ("admin", r"\ud800"),
        ("admin", r"\u0000"),
        ("n" * 100_000, "x"),
        ("admin", "x" * 100_000),
    ],
)
def test_a_login_with_any_text_is_just_wrong(sender: Client, username: str, password: str) -> None:
    content = f'{{"username": "{username}", "password": "{password}"}}'.encode()
    response = sender.post("/api/auth/login", content=content, headers=HEADERS)

    assert (response.status_code, response.json()) == (401, {"detail": "Invalid credentials"})


@pytest.mark.parametrize("token", [r"\ud800", r"\u0000", "..", "токен", "a" * 100_000])
def test_a_refresh_with_any_text_is_just_wrong(sender: Client, token: str) -> None:
    content = f'{{"refresh_token": "{token}"}}'.encode()
    assert sender.post("/api/auth/refresh", content=content, headers=HEADERS).status_code == 401


@pytest.mark.parametrize("field", ["username", "password", "email", "full_name"])
@pytest.mark.parametrize("value", [r'"\ud800"', "1", "[]", "1e400"])
def test_an_account_with_an_impossible_field_is_refused(admin: Client, field: str, value: str) -> None:
    rest = {"username": unique("refused"), "password": PASSWORD}
    rest.pop(field, None)
    content = (json.dumps(rest)[:-1] + f', "{field}": {value}}}').encode()

    assert admin.post("/api/auth/register", content=content, headers=HEADERS).status_code == 422


@pytest.mark.parametrize("field", ["roles", "allowed_products", "allowed_agents"])
@pytest.mark.parametrize("value", [r'["\ud800"]', "[1]", "[[]]", '"x"', "{}"])
def test_an_account_with_an_impossible_list_is_refused(admin: Client, field: str, value: str) -> None:
    account = json.dumps({"username": unique("refused"), "password": PASSWORD})
    content = (account[:-1] + f', "{field}": {value}}}').encode()

    assert admin.post("/api/auth/register", content=content, headers=HEADERS).status_code == 422


@pytest.mark.parametrize("value", [IMPOSSIBLE["lists 300 deep"], IMPOSSIBLE["half a surrogate pair"]])
def test_an_impossible_value_from_the_provider_spoils_no_thread(
    sender: Client, provider: ProviderProcess, model: str, value: str
) -> None:
    payload = f'"interrupt_payload":{{"question":"Which?","x":{value}}}'
    provider.script(
        model, sse(f'{{"id":"r","agent_status":"interrupted",{payload},"choices":[{{"delta":{{}}}}]}}')
    )
    thread_id = sender.new_thread()["id"]

    assert sender.send_message(thread_id, model=model).status_code == 201
    assert_readable(sender, thread_id)
    assert sender.messages(thread_id)[0]["text"] == "Which?"
