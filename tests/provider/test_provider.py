"""The scripted provider does to the byte what it is told, and knows what its peers did."""

import asyncio
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator

import aiohttp
import httpx
import pytest

from tests.provider.client import ROOT, Connections, Namespace, ProviderProcess, RawPeer
from tests.provider.script import (
    CloseCleanly,
    Cut,
    Script,
    Send,
    Sleep,
    WaitFor,
    chunk,
    completion,
    json_body,
    models,
    plain_error,
    script_from_wire,
    script_to_wire,
    sse,
    text_stream,
)

COMPLETIONS = "/v1/chat/completions"


@pytest.fixture(scope="module")
def process() -> Iterator[ProviderProcess]:
    with ProviderProcess() as running:
        yield running


@pytest.fixture
def provider(process: ProviderProcess) -> Iterator[Namespace]:
    with process.namespace() as namespace:
        yield namespace


def asking(provider: Namespace, script: Script) -> RawPeer:
    """A peer that has sent one request for the model "m", which has this script."""
    provider.script("m", script)
    return RawPeer(provider).ask("m")


def post(provider: Namespace, model: str, path: str = COMPLETIONS, **fields: object) -> httpx.Response:
    return httpx.post(provider.base_url + path, json={"model": model, **fields}, timeout=30)


def frames(text: str) -> list[str]:
    return [frame.removeprefix("data: ") for frame in text.split("\n\n") if frame]


def test_a_stream_arrives_byte_for_byte(provider: Namespace) -> None:
    with asking(provider, sse('{"a": 1}', "ü")) as peer:
        assert peer.read_until(b"0\r\n\r\n") == (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'10\r\ndata: {"a": 1}\n\n\r\na\r\ndata: \xc3\xbc\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n'
        )


def test_pieces_cut_through_frames_and_characters(provider: Namespace) -> None:
    script = Script(steps=(Send("aü€".encode()),), headers=(("X-A", "1"), ("X-A", "2")))
    with asking(provider, script.in_pieces(2)) as peer:
        head, _, body = peer.read_until(b"0\r\n\r\n").partition(b"\r\n\r\n")
    assert body == b"2\r\na\xc3\r\n2\r\n\xbc\xe2\r\n2\r\n\x82\xac\r\n0\r\n\r\n"
    assert head.count(b"X-A: ") == 2


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
AB = Send(b"ab")
LYING = (("content-length", "9"),)
FRAMINGS = [
    (Script((AB,), framing="close"), OK + b"Connection: close\r\n\r\nab"),
    (Script((Send(b"\x00\xffnot http"), CloseCleanly()), framing="raw"), b"\x00\xffnot http"),
    (Script((CloseCleanly(),), framing="raw"), b""),
    (Script((AB, CloseCleanly()), headers=LYING, framing="length"), OK + b"content-length: 9\r\n\r\nab"),
    (Script((AB, CloseCleanly(end_body=False)), status=599), b"HTTP/1.1 599 Scripted\r\n" + CHUNKED),
    (Script((AB, CloseCleanly())), OK + CHUNKED + b"0\r\n\r\n"),
]


@pytest.mark.parametrize(("script", "expected"), FRAMINGS)
def test_every_framing_ends_as_written(provider: Namespace, script: Script, expected: bytes) -> None:
    with asking(provider, script) as peer:
        assert peer.read_until(None) == expected
    assert provider.wait_for_finish("m")[0].closed_early is False


def test_a_cut_is_a_reset_after_the_bytes_before_it(provider: Namespace) -> None:
    with asking(provider, Script((Send(b"half a fra"), Cut()), framing="raw")) as peer:
        assert peer.read_until(b"half a fra") == b"half a fra"
        with pytest.raises(ConnectionResetError):
            peer.socket.recv(1)
    assert provider.wait_for_finish("m")[0].finished


def test_a_gate_holds_the_rest_back_until_it_is_opened(provider: Namespace) -> None:
    with asking(provider, sse("1", WaitFor("go"), "2")) as peer:
        assert peer.read_until(b"data: 1\n\n\r\n").endswith(b"data: 1\n\n\r\n")
        provider.wait_until_held("go")
        assert peer.has_nothing()
        assert not provider.requests("m")[0].finished
        provider.open_gate("go")
        assert b"data: 2\n\n" in peer.read_until(b"\r\n0\r\n\r\n")
        assert provider.requests("m")[0].finished


def test_headers_can_be_held_back(provider: Namespace) -> None:
    with asking(provider, json_body({}).held("head")) as peer:
        provider.wait_until_held("head")
        assert peer.has_nothing()
        provider.open_gate("head")
        assert peer.read_until(b"{}").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("stalled", [sse("1", WaitFor("no")), sse("1", Sleep(3600)), sse("1").held("no")])
def test_a_peer_that_leaves_during_a_stall_is_noticed_at_once(provider: Namespace, stalled: Script) -> None:
    with asking(provider, stalled):
        provider.wait_for_requests("m")
    (left,) = provider.wait_for_close("m")
    assert (left.closed_early, left.finished, left.ended_at is None) == (True, False, False)
    provider.wait_until_open(0)


def test_a_peer_that_leaves_at_the_last_frame_has_not_left_early(provider: Namespace) -> None:
    provider.script("m", sse("1"))
    for _ in range(50):
        with RawPeer(provider).ask("m") as peer:
            assert peer.read_until(b"[DONE]").endswith(b"0\r\n\r\n")
    assert len(provider.wait_for_finish("m", n=50)) == 50


def test_an_answer_that_nobody_reads_is_not_finished(provider: Namespace) -> None:
    with asking(provider, Script((Send(bytes(32_000_000)),))) as peer:
        assert peer.socket.recv(4) == b"HTTP"
        assert not provider.requests("m")[0].finished
    assert provider.wait_for_close("m")[0].closed_early


def test_reused_connections_are_counted_once(provider: Namespace) -> None:
    url = provider.base_url + COMPLETIONS
    with httpx.Client() as client:
        for _ in range(3):
            assert client.post(url, json={"model": "m"}).status_code == 200
        assert client.get(provider.base_url + "/v1/models").status_code == 200
        assert provider.connections() == Connections(open=1, accepted=1)
        assert client.post(url, json={"model": "m"}, headers={"Connection": "close"}).status_code == 200
        provider.wait_until_open(0)
    assert len({request.connection for request in provider.requests("m")}) == 1
    assert post(provider, "m").status_code == 200
    assert provider.connections().accepted == 2


def test_each_request_takes_the_next_script_and_the_last_repeats(provider: Namespace) -> None:
    provider.script("m", plain_error("busy", 503), completion("yes"))
    provider.script("other", json_body({"detail": "no"}, status=400))
    assert [post(provider, "m").status_code for _ in range(3)] == [503, 200, 200]
    assert post(provider, "other").json() == {"detail": "no"}
    assert post(provider, "m", path="/proxy/any/where").json()["choices"][0]["message"]["content"] == "yes"


def test_an_unscripted_model_echoes_the_last_user_message(provider: Namespace) -> None:
    said = [("user", "no"), ("user", "один two three"), ("assistant", "x")]
    messages = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in said]
    *chunks, done = frames(post(provider, "m", stream=True, messages=messages).text)
    parsed = [json.loads(text) for text in chunks]
    texts = [choice["delta"].get("content") for each in parsed for choice in each["choices"]]
    assert (len(texts), "".join(texts[:3]), texts[3], done) == (4, "один two three", None, "[DONE]")
    assert parsed[-1]["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    whole = post(provider, "m", messages=messages).json()
    assert whole["choices"][0]["message"]["content"] == "один two three"
    assert post(provider, "m", path="/v2/chat/completions").status_code == 404


def test_a_text_stream_is_chunks_status_and_usage() -> None:
    script = text_stream(
        "a", WaitFor("g"), "b", model="m", usage=(3, 2), agent_status="completed", conversation_id="c"
    )
    first, second, closing, usage, done = frames(script.body.decode())
    assert first == chunk("a", model="m", conversation_id="c")
    assert json.loads(second)["choices"][0]["delta"]["content"] == "b"
    assert json.loads(closing)["agent_status"] == "completed"
    assert json.loads(closing)["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (json.loads(usage)["choices"], json.loads(usage)["usage"]["total_tokens"]) == ([], 5)
    assert done == "[DONE]"


def test_a_script_survives_the_wire_and_nothing_follows_a_cut() -> None:
    script = sse("ü", Sleep(1.5), WaitFor("g"), status=201).held("h").then(CloseCleanly(end_body=False))
    assert script_from_wire(json.loads(json.dumps(script_to_wire(script)))) == script
    with pytest.raises(ValueError, match="no step can follow"):
        Script((Cut(),)).then(Send(b"x"))


def test_lists_of_models_belong_to_a_token_and_a_namespace(
    process: ProviderProcess, provider: Namespace
) -> None:
    def listed(url: str, token: str) -> list[str]:
        answer = httpx.get(url + "/v1/models", headers={"Authorization": f"Bearer {token}"})
        return [model["id"] for model in answer.json()["data"]]

    provider.set_models(models(["a", {"id": "b", "name": "B"}]))
    provider.set_models(models(["mine"]), token="t")
    assert listed(provider.base_url, "t") == ["mine"]
    assert listed(provider.base_url, "u") == ["a", "b"]
    assert listed(process.base_url, "t") == ["echo"]
    assert [request.token for request in provider.requests()] == ["t", "u"]


def test_namespaces_do_not_see_each_other(process: ProviderProcess, provider: Namespace) -> None:
    with process.namespace() as other, asking(other, sse(WaitFor("g"), "1")) as peer:
        other.wait_until_held("g")
        provider.open_gate("g")
        assert post(provider, "m").json()["model"] == "m"
        assert (len(provider.requests("m")), len(other.requests("m"))) == (1, 1)
        assert provider.connections().accepted == other.connections().accepted == 1
        assert process.connections().accepted >= 2
        assert peer.read_until(b"\r\n\r\n").endswith(b"\r\n\r\n")
        assert peer.has_nothing()
        other.forget()
        assert peer.read_until(b"0\r\n\r\n").endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert other.requests("m") == []


def test_a_request_is_recorded_as_it_came(provider: Namespace) -> None:
    body = b'{"model": "m",\n "a": "' + b"x" * 2_000_000 + b'"}'
    parts = iter([body[:7], body[7:]])
    httpx.post(provider.base_url + "/v1/other?q=1", content=parts, headers={"X-Key": "v"})
    (request,) = provider.wait_for_requests("m")
    assert (request.method, request.path, request.body == body) == ("POST", "/v1/other?q=1", True)
    assert (request.header("x-key"), request.header("none"), request.json["model"]) == ("v", "", "m")


def test_the_largest_body_is_taken_and_a_larger_one_refused(provider: Namespace) -> None:
    body = b'{"model":"big"}'.ljust(64 * 1024 * 1024)
    assert httpx.post(provider.base_url + COMPLETIONS, content=body, timeout=60).status_code == 200
    with RawPeer(provider) as peer:
        peer.socket.sendall(b"POST / HTTP/1.1\r\nContent-Length: 67108865\r\n\r\n")
        assert peer.read_until(None).startswith(b"HTTP/1.1 400 ")


def test_a_wait_that_is_in_vain_says_what_it_saw(provider: Namespace) -> None:
    post(provider, "m")
    with pytest.raises(TimeoutError, match="requests 'm': 1 instead of 2"):
        provider.wait_for_requests("m", 2, timeout=0)


async def test_three_hundred_streams_run_at_once(provider: Namespace) -> None:
    provider.script("m", sse("1", WaitFor("all"), *["2"] * 100))

    async def read(session: aiohttp.ClientSession) -> int:
        async with session.post(provider.base_url + COMPLETIONS, json={"model": "m"}) as answer:
            return (await answer.text()).count("data: ")

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        readers = [group.create_task(read(session)) for _ in range(300)]
        await asyncio.to_thread(provider.wait_until_held, "all", 300, 30)
        assert provider.connections().open == 300
        provider.open_gate("all")
    assert {reader.result() for reader in readers} == {102}
    await asyncio.to_thread(provider.wait_until_open, 0)
    assert len(provider.requests("m")) == 300


def test_stop_ends_the_process_and_its_streams() -> None:
    process = ProviderProcess().start()
    with asking(process, sse("1", WaitFor("never"))) as peer:
        process.wait_until_held("never")
        process.stop()
        assert not peer.read_until(None).endswith(b"0\r\n\r\n")
    with pytest.raises(httpx.ConnectError):
        httpx.get(process.base_url)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_the_process_ends_with_its_parent() -> None:
    code = "import os; from tests.provider.client import ProviderProcess as P; p = P().start()\n"
    code += "print(p._process.pid, flush=True); input(); os._exit(0)"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=pipe, stdout=pipe) as parent:
        assert parent.stdout is not None
        ended = os.pidfd_open(int(parent.stdout.readline()))
        parent.communicate(b"\n")
    try:
        assert select.select([ended], [], [], 10)[0]
    finally:
        os.close(ended)
