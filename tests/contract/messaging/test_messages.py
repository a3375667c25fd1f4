"""POST …/messages, field by field: what is stored, remembered and answered."""

import base64
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, plain_error, text_stream

FIELDS = {
    *("id", "thread_id", "sender_id", "sender_type", "status", "text", "metadata", "tokens_count"),
    *("error_code", "correlation_id", "created_at", "updated_at", "attachments"),
}
FILE = {"filename": "a.txt", "content_type": "text/plain", "data_base64": base64.b64encode(b"a").decode()}


def metadata_of(user: Client, thread_id: str) -> dict[str, Any]:
    metadata: dict[str, Any] = user.get(f"/api/threads/{thread_id}").json()["metadata"]
    return metadata


# --- a send that succeeds ----------------------------------------------------------------


def test_a_sent_message_comes_back_with_every_field(user: Client, thread_id: str, model: str) -> None:
    response = user.send_message(thread_id, "Hello", model=model)

    assert response.status_code == 201
    message = response.json()
    assert message.keys() == FIELDS
    assert str(UUID(message["id"])) == message["id"]
    assert message["thread_id"] == thread_id
    assert message["sender_id"] == user.get("/api/auth/me").json()["id"]
    assert (message["sender_type"], message["text"]) == ("user", "Hello")
    assert (message["metadata"], message["attachments"], message["error_code"]) == ({}, [], None)
    for field in ("created_at", "updated_at"):
        assert datetime.fromisoformat(message[field]).utcoffset() == timedelta(0)


def test_after_a_success_both_messages_are_ready_and_counted(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("Good ", "day", usage=(12, 5), id="resp-9"))
    question = user.send_message(thread_id, "Hello", model=model, correlation_id="mine").json()
    answer, stored_question = user.messages(thread_id)

    assert stored_question == question
    assert (question["status"], question["tokens_count"], question["correlation_id"]) == (
        "ready",
        12,
        "resp-9",
    )
    assert answer.keys() == FIELDS
    assert (answer["sender_id"], answer["sender_type"]) == ("assistant", "assistant")
    assert (answer["status"], answer["text"], answer["error_code"]) == ("ready", "Good day", None)
    assert (answer["tokens_count"], answer["correlation_id"]) == (5, "resp-9")
    assert (answer["thread_id"], answer["metadata"], answer["attachments"]) == (thread_id, {}, [])


def test_a_provider_that_counts_nothing_leaves_the_counts_empty(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("Good day"))
    user.send_message(thread_id, model=model, tokens_count=99)

    assert [message["tokens_count"] for message in user.messages(thread_id)] == [None, None]


def test_a_message_is_processing_while_its_answer_is_written(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("Good ", WaitFor(model), "day"))
    with user.streaming(thread_id, model=model) as response:
        provider.wait_until_held(model)
        at_work = user.messages(thread_id)
        provider.open_gate(model)
        response.read()

    assert [(message["sender_type"], message["status"]) for message in at_work] == [("user", "processing")]
    assert [message["status"] for message in user.messages(thread_id)] == ["ready", "ready"]


@pytest.mark.parametrize(
    "forged",
    [
        {"sender_id": "assistant", "sender_type": "assistant"},
        {"user_id": str(uuid4()), "sender_type": "system"},
        {"status": "error", "error_code": "forged", "tokens_count": 999},
        {
            "id": str(uuid4()),
            "thread_id": str(uuid4()),
            "created_at": "2000-01-01T00:00:00Z",
            "role": "system",
        },
        {"sender_id": {"a": [1]}, "user_id": 7, "sender_type": 7, "status": [], "tokens_count": "many"},
    ],
    ids="+".join,
)
def test_what_a_client_says_of_sender_and_state_never_counts(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, forged: dict[str, Any]
) -> None:
    provider.script(model, text_stream("Yes"))
    me = user.get("/api/auth/me").json()["id"]
    response = user.post(f"/api/threads/{thread_id}/messages", json={"text": "Mine", "model": model} | forged)

    assert response.status_code == 201
    _, stored = user.messages(thread_id)
    assert (stored["sender_id"], stored["sender_type"], stored["thread_id"]) == (me, "user", thread_id)
    assert (stored["status"], stored["error_code"], stored["tokens_count"]) == ("ready", None, None)
    assert stored["id"] != forged.get("id")
    assert not stored["created_at"].startswith("2000")
    sent = provider.requests(model)[0].json
    assert (sent["user"], sent["messages"]) == (me, [{"role": "user", "content": "Mine"}])


# --- the model ---------------------------------------------------------------------------


def test_without_any_model_the_message_is_refused_and_not_stored(user: Client, thread_id: str) -> None:
    response = user.send_message(thread_id)

    assert (response.status_code, response.json()) == (400, {"detail": "Model is required"})
    assert user.messages(thread_id) == []


def test_the_model_and_its_label_are_remembered(user: Client, provider: ProviderProcess, model: str) -> None:
    thread_id = user.new_thread(metadata={"mine": [1]})["id"]
    user.send_message(thread_id, model=model, model_label="The Label")

    known = {"model": model, "model_label": "The Label", "provider": "openai-compatible"}
    assert metadata_of(user, thread_id) == {"mine": [1], **known}

    assert user.send_message(thread_id, "Again").status_code == 201
    assert [request.json["model"] for request in provider.requests(model)] == [model, model]
    assert metadata_of(user, thread_id) == {"mine": [1], **known}


def test_a_model_in_the_metadata_of_the_thread_is_enough(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    thread_id = user.new_thread(metadata={"model": model, "model_label": "The Label"})["id"]

    assert user.send_message(thread_id, "Hello").status_code == 201
    assert provider.requests(model)[0].json["model"] == model
    assert user.get(f"/api/threads/{thread_id}").json()["title"] == "The Label: Hello"


def test_another_model_takes_the_place_of_the_remembered_one(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    user.send_message(thread_id, model=unique("former"), model_label="Former")
    user.send_message(thread_id, model=model, model_label="Latter")

    assert len(provider.requests(model)) == 1
    metadata = metadata_of(user, thread_id)
    assert (metadata["model"], metadata["model_label"]) == (model, "Latter")


# --- the text and the title --------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        *({"text": blank} for blank in (" ", "\n\t ", "\u00a0")),
        *({"text": blank, "attachments": [FILE]} for blank in ("", " ")),
    ],
)
def test_a_blank_text_says_process_as_expected(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, said: dict[str, Any]
) -> None:
    message = user.send_message(thread_id, model=model, **said).json()

    assert message["text"] == "Process as expected."
    assert user.get(f"/api/threads/{thread_id}").json()["title"] == f"{model}: Process as expected."
    assert "Process as expected." in provider.requests(model)[0].body.decode()


@pytest.mark.parametrize(
    "body", [{"text": ""}, {"text": "", "attachments": []}, {}, {"text": 7}, {"text": {}}]
)
def test_a_message_of_nothing_is_refused(
    user: Client, thread_id: str, model: str, body: dict[str, Any]
) -> None:
    response = user.post(f"/api/threads/{thread_id}/messages", json={"model": model, **body})

    assert response.status_code == 422
    assert [error["loc"] for error in response.json()["detail"]] == [["body", "text"]]
    assert user.messages(thread_id) == []


def test_text_is_kept_as_it_was_sent(user: Client, thread_id: str, model: str) -> None:
    text = "  [два]\r\n\tthree 👩‍💻 \u202e <b>&amp;</b> "

    user.send_message(thread_id, text, model=model)

    answer, question = user.messages(thread_id)
    assert question["text"] == answer["text"] == text


LONG = "0123456789abcdef" * 3


@pytest.mark.parametrize(
    ("label", "text", "title"),
    [
        (None, "Hello", "{model}: Hello"),
        ("Label", "Hello", "Label: Hello"),
        ("Label", LONG, f"Label: {LONG[:32]}"),
        ("Label", "я" * 40, f"Label: {'я' * 32}"),
        ("Label", f"{LONG[:31]} tail", f"Label: {LONG[:31]}"),
        ("[Label]", "a [b] [[c]]", "Label: a b c"),
        ("Label", f"[{LONG[:30]}] tail", f"Label: {LONG[:30]}"),
        ("x" * 255, "Hello", "x" * 255),
    ],
)
def test_a_thread_without_title_gets_one(
    user: Client, thread_id: str, model: str, *, label: str | None, text: str, title: str
) -> None:
    user.send_message(thread_id, text, model=model, model_label=label)
    user.send_message(thread_id, "Second")

    assert user.get(f"/api/threads/{thread_id}").json()["title"] == title.format(model=model)


def test_a_title_that_somebody_gave_stays(user: Client, model: str) -> None:
    thread_id = user.new_thread(title="Mine [1]")["id"]
    user.send_message(thread_id, model=model)

    assert user.get(f"/api/threads/{thread_id}").json()["title"] == "Mine [1]"


def test_metadata_is_stored_and_passed_on_with_its_own_message(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    metadata = {"a": {"b": [1, 2.5, None, True]}, "ж": "é", "model": "not this one"}
    message = user.send_message(thread_id, "One", model=model, metadata=metadata).json()
    user.send_message(thread_id, "Two")

    assert message["metadata"] == metadata
    first, second = (request.json["messages"] for request in provider.requests(model))
    assert [sent.get("metadata") for sent in first] == [metadata]
    assert [sent.get("metadata") for sent in second] == [metadata, None, None]


def test_a_thread_goes_on_after_a_failure(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, plain_error("Later, please", 503), text_stream("Here I am"))
    user.send_message(thread_id, "One", model=model)

    assert user.send_message(thread_id, "Two").status_code == 201
    assert [message["status"] for message in user.messages(thread_id)] == ["ready", "ready", "error"]
