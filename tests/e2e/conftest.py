"""A browser for tests that look at pages as people do."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pytest
from filelock import FileLock

from tests.clients import Client
from tests.conftest import unique
from tests.e2e.lab import Lab, new_lab
from tests.processes import end_with_parent
from tests.provider.client import ProviderProcess
from tests.servers import PASSWORD

HERE = Path(__file__).parent
STATIC = HERE.parents[1] / "api" / "static"
PLAYGROUND, CLIENT = STATIC / "playground" / "index.html", STATIC / "client" / "index.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Visit:
    """A scenario of a script in this folder, going on in a browser."""

    def __init__(self, script: str, scenario: str, **details: str) -> None:
        self._process = subprocess.Popen(
            ["node", script, scenario, json.dumps(details)],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
        )

    def wait_for(self, step: str) -> None:
        """Returns once the scenario has got there; it waits for `go_on`."""
        assert self._next() == {"step": step}

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def report(self) -> dict[str, Any]:
        """What the browser saw, once the scenario is over."""
        report: dict[str, Any] = self._next()["report"]
        return report

    def close(self) -> None:
        self._process.terminate()  # it closes its browser first
        self._process.communicate()

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        said: dict[str, Any] = json.loads(line)
        return said


class Served(Protocol):
    """What is at a URL."""

    @property
    def url(self) -> str:
        """Without a path."""


class Pages:
    """Visits to a page of a server, as a script in this folder tells."""

    def __init__(self, chromium: str, script: str, path: str) -> None:
        self._chromium, self._script, self._path = chromium, script, path
        self._visits: list[Visit] = []

    def begin(self, scenario: str, server: Served, *, proxy: str = "", **details: str) -> Visit:
        """The scenario, going on; by way of the proxy at this URL, if there is one."""
        url = (proxy or server.url) + self._path
        visit = Visit(self._script, scenario, url=url, chromium=self._chromium, **details)
        self._visits.append(visit)
        return visit

    def visit(self, scenario: str, server: Served, **details: str) -> dict[str, Any]:
        """The report of the whole scenario."""
        return self.begin(scenario, server, **details).report()

    def close(self) -> None:
        for visit in self._visits:
            visit.close()


def driven_chromium() -> str:
    """The browser's path, with the packages that drive it installed. Raises LookupError if there is none."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise LookupError("no Chromium is installed")
    if shutil.which("npm") is None:
        raise LookupError("no Node.js is installed")
    installed = HERE / "node_modules" / ".package-lock.json"
    with FileLock(HERE / ".install.lock"):
        if not installed.exists() or installed.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
            subprocess.run(["npm", "ci", "--loglevel=error"], cwd=HERE, check=True)
    return browser


@pytest.fixture(scope="session")
def chromium() -> str:
    """See `driven_chromium`."""
    try:
        return driven_chromium()
    except LookupError as error:
        _do_without(str(error))


@pytest.fixture
def playground(chromium: str) -> Iterator[Pages]:
    if not PLAYGROUND.exists():
        _do_without("the playground is not built; `make playground` builds it")
    visits = Pages(chromium, "playground.mjs", "/graphql")
    yield visits
    visits.close()


@pytest.fixture
def pages(chromium: str) -> Iterator[Pages]:
    """Those of the web client."""
    if not CLIENT.exists():
        _do_without("the web client is not built; `make client` builds it")
    visits = Pages(chromium, "client.mjs", "/")
    yield visits
    visits.close()


def _do_without(reason: str) -> NoReturn:
    """Skip the test, or fail it where nothing may be skipped."""
    if os.environ.get("CHAT_TEST_NEEDS_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def lab(provider: ProviderProcess, tmp_path: Path) -> Iterator[Lab]:
    with new_lab(provider, tmp_path) as lab:
        lab.server.admin().close()
        yield lab


@pytest.fixture
def person(new_user: Callable[..., Client]) -> dict[str, str]:
    """Username and password of somebody who has an account on `server`."""
    username = unique("ada")
    new_user(username=username)
    return {"username": username, "password": PASSWORD}
