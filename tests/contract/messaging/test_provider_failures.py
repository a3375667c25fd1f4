"""Failures of every shape that a provider has: each is told clearly, and what arrived is kept."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.clients import DONE, Client, payloads
from tests.provider.client import ProviderProcess
from tests.provider.script import (
    EVENT_STREAM,
    CloseCleanly,
    Cut,
    Script,
    Send,
    Sleep,
    Step,
    WaitFor,
    chunk,
    json_body,
    plain_error,
    sse,
    text_stream,
)
from tests.servers import ServerProcess

HALF = Send(b'data: {"choices":[{"delta":{"content":"never')
JSON = (("Content-Type", "application/json"),)


@pytest.fixture(scope="module")
def impatient(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Its server waits half a second for the provider."""
    directory = tmp_path_factory.mktemp("impatient")
    settings = {"CHAT_LLM_TIMEOUT_SECONDS": "0.5"}
    with ServerProcess(directory, f"{provider.base_url}/v1", settings) as server, server.admin() as client:
        yield client


def failure_of(client: Client, model: str) -> tuple[str, list[str]]:
    """The sentence of a failure and the texts kept of its answer, once both ways to send failed alike."""
    waited, streamed = (str(client.new_thread()["id"]) for _ in range(2))
    response = client.send_message(waited, model=model)
    assert response.status_code == 502, response.text
    sentence = response.json()["detail"]
    *_, failed, error, done = payloads(client.stream_text(streamed, model=model))
    assert json.loads(failed)["agent_status"] == "failed"
    assert (json.loads(error), done) == ({"error": {"message": sentence, "type": "agent_error"}}, DONE)

    stored = [client.messages(thread_id) for thread_id in (waited, streamed)]
    for *answers, question in stored:
        assert (question["sender_type"], question["status"]) == ("user", "error")
        assert question["error_code"] == sentence[:128]
        assert [(answer["sender_type"], answer["status"]) for answer in answers] == [
            ("assistant", "error") for _ in answers
        ]
    texts: list[list[str]] = [[answer["text"] for answer in answers] for *answers, _ in stored]
    assert texts[0] == texts[1]
    return sentence, texts[0]


# --- refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "Out of credit", "type": "billing", "code": 7}},
        {"error": "Out of credit"},
        {"detail": "Out of credit"},
        {"detail": {"message": "Out of credit"}},
        {"detail": [{"loc": ["body"], "msg": "Out of credit", "type": "x"}]},
        {"message": "Out of credit", "status": 400},
        {"error": {"code": 7}, "detail": "Out of credit"},
        "Out of credit",
    ],
)
@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_json_error_body_is_told_in_its_own_words(
    user: Client, provider: ProviderProcess, model: str, body: Any, status: int
) -> None:
    provider.script(model, json_body(body, status))

    assert failure_of(user, model) == ("Out of credit", [])


@pytest.mark.parametrize("status", [401, 404, 502, 503])
def test_a_plain_error_body_is_told_as_it_is(
    user: Client, provider: ProviderProcess, model: str, status: int
) -> None:
    provider.script(model, plain_error(" Нет — upstream is away\n", status))

    assert failure_of(user, model) == ("Нет — upstream is away", [])


def test_an_error_code_is_cut_to_128_characters_and_the_detail_is_not(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    sentence = "ж" * 127 + "é" + "x" * 100
    provider.script(model, plain_error(sentence, 500))

    assert failure_of(user, model) == (sentence, [])


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"null", b'{"error":{}}', b"<html><h1>Bad gateway</h1></html>", b"\n <!DOCTYPE html>"],
)
def test_an_error_without_words_is_told_by_its_status(
    user: Client, provider: ProviderProcess, model: str, body: bytes
) -> None:
    provider.script(model, Script((Send(body),), status=599, framing="length"))
    sentence, texts = failure_of(user, model)

    assert ("599" in sentence, "<" in sentence, texts) == (True, False, [])


@pytest.mark.parametrize(
    "body", [b"\0 bad", b"\xff\xfe bad", b'{"error":"\xff bad"}', b'{"error":"\\ud83d bad"}']
)
def test_an_error_body_with_broken_characters_is_told_without_them(
    user: Client, provider: ProviderProcess, model: str, body: bytes
) -> None:
    provider.script(model, Script((Send(body),), status=500, framing="length"))
    sentence, _ = failure_of(user, model)

    assert sentence.strip("\N{REPLACEMENT CHARACTER}") == " bad"


def test_a_redirect_is_not_followed_with_the_users_words(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    headers = (("Location", f"{provider.base_url}/elsewhere"),)
    provider.script(model, Script(status=307, headers=headers, framing="length"))

    assert "307" in failure_of(user, model)[0]
    assert {request.path for request in provider.requests(model)} == {"/v1/chat/completions"}


# --- answers that are none ---------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        *map(json_body, ([], {}, {"choices": None}, "text", {"object": "list", "data": []})),
        *(Script((Send(body),), headers=JSON) for body in (b"", b"{", b'{"choices":[{"message":"\xff"}]}')),
        sse("garbage", "[]", done=False),
        Script((Send(b"Hello, I am no event stream.\n"),), headers=EVENT_STREAM),
        Script((Send(b"<html>Sign in to the network</html>"),), headers=(("Content-Type", "text/html"),)),
        Script((Send(b"\x16\x03\x01 this is not HTTP\r\n\r\n"), CloseCleanly()), framing="raw"),
    ],
    ids=lambda script: repr(script.body[:24]),
)
def test_an_answer_that_makes_no_sense_is_a_failure(
    user: Client, provider: ProviderProcess, model: str, script: Script
) -> None:
    provider.script(model, script)
    sentence, texts = failure_of(user, model)

    assert sentence.startswith("The LLM provider's answer")
    assert texts == []


def test_an_error_in_place_of_a_completion_is_told_in_its_own_words(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, json_body({"error": {"message": "Out of credit"}}))

    assert failure_of(user, model) == ("Out of credit", [])


# --- in the middle -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ({"error": {"message": "Overloaded", "code": 529}}, "Overloaded"),
        ({"error": "Overloaded"}, "Overloaded"),
        ({"error": {"code": 529}}, "LLM provider error"),
        ({"error": {"message": "Overloaded"}, "choices": [{"delta": {"content": "x"}}]}, "Overloaded"),
    ],
)
@pytest.mark.parametrize("arrived", [[], ["One"], ["One", " two"]])
def test_an_error_inside_the_stream_ends_it_and_keeps_what_arrived(
    user: Client, provider: ProviderProcess, model: str, *, error: Any, sentence: str, arrived: list[str]
) -> None:
    provider.script(model, sse(*map(chunk, arrived), json.dumps(error), chunk("never")))

    assert failure_of(user, model) == (sentence, ["".join(arrived)] if arrived else [])


@pytest.mark.parametrize("arrived", [[], ["One", " two"]])
@pytest.mark.parametrize("ending", [Cut(), CloseCleanly(end_body=False)])
@pytest.mark.parametrize("half", [[], [HALF]], ids=["between frames", "in a frame"])
def test_a_cut_connection_keeps_what_arrived(
    user: Client, provider: ProviderProcess, model: str, *, arrived: list[str], ending: Any, half: list[Send]
) -> None:
    steps: list[str | Step] = [*map(chunk, arrived), *half, ending]
    provider.script(model, sse(*steps, done=False))
    sentence, texts = failure_of(user, model)

    assert "closed the connection" in sentence
    assert texts == (["".join(arrived)] if arrived else [])


def test_a_body_shorter_than_announced_is_cut(user: Client, provider: ProviderProcess, model: str) -> None:
    script = replace(sse(chunk("One"), CloseCleanly(), done=False), framing="length")
    provider.script(model, replace(script, headers=(*EVENT_STREAM, ("Content-Length", "100000"))))
    sentence, texts = failure_of(user, model)

    assert ("closed the connection" in sentence, texts) == (True, ["One"])


def test_a_connection_cut_before_the_headers_is_told(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, Script((Cut(),), framing="raw"))

    assert "closed the connection" in failure_of(user, model)[0]


def test_a_connection_that_the_provider_closed_in_between_costs_no_answer(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("One").then(CloseCleanly()))
    thread_id = user.new_thread()["id"]

    assert [user.send_message(thread_id, model=model).status_code for _ in range(8)] == [201] * 8


# --- silence -----------------------------------------------------------------------------


def test_silence_before_the_headers_is_bounded(
    impatient: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("never").held(model))

    assert failure_of(impatient, model) == ("The LLM provider was silent for 0.5 seconds", [])
    assert len(provider.wait_for_close(model, n=2)) == 2


@pytest.mark.parametrize("half", [[], [HALF]], ids=["between frames", "in a frame"])
def test_silence_between_bytes_is_bounded_and_keeps_what_arrived(
    impatient: Client, provider: ProviderProcess, model: str, half: list[Send]
) -> None:
    provider.script(model, sse(chunk("One"), *half, WaitFor(model), chunk("never")))

    assert failure_of(impatient, model) == ("The LLM provider was silent for 0.5 seconds", ["One"])
    assert len(provider.wait_for_close(model, n=2)) == 2


def test_a_slow_answer_is_not_a_silent_one(impatient: Client, provider: ProviderProcess, model: str) -> None:
    pauses: list[Step] = [Sleep(0.1), Send(b": ping\n\n")] * 8
    provider.script(model, sse(chunk("One"), *pauses, chunk(" two")))
    thread_id = impatient.new_thread()["id"]

    assert impatient.send_message(thread_id, model=model).status_code == 201
    assert impatient.messages(thread_id)[0]["text"] == "One two"


def test_a_provider_that_is_down_is_told(tmp_path: Path, model: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # ours, and nobody listens
        settings = {"CHAT_LLM_API_HOST": "127.0.0.1", "CHAT_LLM_API_PORT": str(closed.getsockname()[1])}
        with ServerProcess(tmp_path, "", settings) as server, server.admin() as client:
            assert failure_of(client, model) == ("The LLM provider cannot be reached", [])
            assert client.get("/api/models").status_code == 502


def test_connecting_is_bounded(tmp_path: Path, model: str) -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # takes one connection, and lets others wait for ever
        for peer in (first, second):
            peer.setblocking(False)
            peer.connect_ex(full.getsockname())
        settings = {"CHAT_LLM_API_PORT": str(full.getsockname()[1]), "CHAT_LLM_TIMEOUT_SECONDS": "0.5"}
        with ServerProcess(tmp_path, "", settings) as server, server.admin() as client:
            assert failure_of(client, model) == ("The LLM provider was silent for 0.5 seconds", [])
