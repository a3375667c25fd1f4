"""What happens to every request, whatever its route."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import plain_error
from tests.servers import PASSWORD, ServerProcess

LIMIT = 100_000


@pytest.fixture(scope="module")
def small(provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"CHAT_MAX_BODY_BYTES": str(LIMIT)}
    with ServerProcess(tmp_path_factory.mktemp("small"), f"{provider.base_url}/v1", settings) as server:
        yield server


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(small: ServerProcess) -> None:
    host, port = small.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT + 1}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 413 ")


def test_a_body_of_undeclared_length_is_refused_at_the_limit(small: ServerProcess) -> None:
    pieces = (b"x" * 10_000 for _ in range(20))
    with small.client() as client:
        response = client.post(
            "/api/auth/login", content=pieces, headers={"Content-Type": "application/json"}
        )
    assert response.status_code == 413
    assert str(LIMIT) in response.json()["detail"]


def test_a_body_up_to_the_limit_is_read(small: ServerProcess) -> None:
    body = json.dumps({"username": "x", "password": "y"})
    with small.client() as client:
        response = client.post(
            "/api/auth/login",
            content=body + " " * (LIMIT - len(body)),
            headers={"Content-Type": "application/json"},
        )
    assert response.status_code == 401


def test_every_answer_and_its_log_line_carry_the_same_request_id(server: ServerProcess, user: Client) -> None:
    response = user.get("/api/threads")
    request_id = response.headers["x-request-id"]
    line = server.wait_for_log(request_id=request_id)
    assert (line["path"], line["status"], line["method"]) == ("/api/threads", 200, "GET")
    assert line["user_id"] == user.get("/api/auth/me").json()["id"]


def test_no_secret_or_text_is_ever_logged(
    server: ServerProcess, user: Client, provider: ProviderProcess, model: str
) -> None:
    words = unique("private")
    provider.script(model, plain_error(f"{words} failed", 500))
    thread_id = user.new_thread(title=words)["id"]
    user.stream_text(thread_id, words, model=model)
    user.get("/api/threads", params={"page": words})
    user.post("/api/auth/login", json={"username": "admin", "password": words})

    server.wait_for_log(status=401, path="/api/auth/login")
    log = Path(server.log_file).read_text(encoding="utf-8")
    for secret in (words, PASSWORD, user.headers["authorization"].removeprefix("Bearer ")):
        assert secret not in log
