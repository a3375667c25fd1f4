"""Interrupts: the agent asks the user, and the run ends well, waiting for the reply."""

import json
from typing import Any

import pytest

from tests.clients import DONE, Client, chunks, payloads
from tests.provider.client import ProviderProcess
from tests.provider.script import (
    Json,
    Script,
    chunk,
    sse,
    text_stream,
    usage_counts,
)


def interrupt(text: str | None = None, **extra: Any) -> str:
    return chunk(text, **{"agent_status": "interrupted", "interrupt_id": "i-1", **extra})


def asking(payload: Any) -> Script:
    return sse(interrupt(interrupt_payload=payload))


# --- the question ------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["interrupted", "INTERRUPTED", "Interrupted"])
def test_an_interrupted_chunk_without_text_shows_the_question(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, status: str
) -> None:
    payload = {"question": "Which — ж?", "options": [1.5, None]}
    sent = interrupt(interrupt_payload=payload, agent_status=status, unknown={"a": 1})
    provider.script(model, sse(chunk("Let me see. "), sent))
    body = user.stream_text(thread_id, model=model)

    *_, shown = chunks(body)  # and no `completed` behind it
    expected = json.loads(sent)
    expected["choices"][0]["delta"]["content"] = "Which — ж?"
    assert shown == expected
    answer, question = user.messages(thread_id)
    assert (answer["status"], answer["text"], question["status"]) == ("ready", "Which — ж?", "ready")
    assert answer["metadata"] == {"interrupt_id": "i-1", "interrupt_payload": payload}


@pytest.mark.parametrize("choices", [[], None, [{"index": 0}], [{"index": 0, "delta": None}]])
def test_the_question_finds_a_place_in_a_chunk_that_has_none(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, choices: Any
) -> None:
    provider.script(model, sse(interrupt(interrupt_payload={"question": "Which?"}, choices=choices)))
    body = user.stream_text(thread_id, model=model)

    assert [choice["delta"]["content"] for choice in chunks(body)[-1]["choices"]] == ["Which?"]


def test_an_interrupted_chunk_with_text_passes_as_it_came(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    sent = interrupt("Please choose: ", interrupt_payload={"question": "Which?"})
    provider.script(model, sse(sent))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:] == [sent, DONE]


def test_a_question_is_shown_once_even_if_the_status_is_repeated(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    usage = interrupt(choices=[], usage=usage_counts(9, 2))
    provider.script(model, sse(interrupt(interrupt_payload={"question": "Which?"}), usage))
    body = user.stream_text(thread_id, model=model)

    assert body.count('"content":"Which?"') == 1
    assert payloads(body)[-2] == usage
    assert user.messages(thread_id)[0]["tokens_count"] == 2


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"content": "Content", "question": "Question"}, "Content"),
        ({"content": "", "question": "Question"}, "Question"),
        ({"content": None, "question": "Question"}, "Question"),
        ({"content": {"a": 1}, "question": "Question"}, "Question"),
        ({"question": "Question"}, "Question"),
        ({"content": "Content"}, "Content"),
        ({"options": ["a"]}, "Streamed"),
        ({"question": 7}, "Streamed"),
        (["a"], "Streamed"),
    ],
)
@pytest.mark.parametrize("inside", [False, True], ids=["top", "message_metadata"])
def test_the_stored_text_is_content_or_question_or_what_was_streamed(
    user: Client,
    provider: ProviderProcess,
    thread_id: str,
    model: str,
    *,
    payload: Any,
    text: str,
    inside: bool,
) -> None:
    fields: Json = {"interrupt_id": "i-1", "interrupt_payload": payload}
    extra: Json = {"message_metadata": fields} if inside else fields
    provider.script(model, sse(chunk("Streamed"), chunk(agent_status="interrupted", **extra)))

    assert user.send_message(thread_id, model=model).status_code == 201
    answer = user.messages(thread_id)[0]
    assert (answer["text"], answer["metadata"]) == (text, fields)


def test_an_interrupt_without_payload_keeps_text_and_id(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    sent = [chunk("Streamed"), interrupt(agent_status="INTERRUPTED")]
    provider.script(model, sse(*sent))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:] == [*sent, DONE]
    answer = user.messages(thread_id)[0]
    assert (answer["text"], answer["metadata"]) == ("Streamed", {"interrupt_id": "i-1"})


def test_the_status_may_follow_in_a_chunk_of_its_own(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    payload = {"question": "Which?"}
    first, last = chunk(interrupt_id="i-1", interrupt_payload=payload), chunk(agent_status="interrupted")
    provider.script(model, sse(first, last))
    body = user.stream_text(thread_id, model=model)

    assert [frame["choices"][0]["delta"] for frame in chunks(body)[2:]] == [{}, {"content": "Which?"}]
    answer = user.messages(thread_id)[0]
    assert answer["metadata"] == {"interrupt_id": "i-1", "interrupt_payload": payload}


def test_a_run_that_went_on_to_its_end_was_not_interrupted(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    asked = interrupt(interrupt_payload={"question": "Which?", "format": "password"})
    provider.script(model, sse(asked, chunk(" That one.", agent_status="completed")))
    user.send_message(thread_id, model=model)
    reply = user.send_message(thread_id, "Thanks").json()

    answer = user.messages(thread_id)[2]
    assert (answer["text"], answer["metadata"]) == ("Which? That one.", {})
    assert reply["text"] == "Thanks"


def test_the_conversation_goes_on_with_question_and_reply(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, asking({"question": "Which?"}), text_stream("That one"))
    user.send_message(thread_id, "Go", model=model)
    reply = user.send_message(thread_id, "The first").json()

    told = provider.requests(model)[1].json["messages"]
    assert [(item["role"], item["content"]) for item in told] == [
        *(("user", "Go"), ("assistant", "Which?"), ("user", "The first")),
    ]
    assert reply["text"] == "The first"
