"""Answers of every shape that a provider gives: each is understood and kept."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from tests.clients import DONE, Client, chunks, payloads
from tests.provider.client import ProviderProcess
from tests.provider.script import (
    EVENT_STREAM,
    CloseCleanly,
    Json,
    Script,
    Send,
    chunk,
    completion,
    sse,
    text_stream,
    usage_counts,
)
from tests.servers import ServerProcess

TOLD = {"index": 0, "finish_reason": None}


def parts(*texts: str) -> list[Json]:
    return [{"type": "output_text", "text": text} for text in texts]


def deltas(*contents: Any) -> str:
    return chunk(choices=[TOLD | {"delta": {"content": content}} for content in contents])


def messages(*contents: Any) -> str:
    return chunk(
        choices=[TOLD | {"message": {"role": "assistant", "content": content}} for content in contents]
    )


def answer_to(user: Client, thread_id: str, model: str) -> dict[str, Any]:
    """The answer to a message, which has to succeed."""
    response = user.send_message(thread_id, model=model)
    assert response.status_code == 201, response.text
    answer, question = user.messages(thread_id)
    assert (question["status"], answer["status"]) == ("ready", "ready")
    return answer


# --- chunks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ([deltas("One"), deltas(" two")], "One two"),
        ([deltas(parts("One", " two")), deltas(parts(" three"))], "One two three"),
        ([deltas(parts("One")), deltas(" two"), deltas([]), deltas(None)], "One two"),
        ([deltas([*parts("One"), {"type": "image"}, 7, {"type": "output_text"}])], "One"),
        ([deltas("One", " two"), deltas(" three")], "One two three"),
        ([messages("Whole")], "Whole"),
        ([messages(parts("Wh", "ole"))], "Whole"),
        ([deltas("Wh"), deltas("ole"), messages("Whole")], "Whole"),
        ([deltas("Wh"), messages("Whole")], "Whole"),
        ([messages("Wh"), messages("Whole")], "Whole"),
        ([deltas(""), chunk(choices=[]), chunk(choices=None), "{}"], ""),
        ([chunk(choices=[TOLD]), chunk(choices=[None, 7, "x", []]), deltas({"a": 1}), deltas("One")], "One"),
        ([chunk("One", id=7, agent_status=[], conversation_id={}, usage="much", message_metadata=3)], "One"),
        ([], ""),
    ],
)
def test_the_text_of_chunks_of_every_shape_is_kept(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, *, sent: list[str], text: str
) -> None:
    provider.script(model, sse(*sent))

    assert answer_to(user, thread_id, model)["text"] == text


def test_usage_and_id_are_taken_from_whichever_chunk_has_them(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    first = chunk("a", id="resp-7", usage=usage_counts(1, 1))
    last = chunk(choices=[], id=None, usage=usage_counts(30, 4))
    provider.script(model, sse(first, chunk("b", id=None, usage=None), last))
    answer = answer_to(user, thread_id, model)
    question = user.messages(thread_id)[1]

    assert (question["tokens_count"], answer["tokens_count"]) == (30, 4)
    assert question["correlation_id"] == answer["correlation_id"] == "resp-7"


def test_a_response_id_longer_than_the_field_is_cut(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, text_stream("a", id="r" * 300))

    assert answer_to(user, thread_id, model)["correlation_id"] == "r" * 255


# --- one JSON completion -----------------------------------------------------------------


@pytest.mark.parametrize("content", ["Whole answer", parts("Whole", " answer")])
@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8"])
def test_one_json_completion_is_taken_at_its_word(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, *, content: Any, media_type: str
) -> None:
    script = completion(
        "",
        usage=(12, 3),
        id="resp-1",
        conversation_id="conv-1",
        choices=[{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
    )
    provider.script(model, replace(script, headers=(("Content-Type", media_type),)))
    answer = answer_to(user, thread_id, model)

    assert (answer["text"], answer["tokens_count"], answer["correlation_id"]) == ("Whole answer", 3, "resp-1")
    assert user.messages(thread_id)[1]["tokens_count"] == 12
    assert user.get(f"/api/provider-threads/{thread_id}").json()["conversation_id"] == "conv-1"


def test_one_json_completion_is_streamed_as_one_chunk(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, completion("Whole answer", usage=(12, 3)))
    *_, whole, completed = chunks(user.stream_text(thread_id, model=model))

    assert whole["object"] == "chat.completion.chunk"
    assert whole["choices"][0]["delta"] == {"role": "assistant", "content": "Whole answer"}
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"] == usage_counts(12, 3)
    assert completed["agent_status"] == "completed"


def test_one_json_completion_can_interrupt_like_a_stream(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    payload = {"question": "Which one?"}
    script = completion("", agent_status="interrupted", interrupt_id="i-1", interrupt_payload=payload)
    provider.script(model, script)
    body = user.stream_text(thread_id, model=model)

    assert chunks(body)[-1]["choices"][0]["delta"]["content"] == "Which one?"
    assert user.messages(thread_id)[0]["metadata"] == {"interrupt_id": "i-1", "interrupt_payload": payload}


# --- frames ------------------------------------------------------------------------------

GARBAGE = [
    *("not json", '{"choices":[', "[]", "7", "null", '"text"', "{}}", "{'choices': []}", "<html>", " "),
    *('{"choices":[],"n":NaN}', "[" * 50_000),
]


def test_frames_that_are_no_json_object_are_skipped_and_logged(
    user: Client, server: ServerProcess, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    provider.script(model, sse("garbage at first", chunk("One"), *GARBAGE, chunk(" two")))
    with user.streaming(thread_id, model=model) as response:
        body, request_id = response.read().decode(), response.headers["x-request-id"]

    assert payloads(body)[2:-2] == [chunk("One"), chunk(" two")]
    assert user.messages(thread_id)[0]["text"] == "One two"
    # A blank one is nothing that an operator would want to know of.
    wait_for_log(server, request_id, "skipped", len(GARBAGE))


def wait_for_log(server: ServerProcess, request_id: str, word: str, n: int) -> None:
    """Returns once the log, which is written beside the answer, holds so many such lines of a request."""
    until, count = time.monotonic() + 10, 0
    while count != n:
        lines = [line for line in server.log_lines() if line.get("request_id") == request_id]
        count = sum(word in line["event"] for line in lines)
        assert time.monotonic() < until, lines


@pytest.mark.parametrize("bad", [b"\xff", b"\xd0", b"\xed\xa0\xbd"])
@pytest.mark.parametrize("field", [b'"choices":[{"delta":{"content":"%b"}}]', b'"choices":[],"unread":"%b"'])
def test_frames_that_are_not_utf_8_are_skipped(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, *, bad: bytes, field: bytes
) -> None:
    frame = Send(b"data: {" + field % bad + b"}\n\n")
    provider.script(model, sse(chunk("One"), frame, chunk(" two")))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:-2] == [chunk("One"), chunk(" two")]


def test_half_of_a_character_in_a_chunk_costs_no_more_than_itself(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    halves = [
        '{"choices":[{"delta":{"content":"a\\ud83d"}}]}',
        '{"choices":[{"delta":{"content":"\\ude00b"}}]}',
    ]
    provider.script(model, sse(*halves))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:-2] == halves
    text = user.messages(thread_id)[0]["text"]
    assert (text[0], text[-1]) == ("a", "b")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_any_line_end_and_any_cut_gives_the_same_answer(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, *, end: str, size: int
) -> None:
    lines = [
        "\ufeffevent: x",
        f"data: {chunk('Дva ')}",
        "",
        ": ping",
        f"data:{chunk('👩‍💻')}",
        "",
        "data: [DONE]",
    ]
    data = end.join([*lines, "", ""]).encode()
    provider.script(model, Script((Send(data),), headers=EVENT_STREAM).in_pieces(size))

    assert answer_to(user, thread_id, model)["text"] == "Дva 👩‍💻"


@pytest.mark.parametrize(
    "script",
    [
        sse(chunk("One"), chunk(" two"), done=False),
        Script((Send(f"data: {chunk('One')}\n\ndata: {chunk(' two')}".encode()),), headers=EVENT_STREAM),
        replace(sse(chunk("One"), chunk(" two"), done=False).then(CloseCleanly()), framing="close"),
        sse(chunk("One"), chunk(" two"), "[DONE]", chunk(" three"), done=False),
        sse(chunk("One"), chunk(" two"), " [DONE] ", done=False),
        replace(sse(chunk("One"), chunk(" two")), headers=()),
    ],
    ids=["no DONE", "no last blank line", "connection closed", "more behind DONE", "spaces", "no type"],
)
def test_a_body_that_ends_cleanly_is_a_whole_answer(
    user: Client, provider: ProviderProcess, thread_id: str, model: str, script: Script
) -> None:
    provider.script(model, script)
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:-2] == [chunk("One"), chunk(" two")]
    assert json.loads(payloads(body)[-2])["agent_status"] == "completed"
    assert payloads(body)[-1] == DONE
    assert [message["status"] for message in user.messages(thread_id)] == ["ready", "ready"]


def test_a_large_chunk_passes_whole(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    text = "0123456789" * 200_000
    provider.script(model, sse(chunk(text)).in_pieces(64_000))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2] == chunk(text)
    assert user.messages(thread_id)[0]["text"] == text


def test_many_small_chunks_pass_in_order(
    user: Client, provider: ProviderProcess, thread_id: str, model: str
) -> None:
    texts = [f"{number} " for number in range(1500)]
    provider.script(model, sse(*map(chunk, texts)).in_pieces(10_000))
    body = user.stream_text(thread_id, model=model)

    assert payloads(body)[2:-2] == [chunk(text) for text in texts]
    assert user.messages(thread_id)[0]["text"] == "".join(texts)
