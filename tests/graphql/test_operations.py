"""Queries and mutations over HTTP: the same verbs as REST, on the same core."""

import json
from collections.abc import Callable

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.clients import data, error_code, graphql
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.servers import PASSWORD, ServerProcess

THREAD = "{ id title metadata isDeleted messageCount }"


def test_a_user_signs_in_and_sees_themselves(server: ServerProcess, user: Client) -> None:
    username = data(user, "{ me { username } }")["me"]["username"]
    with server.client() as client:
        login = (
            "mutation ($u: String!, $p: String!) {login(input: {username: $u, password: $p}) {accessToken}}"
        )
        token = data(client, login, u=username, p=PASSWORD)["login"]["accessToken"]
        assert data(client.use(token), "{ me { username roles } }")["me"] == {
            "username": username,
            "roles": [],
        }


def test_a_refresh_token_buys_a_new_pair(server: ServerProcess, user: Client) -> None:
    username = data(user, "{ me { username } }")["me"]["username"]
    with server.client() as client:
        pair = client.log_in(username, PASSWORD)
        refresh = "mutation ($t: String!) { refresh(refreshToken: $t) { accessToken } }"
        token = data(client, refresh, t=pair["refresh_token"])["refresh"]["accessToken"]
        assert data(client.use(token), "{ me { username } }")["me"]["username"] == username


def test_logout_kills_every_token(user: Client) -> None:
    assert data(user, "mutation { logout }") == {"logout": True}
    assert error_code(user, "{ me { id } }") == "UNAUTHENTICATED"
    assert user.get("/api/auth/me").status_code == 401


def test_only_administrators_register_users(user: Client, admin: Client) -> None:
    register = 'mutation ($u: String!) { register(input: {username: $u, password: "pw"}) { username } }'
    name = unique("grown")
    assert error_code(user, register, u=name) == "NOT_ALLOWED"
    assert data(admin, register, u=name)["register"] == {"username": name}
    assert error_code(admin, register, u=name) == "USER_EXISTS"


def test_without_a_token_nothing_is_shown(server: ServerProcess) -> None:
    with server.client() as client:
        assert error_code(client, "{ threads { items { id } } }") == "UNAUTHENTICATED"


def test_a_thread_is_made_changed_deleted_and_restored(user: Client) -> None:
    made = data(user, f'mutation {{ createThread(input: {{title: "Rome"}}) {THREAD} }}')["createThread"]
    thread_id = made["id"]
    change = f'mutation ($id: UUID!) {{ updateThread(input: {{threadId: $id, title: "Oslo"}}) {THREAD} }}'
    assert data(user, change, id=thread_id)["updateThread"]["title"] == "Oslo"
    delete = f"mutation ($id: UUID!) {{ deleteThread(threadId: $id) {THREAD} }}"
    assert data(user, delete, id=thread_id)["deleteThread"]["isDeleted"] is True
    show = f"query ($id: UUID!) {{ thread(threadId: $id) {THREAD} }}"
    assert error_code(user, show, id=thread_id) == "THREAD_NOT_FOUND"
    restore = f"mutation ($id: UUID!) {{ restoreThread(threadId: $id) {THREAD} }}"
    assert data(user, restore, id=thread_id)["restoreThread"]["isDeleted"] is False
    assert user.get(f"/api/threads/{thread_id}").json()["title"] == "Oslo"


def test_messages_of_rest_are_seen_here(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("Buongiorno"))
    thread_id = user.new_thread()["id"]
    user.send_message(thread_id, "Ciao", model=model)

    query = """query { threads { pageInfo { total } items { id messageCount
      messages { pageInfo { total hasMore } items { senderType status text } } } } }"""
    threads = data(user, query)["threads"]

    assert threads["pageInfo"]["total"] == 1
    (thread,) = threads["items"]
    assert (thread["id"], thread["messageCount"]) == (thread_id, 2)
    assert thread["messages"]["items"] == [
        {"senderType": "ASSISTANT", "status": "READY", "text": "Buongiorno"},
        {"senderType": "USER", "status": "READY", "text": "Ciao"},
    ]


def test_a_run_is_cancelled(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("begun", WaitFor(model), "never"))
    thread_id = user.new_thread()["id"]
    send = """mutation ($t: UUID!, $m: String!) {
      sendMessage(input: {threadId: $t, text: "Hi", model: $m}) { run { id } } }"""
    run_id = data(user, send, t=thread_id, m=model)["sendMessage"]["run"]["id"]
    provider.wait_until_held(model)

    cancelled = data(user, "mutation ($id: UUID!) { cancelRun(runId: $id) { status } }", id=run_id)

    assert cancelled["cancelRun"]["status"] == "CANCELLED"
    assert provider.wait_for_close(model, timeout=5)


def test_models_are_those_of_the_provider(user: Client) -> None:
    assert data(user, "{ models { id } }")["models"] == [{"id": "echo"}]


def test_provider_state_is_kept(user: Client) -> None:
    thread_id = user.new_thread()["id"]
    keep = """mutation ($t: UUID!) { setProviderThread(
      input: {threadId: $t, conversationId: "c-1", payload: {a: 1}}) { conversationId payload } }"""
    kept = {"conversationId": "c-1", "payload": {"a": 1}}
    assert data(user, keep, t=thread_id)["setProviderThread"] == kept
    show = "query ($t: UUID!) { providerThread(threadId: $t) { conversationId payload } }"
    assert data(user, show, t=thread_id)["providerThread"] == kept


def test_a_foreign_thread_is_not_found(user: Client, new_user: Callable[..., Client]) -> None:
    thread_id = user.new_thread(title="Mine")["id"]
    show = "query ($id: UUID!) { thread(threadId: $id) { title } }"
    assert error_code(new_user(), show, id=thread_id) == "THREAD_NOT_FOUND"


def test_bad_input_is_told_without_the_servers_words(user: Client) -> None:
    answer = graphql(user, '{ thread(threadId: "no uuid") { id } }')
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "Traceback" not in str(answer)
    assert error_code(user, "{ nonsense }") == "BAD_USER_INPUT"


def test_text_that_cannot_be_stored_is_refused(user: Client) -> None:
    keep = """mutation ($t: UUID!, $c: String) {
      setProviderThread(input: {threadId: $t, conversationId: $c}) { id } }"""
    variables = {"t": user.new_thread()["id"], "c": "\ud800"}
    response = user.post(
        "/graphql",
        content=json.dumps({"query": keep, "variables": variables}),
        headers={"Content-Type": "application/json"},
    )
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_STORABLE"


@pytest.mark.parametrize(
    "query",
    [
        'mutation { login(input: {username: "nobody", password: "SECRET"}) { accessToken } }',
        'mutation { login(input: {username: "nobody", password: "SECRET", odd: 1}) { accessToken } }',
        'mutation { login(input: {username: "nobody", password: "SECRET"} { accessToken } }',
        'mutation { register(input: {username: "", password: "SECRET"}) { id } }',
    ],
)
def test_no_password_reaches_the_log(server: ServerProcess, user: Client, query: str) -> None:
    secret = unique("secret")
    response = user.post("/graphql", json={"query": query.replace("SECRET", secret)})
    assert response.json()["errors"]
    server.wait_for_log(request_id=response.headers["x-request-id"], event="request")
    assert secret not in server.log_file.read_text(encoding="utf-8")


def test_a_document_without_end_is_refused_before_it_is_parsed(user: Client) -> None:
    assert "errors" in graphql(user, "{" + " a" * 100_000 + "}")
