"""`gwp-chat demo` and the README: what a newcomer copies works, on a real model."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from tests.clients import Client, chunks, payloads
from tests.demo.running import Demo, end, start_demo
from tests.graphql.clients import data, graphql, subscribed
from tests.runs.following import poll
from tests.search.searching import SEARCH, add_thread, status
from tests.servers import PASSWORD

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEFAULT_URL = "http://127.0.0.1:8009"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = start_demo(tmp_path_factory.mktemp("demo"))
    yield running
    end(running)


@pytest.fixture(scope="module")
def first_chat(demo: Demo) -> str:
    """The output of the README's first chat, run once."""
    return run_bash(block("bash", "auth/register").replace(DEFAULT_URL, demo.url))


def block(language: str, containing: str) -> str:
    """The README's one code block of this language that contains this."""
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (text,) = (text for text in found if containing in text)
    assert isinstance(text, str)
    return text


def run_bash(script: str) -> str:
    result = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=90, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_readmes_first_chat_gets_an_answer_of_a_real_model(first_chat: str) -> None:
    registered, stream = first_chat.split("}data: ", 1)
    assert '"username":"ada"' in registered
    said = chunks("data: " + stream)
    assert [chunk["agent_status"] for chunk in (said[0], said[1], said[-1])] == [
        "queued",
        "running",
        "completed",
    ]
    text = "".join(choice["delta"].get("content") or "" for chunk in said for choice in chunk["choices"])
    assert "Paris" in text


def test_the_demo_prints_the_readmes_first_chat(demo: Demo) -> None:
    printed = "\n".join(line.strip() for line in demo.welcome.splitlines())
    wanted = block("bash", "auth/register").replace(DEFAULT_URL, demo.url)
    assert "\n".join(line.strip() for line in wanted.splitlines()).strip() in printed
    assert f"{demo.url}/graphql" in demo.welcome


@pytest.mark.usefixtures("first_chat")
def test_the_readmes_resume_commands_follow_the_run(demo: Demo) -> None:
    with Client(demo.url).sign_in("ada", PASSWORD) as ada:
        with ada.streaming(ada.new_thread()["id"], model="smollm2-135m-instruct") as response:
            run_id = response.headers["x-run-id"]
            response.read()
        from_start, behind = block("bash", "Last-Event-ID").splitlines()
        env = f"API={demo.url}/api; RUN={run_id}; AUTH='Authorization: {ada.headers['authorization']}'; "
        whole = run_bash(env + from_start)
        ids = re.findall(r"^id: (.+)$", whole, re.MULTILINE)
        rest = run_bash(env + f"ID={ids[2]}; " + behind)
    assert len(ids) == len(re.findall(r"^data: \{", whole, re.MULTILINE))
    assert re.findall(r"^id: (.+)$", rest, re.MULTILINE) == ids[3:]


@pytest.mark.usefixtures("first_chat")
def test_the_readmes_graphql_chat_gets_an_answer_of_a_real_model(demo: Demo) -> None:
    operations = block("graphql", "subscription")
    start, ask, follow = re.split(r"\n\n(?=mutation|subscription)", operations)
    with Client(demo.url).sign_in("ada", PASSWORD) as ada:
        thread_id = data(ada, start)["createThread"]["thread"]["id"]
        sent = data(ada, ask, threadId=thread_id)["sendMessage"]
        again = data(ada, ask, threadId=thread_id)["sendMessage"]
        with subscribed(ada, follow, runId=sent["run"]["id"]) as subscription:
            events = list(subscription.events("runEvents"))
    assert again["run"]["id"] == sent["run"]["id"]
    assert "Paris" in "".join(event.get("text", "") for event in events)
    assert events[-1] == {"status": "COMPLETED", "error": None}


@pytest.mark.usefixtures("first_chat")
def test_a_plain_openai_server_answers_with_its_models_usage_and_whole_answers(demo: Demo) -> None:
    with Client(demo.url).sign_in("ada", PASSWORD) as ada:
        assert ada.get("/api/models").json()["models"] == ["smollm2-135m-instruct"]
        thread_id = ada.new_thread()["id"]
        body = ada.stream_text(thread_id, "What is the capital of France?", model="smollm2-135m-instruct")
        assert payloads(body)[-1] == "[DONE]"
        answer, question = ada.messages(thread_id)
    assert "Paris" in answer["text"]
    assert question["tokens_count"] > 10
    assert answer["tokens_count"] > 0
    assert answer["correlation_id"].startswith("chatcmpl-")


@pytest.mark.usefixtures("first_chat")
def test_a_question_beyond_the_models_context_is_the_providers_refusal(demo: Demo) -> None:
    with Client(demo.url).sign_in("ada", PASSWORD) as ada:
        response = ada.send_message(ada.new_thread()["id"], "word " * 6000, model="smollm2-135m-instruct")
    assert response.status_code == 502
    assert "context" in response.json()["detail"]


def test_the_demos_embedding_model_comes_up_beside_the_chat(demo: Demo) -> None:
    deadline = time.monotonic() + 100
    with httpx.Client(trust_env=False) as client:
        answer = None
        while answer is None or answer.status_code != 200:
            assert time.monotonic() < deadline
            with contextlib.suppress(httpx.TransportError):
                answer = client.post(
                    f"http://127.0.0.1:{demo.embedding_port}/v1/embeddings",
                    json={"model": "multilingual-e5-small", "input": ["query: привет"]},
                )
    assert len(answer.json()["data"][0]["embedding"]) == 384
    assert (demo.directory / "data" / "embedding" / "multilingual-e5-small.gguf").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the child in /proc")
@pytest.mark.usefixtures("first_chat")
def test_search_by_meaning_comes_back_when_its_model_was_killed(demo: Demo) -> None:
    with Client(demo.url).sign_in("ada", PASSWORD) as ada:
        poll(lambda: status(ada)["healthy"] and not status(ada)["pending"], "all is indexed", 100)
        killed = server_of(demo.embedding_port)
        os.kill(killed, signal.SIGKILL)
        thread_id = add_thread(ada, "garden", "Roses want sun.", model="smollm2-135m-instruct")

        def found() -> bool:
            answer = graphql(ada, SEARCH, q="Blumen im Beet", mode="SEMANTIC")
            edges = [] if answer["data"] is None else answer["data"]["search"]["edges"]
            return bool(edges) and edges[0]["node"]["id"] == thread_id

        poll(found, "it is found by its meaning", 60)
        poll(lambda: status(ada)["healthy"], "the server says so", 60)
        assert server_of(demo.embedding_port) != killed


def server_of(port: int) -> int:
    """The process of the demo's model on this port."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().split(b"\0")
            if str(port).encode() in words and any(word.endswith(b"model_server.py") for word in words):
                return int(file.parent.name)
    raise AssertionError(f"no model is served on port {port}")


def test_the_demos_secret_is_random_kept_and_private(demo: Demo) -> None:
    secret = demo.directory / "data" / "secret"
    assert len(secret.read_text()) > 40
    assert secret.stat().st_mode & 0o077 == 0


def test_ctrl_c_ends_everything_and_a_second_start_knows_the_first(tmp_path: Path) -> None:
    first = start_demo(tmp_path)
    with Client(first.url) as client:
        client.post("/api/auth/register", json={"username": "ada", "password": PASSWORD})
        token = client.log_in("ada", PASSWORD)["access_token"]
    assert end(first) == 0
    for port in (int(first.url.rsplit(":", 1)[1]), first.model_port, first.embedding_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    second = start_demo(tmp_path)
    with Client(second.url, token) as client:
        assert client.get("/api/auth/me").json()["username"] == "ada"
    assert end(second, signal.SIGTERM) == 0


def test_the_readmes_settings_exist_with_these_defaults() -> None:
    rows = re.findall(r"^\| `CHAT_(\w+)` \| (.+?) \|", README, re.MULTILINE)
    assert len(rows) >= 8
    for name, default in rows:
        value = Settings.model_fields[name.lower()].default
        shown = default.strip("`").replace("(empty)", "")
        assert shown == (
            "" if value is None else ",".join(value) if isinstance(value, tuple) else shown_path(value)
        )


def shown_path(value: object) -> str:
    return f"./{value}" if isinstance(value, Path) else str(value)


def test_the_readmes_links_and_targets_exist() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        assert f"\n{target}:" in makefile, target
