"""Node.js for the tests of JavaScript clients and tools: found, and with its packages installed."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
from filelock import FileLock

JS = Path(__file__).parent / "js"
OLDEST = (20, 19)
# For modules whose first test may have to install, on a busy machine.
MAY_INSTALL = pytest.mark.timeout(900)


def run(script: str, given: dict[str, Any], seconds: float = 60) -> Any:
    """What a script of tests/js reports, given this; both are JSON."""
    done = start(script, cwd=JS, given=json.dumps(given), seconds=seconds)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start(
    script: str, *arguments: str, cwd: Path, given: str = "", seconds: float = 60
) -> "subprocess.CompletedProcess[str]":
    """A finished script of tests/js, or a program of its packages, run in this directory."""
    return subprocess.run(
        [node(), str(JS / script), *arguments],
        cwd=cwd,
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@cache
def node() -> str:
    """The path of Node.js, with the packages of tests/js installed; without it, the test is skipped."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        do_without("no Node.js with npm is installed")
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) < OLDEST:
        do_without(f"Node.js is {version.strip()}, and this test needs {OLDEST[0]}.{OLDEST[1]} or later")
    _install()
    return program


def do_without(reason: str) -> NoReturn:
    """Skip the test, or fail it where nothing may be skipped."""
    if os.environ.get("CHAT_TEST_NEEDS_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


def _install() -> None:
    """Install what the lock file says, unless that was done; other processes wait."""
    lock = (JS / "package-lock.json").read_bytes()
    stamp = JS / "node_modules" / ".installed"
    wanted = hashlib.sha256(lock).hexdigest()
    name = hashlib.sha256(str(JS).encode()).hexdigest()
    with FileLock(Path(tempfile.gettempdir()) / f"npm-{name[:16]}.lock"):
        if stamp.exists() and stamp.read_text() == wanted:
            return
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=JS, check=True)
        stamp.write_text(wanted)
