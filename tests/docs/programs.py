"""The guide's programs, run as their readers would run them."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests import node as js
from tests.processes import end_with_parent

# Browsers have it, and Node.js from 22 on.
WEBSOCKET = 'import { WebSocket } from "ws";\nglobalThis.WebSocket ??= WebSocket;\n'
COMPILER = "node_modules/typescript/bin/tsc"
COMPILER_OPTIONS = ("--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom")


def replaced(text: str, words: Mapping[str, str]) -> str:
    """The text with these of its words replaced by a test's own."""
    for word, other in words.items():
        assert word in text
        text = text.replace(word, other)
    return text


def python_command(text: str, directory: Path) -> list[str]:
    """What runs this Python program."""
    (directory / "program.py").write_text(text, encoding="utf-8")
    return [sys.executable, "program.py"]


def typescript_command(text: str, directory: Path) -> list[str]:
    """What runs this TypeScript program. Raises AssertionError if its types do not fit."""
    (directory / "program.mts").write_text(text, encoding="utf-8")
    (directory / "websocket.mjs").write_text(WEBSOCKET, encoding="utf-8")
    node = js.node()
    (directory / "node_modules").symlink_to(js.JS / "node_modules", target_is_directory=True)
    compiled = js.start(COMPILER, *COMPILER_OPTIONS, "program.mts", cwd=directory)
    assert compiled.returncode == 0, compiled.stdout
    return [node, "--import", "./websocket.mjs", "program.mjs"]


class Program:
    """A program under way, which prints its whole answer so far whenever that grows."""

    def __init__(self, command: list[str], directory: Path) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdout, self._stderr = self._process.stdout, self._process.stderr

    def wait_for(self, answer: str) -> None:
        """Returns once this is the answer, and has become so piece by piece."""
        for line in self._stdout:
            printed = line.removesuffix("\n")
            assert answer.startswith(printed), f"{printed!r} is no beginning of {answer!r}"
            if printed == answer:
                return
        raise AssertionError(self._stderr.read())

    def end(self) -> tuple[int, str, str]:
        """The exit status, and what was printed since, on stdout and stderr."""
        # Not `communicate`: it would miss what was read ahead of the last line.
        printed, errors = self._stdout.read(), self._stderr.read()
        return self._process.wait(), printed, errors

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
