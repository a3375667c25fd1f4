"""What the image runs, run here: the installed package, its settings, its command and its health check."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.servers import ServerProcess

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


def lines_of_the_ignore_file() -> list[str]:
    return (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()


def let_through() -> set[str]:
    """What reaches the builder of all that is in the repository."""
    return {line[1:] for line in lines_of_the_ignore_file() if line.startswith("!")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it from the files that reach the builder."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    hidden = [line[3:] for line in lines_of_the_ignore_file() if line.startswith("**/")]
    for name in let_through():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*hidden))
        else:
            shutil.copy(ROOT / name, source)
    command = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    done = subprocess.run(
        [*command, "--target", str(target), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def test_the_command_of_the_image_serves_and_its_health_check_sees_it(
    installed: Path, tmp_path: Path
) -> None:
    settings = dict(re.findall(r"(CHAT_\w+)=(\S+)", instruction("ENV")))
    assert settings
    program, *arguments = json.loads(instruction("ENTRYPOINT")) + json.loads(instruction("CMD"))
    assert (program, arguments[0]) == ("gwp-chat", "serve")
    server = ServerProcess(
        tmp_path,
        "http://127.0.0.1:1/v1",
        {name: value.replace("/data", str(tmp_path)) for name, value in settings.items()},
        arguments[1:],
        installed,
    )
    with server, server.admin():
        python, *check = (
            word.replace(f":{PORT}", f":{urlsplit(server.url).port}") for word in health_check()
        )
        assert python == "python"
        assert subprocess.run([sys.executable, *check], check=False).returncode == 0
        assert server.stop() == 0
    assert subprocess.run([sys.executable, *check], capture_output=True, check=False).returncode != 0
    assert {entry.name for entry in tmp_path.iterdir()} >= {"app.db", "chroma"}


def test_the_image_serves_on_the_port_that_it_exposes() -> None:
    assert instruction("EXPOSE") == PORT
    assert f":{PORT}/health" in health_check()[-1]


def test_every_file_that_the_image_is_built_of_reaches_the_builder() -> None:
    """The ignore file begins with everything, and lets through what the Dockerfile and the package name."""
    assert all((ROOT / name).exists() for name in let_through())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert let_through() >= {*packages, "constraints.txt", "pyproject.toml", "README.md"}
