"""A model of the demo that ends is started again, and few words are made about it."""

import os
import queue
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from api.demo import model_server
from api.demo.model_keeper import ModelKeeper
from api.demo.model_process import ModelProcess
from tests.runs.following import poll

STAND_IN = Path(__file__).with_name("stand_in_model.py")
PATIENCE = 60.0
KILLED = "The model was ended by SIGKILL. It will be started again"


class Kept:
    """A stand-in, and what was told of it."""

    def __init__(self, model: ModelProcess) -> None:
        self.model = model
        self.told: queue.Queue[str | None] = queue.Queue()

    def answers(self) -> bool:
        """Whether it answers now, on the port that it was given."""
        try:
            url = self.model.base_url.removesuffix("/v1")
            return httpx.get(f"{url}/health", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        pid = self.model.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        poll(lambda: self.model.pid not in (pid, None) and self.answers(), "another answers", PATIENCE)

    def hear(self) -> str | None:
        """What is told next."""
        return self.told.get(timeout=PATIENCE)


@contextmanager
def kept(log_file: Path | None = None, first_pause: float = 0.01) -> Iterator[Kept]:
    model = ModelProcess(program=STAND_IN)
    each = Kept(model)
    with ModelKeeper(model, each.told.put, start_seconds=PATIENCE, first_pause=first_pause) as keeper:
        with socket.socket() as probe:
            probe.bind((model_server.HOST, 0))
            port: int = probe.getsockname()[1]
        model.prepare(port, log_file)
        keeper.start()
        yield each


def test_a_model_that_is_killed_is_started_again_on_its_port_and_told_of_once() -> None:
    with kept() as each:
        poll(each.answers, "it answers", PATIENCE)
        each.kill()
        assert each.hear() == KILLED
        assert each.hear() is None
        each.kill()
    assert each.told.empty()
    assert not each.answers()
    assert each.model.pid is None


def test_a_model_that_was_steady_is_told_of_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.demo.model_keeper.STEADY_SECONDS", 0)
    with kept() as each:
        poll(each.answers, "it answers", PATIENCE)
        for _ in range(2):
            each.kill()
            assert each.hear() == KILLED
            assert each.hear() is None


def test_a_model_that_ends_at_once_is_started_ever_more_slowly(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    tries.touch()
    with kept(tries, first_pause=0.3) as each:
        poll(lambda: len(tries.read_text().splitlines()) == 4, "four tries", PATIENCE)
        ended_at = [float(line) for line in tries.read_text().splitlines()]
        tries.unlink()
        poll(each.answers, "it answers", PATIENCE)
        end = each.hear()
        assert end is not None
        assert end.startswith("The model ended with status 1 before it answered")
        assert each.hear() is None
    assert each.told.empty()
    pauses = [after - before for before, after in pairwise(ended_at)]
    assert all(pause >= least for pause, least in zip(pauses, (0.3, 0.6, 1.2), strict=True))


def test_one_that_is_still_coming_up_is_stopped_without_a_word(tmp_path: Path) -> None:
    with kept(tmp_path / "none") as each:
        poll(lambda: each.model.pid is not None, "it was started", PATIENCE)
    assert each.model.pid is None
    assert each.told.empty()
