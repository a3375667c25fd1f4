"""CHAT_LLM_ENABLED=false: messages wait for an outside worker, and nothing fails."""

from collections.abc import Iterator

import pytest

from tests.clients import DONE, Client, payloads
from tests.contract.messaging.files import TEXT, a_file, download, send_files
from tests.provider.client import Namespace, ProviderProcess
from tests.servers import ServerProcess


@pytest.fixture(scope="module")
def own(provider: ProviderProcess) -> Iterator[Namespace]:
    """The provider's namespace behind `user`'s server, which must never be asked."""
    with provider.namespace() as namespace:
        yield namespace


@pytest.fixture(scope="module")
def user(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    directory = tmp_path_factory.mktemp("disabled")
    settings = {"CHAT_LLM_ENABLED": "false"}
    with ServerProcess(directory, f"{own.base_url}/v1", settings) as server, server.admin() as client:
        yield client


@pytest.fixture(autouse=True)
def _the_provider_is_never_called(own: Namespace) -> Iterator[None]:
    yield
    assert own.connections().accepted == 0


def test_a_message_is_stored_as_queued(user: Client, thread_id: str, model: str) -> None:
    response = user.send_message(thread_id, "Hello", model=model, metadata={"a": 1}, correlation_id="mine")

    assert response.status_code == 201
    message = response.json()
    assert (message["status"], message["text"], message["metadata"]) == ("queued", "Hello", {"a": 1})
    assert (message["sender_type"], message["correlation_id"]) == ("user", "mine")
    assert user.messages(thread_id) == [message]
    thread = user.get(f"/api/threads/{thread_id}").json()
    assert (thread["title"], thread["metadata"]["model"]) == (f"{model}: Hello", model)


def test_a_message_needs_no_model(user: Client, thread_id: str) -> None:
    assert user.send_message(thread_id, "Hello").status_code == 201
    assert "Hello" in user.get(f"/api/threads/{thread_id}").json()["title"]


def test_the_stream_says_queued_and_completed(user: Client, thread_id: str, model: str) -> None:
    body = user.stream_text(thread_id, "Hello", model=model)

    def frame(status: str, finish_reason: str) -> str:
        return (
            f'{{"id":"{thread_id}","object":"chat.completion.chunk","agent_status":"{status}",'
            f'"choices":[{{"delta":{{}},"finish_reason":{finish_reason}}}]}}'
        )

    assert payloads(body) == [frame("queued", "null"), frame("completed", '"stop"'), DONE]
    (message,) = user.messages(thread_id)
    assert (message["text"], message["status"]) == ("Hello", "queued")


def test_messages_do_not_wait_for_each_other(user: Client, thread_id: str) -> None:
    sent = [user.send_message(thread_id, str(number)).status_code for number in range(30)]

    assert sent == [201] * 30
    messages = user.messages(thread_id, limit=100)
    assert [message["text"] for message in messages] == [str(number) for number in reversed(range(30))]
    assert {message["status"] for message in messages} == {"queued"}


def test_an_outside_worker_answers_through_patch(user: Client, thread_id: str) -> None:
    message = user.send_message(thread_id, "Hello").json()
    url = f"/api/threads/{thread_id}/messages/{message['id']}"

    assert user.patch(url, json={"status": "processing"}).json()["status"] == "processing"
    change = {"status": "ready", "text": "Hello — answered", "tokens_count": 7}
    changed = user.patch(url, json=change).json()
    assert changed == {**message, **change, "updated_at": changed["updated_at"]}
    assert user.messages(thread_id) == [changed]


def test_files_are_kept_as_ever(user: Client, thread_id: str) -> None:
    (attachment,) = send_files(user, thread_id, a_file())

    assert download(user, attachment).content == TEXT


@pytest.mark.parametrize("route", ["messages", "messages/stream"])
def test_what_is_wrong_is_refused_as_ever(user: Client, thread_id: str, route: str) -> None:
    url = f"/api/threads/{thread_id}/{route}"

    assert user.post(url, json={"text": ""}).status_code == 422
    broken = [a_file() | {"data_base64": "%"}]
    assert user.post(url, json={"text": "Hello", "attachments": broken}).status_code == 400
    assert user.messages(thread_id) == []


def test_models_are_not_offered(user: Client) -> None:
    response = user.get("/api/models")

    assert response.status_code == 503
    assert isinstance(response.json()["detail"], str)
