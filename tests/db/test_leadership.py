"""One process at a time leads, and another as soon as that is gone."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from core.db.engines import database_url, writer_engine
from core.db.leadership import Leadership
from core.db.session import DatabaseUnavailable
from tests.postgresql import postgresql
from tests.runs.following import poll

NUMBER = 7
NO_NUMBER = 2**63  # beyond what a lock's may be
KEEPALIVE_TIMER = "02"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgresql() as found:
        yield found


def test_one_leads_until_it_lets_go(url: str) -> None:
    with closing(Leadership(url, NUMBER)) as one, closing(Leadership(url, NUMBER)) as two:
        assert [one.is_held(), two.is_held(), one.is_held()] == [True, False, True]
        one.close()
        assert [two.is_held(), one.is_held()] == [True, False]


def test_works_with_other_numbers_have_leaders_of_their_own(url: str) -> None:
    with closing(Leadership(url, NUMBER)) as one, closing(Leadership(url, NUMBER + 1)) as other:
        assert one.is_held()
        assert other.is_held()


def test_who_loses_its_connection_leads_no_more(url: str) -> None:
    with closing(Leadership(url, NUMBER)) as one, closing(Leadership(url, NUMBER)) as two:
        assert one.is_held()
        end_other_connections(url)
        assert two.is_held()
        with pytest.raises(DatabaseUnavailable):
            one.is_held()
        assert not one.is_held()


def test_who_lets_go_leads_again_only_if_nobody_else_does(url: str) -> None:
    with closing(Leadership(url, NUMBER)) as one, closing(Leadership(url, NUMBER)) as two:
        assert one.is_held()
        one.release()
        assert [one.is_held(), one.term, two.is_held()] == [True, 2, False]
        one.release()
        assert [two.is_held(), one.is_held()] == [True, False]
        assert [one.term, two.term] == [2, 1]


def test_a_question_that_fails_costs_no_connection(url: str) -> None:
    with closing(Leadership(url, NO_NUMBER)) as one:
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable):
                one.is_held()


def test_the_server_soon_notices_that_the_leaders_machine_is_gone(url: str) -> None:
    with closing(Leadership(url, NUMBER)) as one, psycopg.connect(url) as connection:
        assert one.is_held()
        row = connection.execute(
            "SELECT client_port FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE objid = %s", [NUMBER]
        ).fetchone()
        assert row is not None
        port = database_url(url).port
        assert port is not None
        client_port = row[0]
        poll(lambda: 0 < keepalive_seconds(port, client_port) <= 10, "the server asks within 10 s")


def keepalive_seconds(port: int, client_port: int) -> float:
    """When the kernel will ask the client of this connection whether it is still there; 0 while it waits
    for an acknowledgement (proc_net_tcp of the kernel's documentation).
    """
    local, remote = f":{port:04X}", f":{client_port:04X}"
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines():
        fields = line.split()
        if fields[1].endswith(local) and fields[2].endswith(remote):
            timer, ticks = fields[5].split(":")
            return int(ticks, 16) / os.sysconf("SC_CLK_TCK") if timer == KEEPALIVE_TIMER else 0
    raise AssertionError(f"no connection from {client_port} to {port}")


def end_other_connections(url: str) -> None:
    """As a restart of the database would."""
    engine = writer_engine(database_url(url))
    with engine.connect() as connection:
        # The second argument has it wait until they are gone.
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        )
    engine.dispose()


def test_a_sqlite_file_has_one_process_anyway(tmp_path: Path) -> None:
    with closing(Leadership(f"sqlite:///{tmp_path / 'app.db'}", NUMBER)) as one:
        assert one.is_held()
    assert not (tmp_path / "app.db").exists()
