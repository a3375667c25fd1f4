"""The web client as its developers have it: built, unit-tested, and served by Vite."""

import gzip
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import unique
from tests.e2e.conftest import CLIENT, Pages
from tests.e2e.lab import clean
from tests.processes import end_with_parent, free_port
from tests.provider.client import ProviderProcess
from tests.provider.script import plain_error, text_stream
from tests.runs.following import poll
from tests.servers import PASSWORD, ServerProcess

SOURCE = Path(__file__).parents[2] / "web" / "client"
MOST_BYTES = 250_000


@pytest.mark.usefixtures("pages")
def test_the_first_load_is_light() -> None:
    """What the page names, and what that imports at once; the rest comes when it is wanted."""
    assets = CLIENT.parent / "assets"
    page = CLIENT.read_text(encoding="utf-8")
    wanted = set(re.findall(r'(?:src|href)="/client/assets/([^"]+\.js)"', page))
    assert wanted
    for name in list(wanted):
        script = (assets / name).read_text(encoding="utf-8")
        wanted |= set(re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', script))
    assert sum(len(gzip.compress((assets / name).read_bytes())) for name in wanted) <= MOST_BYTES


@pytest.mark.usefixtures("pages")
def test_its_own_tests_pass() -> None:
    done = subprocess.run(["npm", "test"], cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def vite(tmp_path: Path) -> Iterator[Callable[[ServerProcess, str], str]]:
    """Starts Vite's own server, in front of a server of ours; its URL."""
    started: list[subprocess.Popen[bytes]] = []

    def start(server: ServerProcess, fallback: str) -> str:
        url = f"http://localhost:{free_port()}"
        settings = {"VITE_API_BASE_URL": server.url, "VITE_OPENAI_FALLBACK_MODELS": fallback}
        command = ["npm", "run", "dev", "--", "--strictPort", "--port", url.rpartition(":")[2]]
        with (tmp_path / "vite.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=SOURCE,
                env={**os.environ, **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - it makes one system call and takes no lock
            )
        started.append(process)

        def answers() -> bool:
            try:
                return httpx.get(url).status_code == 200
            except httpx.TransportError:
                return False

        poll(answers, "Vite does not answer", 60)
        return url

    yield start
    for process in started:
        os.killpg(process.pid, 15)
        process.wait()


def test_vite_serves_it_with_a_proxy_and_models_to_fall_back_on(
    pages: Pages, provider: ProviderProcess, vite: Callable[[ServerProcess, str], str], tmp_path: Path
) -> None:
    model = unique("model")
    with provider.namespace() as own, ServerProcess(tmp_path, f"{own.base_url}/v1") as server:
        server.admin().close()
        own.set_models(plain_error("Out for lunch", 503))
        own.script(model, text_stream("Yes."))
        own.script("another", text_stream("Me too."))
        url = vite(server, f"{model}, another")
        user = {"username": "admin", "password": PASSWORD}
        report = clean(pages.begin("developed", server, proxy=url, **user).report())
        assert (report["models"], report["chosen"]) == ([model, "another"], "another")
        (message,) = own.requests(model)
        assert message.json["model"] == model
