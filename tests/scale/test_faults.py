"""Faults of processes and of what they share: nothing acknowledged is lost, nobody waits for ever."""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.postgresql import PostgreSQLProcess, postgresql_process
from tests.provider.client import ProviderProcess
from tests.proxy import CutProxy
from tests.runs.following import poll
from tests.scale.conftest import engines_in, new_server
from tests.scale.fleet import FIRST, SECOND, STREAMS, WHOLE, Fleet, assert_told
from tests.servers import ServerProcess
from tests.valkey import ValkeyProcess, valkey

SERVERS = 3
CUT_SECONDS = 10.0
QUESTIONS = [f"Question {number}" for number in range(STREAMS)]


class Installation:
    """Three servers, behind a proxy to each engine."""

    def __init__(
        self, database: PostgreSQLProcess, broker: ValkeyProcess, proxies: tuple[CutProxy, CutProxy]
    ) -> None:
        self.database, self.broker = database, broker
        self.to_database, self.to_broker = proxies


@pytest.fixture
def installation() -> Iterator[Installation]:
    with (
        postgresql_process() as database,
        valkey() as broker,
        CutProxy(database.port) as to_database,
        CutProxy(broker.port) as to_broker,
    ):
        yield Installation(database, broker, (to_database, to_broker))


@pytest.fixture
def fleet(
    installation: Installation, provider: ProviderProcess, model: str, tmp_path: Path
) -> Iterator[Fleet]:
    engines = engines_in(
        tmp_path,
        installation.database.url(installation.to_database.port),
        installation.broker.url_at(installation.to_broker.port),
    )
    servers = [
        new_server(engines, tmp_path / str(number), f"{provider.base_url}/v1") for number in range(SERVERS)
    ]
    for server in servers:
        server.start()  # one after the other: a process ends with the thread that started it
    fleet = Fleet(servers, provider, model)
    try:
        yield fleet
    finally:
        with ThreadPoolExecutor(SERVERS) as pool:
            list(pool.map(ServerProcess.kill, servers))
        fleet.close()


def assert_all_is_well(fleet: Fleet) -> None:
    """Every answer is whole, told and stored."""
    assert_told(fleet.stories(), [WHOLE] * STREAMS)
    for number in range(STREAMS):
        assert fleet.stored(number) == ("completed", [WHOLE, QUESTIONS[number]])


def restart_broker(installation: Installation) -> Callable[[], object]:
    installation.broker.kill()
    return installation.broker.start


def restart_database(installation: Installation) -> Callable[[], object]:
    installation.database.stop()
    return installation.database.start


def silence_broker(installation: Installation) -> Callable[[], object]:
    installation.to_broker.silence()
    return installation.to_broker.mend


def silence_database(installation: Installation) -> Callable[[], object]:
    installation.to_database.silence()
    return installation.to_database.mend


def cut_broker(installation: Installation) -> Callable[[], object]:
    installation.to_broker.cut()
    return installation.to_broker.mend


def cut_database(installation: Installation) -> Callable[[], object]:
    installation.to_database.cut()
    return installation.to_database.mend


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (restart_broker, 0),
        (restart_database, 0),
        (cut_broker, CUT_SECONDS),
        (cut_database, CUT_SECONDS),
        (silence_broker, CUT_SECONDS),
        (silence_database, CUT_SECONDS),
    ],
)
def test_answers_go_on_while_an_engine_is_away_and_all_is_told_once_it_is_back(
    installation: Installation,
    fleet: Fleet,
    fault: Callable[[Installation], Callable[[], object]],
    seconds: float,
) -> None:
    mend = fault(installation)
    fleet.open_first()  # the provider was read meanwhile
    time.sleep(seconds)  # this is the fault itself
    mend()
    fleet.open_second()

    assert_all_is_well(fleet)


def test_a_killed_process_leaves_what_it_saved_and_its_readers_hear_of_it_elsewhere(fleet: Fleet) -> None:
    fleet.servers[0].wait_for_log(event="listening")
    fleet.gone.add(0)
    fleet.servers[0].kill()
    living = [number for number in range(STREAMS) if fleet.home(number) != 0]
    fleet.open_first(len(living))
    fleet.open_second()

    stories = fleet.stories()
    for number in range(STREAMS):
        status, texts = fleet.stored(number)
        assert texts[-1] == QUESTIONS[number]
        if number in living:
            assert (status, texts[0]) == ("completed", WHOLE)
        else:
            assert status == "failed"
            assert "".join(FIRST).startswith("".join(texts[:-1]))
    assert_told([stories[number] for number in living], [WHOLE] * len(living))
    assert {story.ends for story in stories} == {1}


def test_a_process_that_slept_is_fenced_off_and_goes_on(fleet: Fleet) -> None:
    sleeper = fleet.servers[0]
    fleet.gone.add(0)
    sleeper.send_signal(signal.SIGSTOP)
    slept = [number for number in range(STREAMS) if fleet.home(number) == 0]
    fleet.provider.open_gate(fleet.model)
    poll(lambda: all(fleet.stored(number)[0] == "failed" for number in slept), "not given up for dead", 60)
    sleeper.send_signal(signal.SIGCONT)
    fleet.open_second()

    stories = fleet.stories()
    for number, story in enumerate(stories):
        status, texts = fleet.stored(number)
        assert story.ends == 1
        if number in slept:
            assert (status, texts[-1]) == ("failed", QUESTIONS[number])
            assert "".join([*FIRST, *SECOND]).startswith("".join(texts[:-1]))
        else:
            assert (status, texts) == ("completed", [WHOLE, QUESTIONS[number]])
    # What it wrote in its sleep counts nowhere, and it takes part again.
    after = fleet.clients[0].send_message(fleet.threads[0], "And now?", model="echo")
    assert after.status_code == 201, after.text
    assert fleet.stored(0)[1][:2] == ["And now?", "And now?"]
