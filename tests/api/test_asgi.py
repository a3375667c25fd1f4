"""`uvicorn api.asgi:app`, without our command line."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.clients import Client
from tests.servers import SECRET

ROOT = Path(__file__).parents[2]


def test_plain_uvicorn_serves_the_application_and_stops_cleanly(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
        settings = {"CHAT_JWT_SECRET_KEY": SECRET, "PYTHONPATH": str(ROOT)}
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "api.asgi:app", "--fd", str(bound.fileno())],
            cwd=tmp_path,
            env={**environment, **settings},
            pass_fds=[bound.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.stderr is not None
        with server.stderr as lines:
            assert any("startup complete" in line for line in lines)
            with Client(f"http://127.0.0.1:{port}") as client:
                assert client.get("/health").json() == {"status": "ok"}
                assert client.get("/health/ready").status_code == 200
            server.terminate()
            rest = lines.read()
        server.wait(30)
    assert "Traceback" not in rest
    assert (tmp_path / "app.db").exists()
