"""What the image runs, run here: the installed package, its settings, its command and its health check."""

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.processes import end_with_parent, free_port
from tests.servers import PASSWORD, SECRET

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LAST_STAGE = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
PORT = "8009"


def instruction(name: str) -> str:
    """What the one instruction of this name in the last stage says."""
    (found,) = re.findall(rf"^{name} (.+)$", LAST_STAGE, re.MULTILINE)
    assert isinstance(found, str)
    return found


def health_check() -> list[str]:
    command: list[str] = json.loads(instruction("HEALTHCHECK").partition(" CMD ")[2])
    return command


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip would install it from the files that reach the builder."""
    target = tmp_path_factory.mktemp("installed")
    command = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    done = subprocess.run(
        [*command, "--target", str(target), str(ROOT)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


@contextmanager
def started(installed: Path, data: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The command of the image, with `data` for its `/data` and `port` for its own."""
    settings = dict(re.findall(r"(CHAT_\w+)=(\S+)", instruction("ENV")))
    assert settings
    program, command = json.loads(instruction("ENTRYPOINT")), json.loads(instruction("CMD"))
    assert program == ["gwp-chat"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("CHAT_")}
    with subprocess.Popen(
        [sys.executable, "-m", "api", *command, "--port", str(port)],
        cwd=data,
        env={
            **outside,
            **{name: value.replace("/data", str(data)) for name, value in settings.items()},
            "CHAT_JWT_SECRET_KEY": SECRET,  # without one the server does not listen on all addresses
            "PYTHONPATH": str(installed),
        },
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_it_listens(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "listening" in line:
            return
    raise AssertionError("".join(lines))


def test_the_command_of_the_image_serves_and_its_health_check_sees_it(
    installed: Path, tmp_path: Path
) -> None:
    port = free_port()
    check = [word.replace(PORT, str(port)) for word in health_check()]
    assert check[0] == "python"
    checking = [sys.executable, *check[1:]]
    assert subprocess.run(checking, capture_output=True, check=False).returncode != 0
    with started(installed, tmp_path, port) as process:
        wait_until_it_listens(process)
        assert subprocess.run(checking, check=False).returncode == 0
        registered = httpx.post(
            f"http://127.0.0.1:{port}/api/auth/register",
            json={"username": "admin", "password": PASSWORD},
        )
        assert registered.status_code == 201, registered.text
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log
    assert {entry.name for entry in tmp_path.iterdir()} >= {"app.db", "chroma"}


def test_the_image_serves_on_the_port_that_it_exposes() -> None:
    assert instruction("EXPOSE") == PORT
    assert f":{PORT}/health" in health_check()[-1]


def test_every_file_that_the_image_is_built_of_reaches_the_builder() -> None:
    """The ignore file begins with everything, and lets through what the Dockerfile and the package name."""
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / name).exists() for name in let_through)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert let_through >= {*packages, "constraints.txt", "pyproject.toml", "README.md"}
