"""One server per database: after the database was restarted, too."""

from collections.abc import Iterator
from types import SimpleNamespace

import psycopg
import pytest

from core.db import sole
from core.db.sole import serving
from core.errors import SettingsError
from tests.postgresql import PostgreSQLProcess, postgresql_process
from tests.runs.following import poll


@pytest.fixture
def database() -> Iterator[PostgreSQLProcess]:
    with postgresql_process() as process:
        yield process


def is_refused(url: str, *, is_one_of_many: bool) -> bool:
    try:
        with serving(url, is_one_of_many=is_one_of_many):
            return False
    except SettingsError:
        return True


def is_held(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchone() is not None


@pytest.mark.parametrize("is_one_of_many", [True, False])
def test_the_database_stays_held_when_it_is_restarted(
    database: PostgreSQLProcess, monkeypatch: pytest.MonkeyPatch, *, is_one_of_many: bool
) -> None:
    monkeypatch.setattr(sole, "LOOK_SECONDS", 0.05)
    url = database.url()
    with serving(url, is_one_of_many=is_one_of_many):
        assert is_refused(url, is_one_of_many=not is_one_of_many)
        database.stop()
        database.start()
        poll(lambda: is_held(url), "it is held again")
        assert is_refused(url, is_one_of_many=not is_one_of_many)
    assert not is_refused(url, is_one_of_many=not is_one_of_many)


def test_who_finds_the_database_taken_says_so_and_holds_it_once_it_is_free(
    database: PostgreSQLProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(sole, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(sole, "_logger", SimpleNamespace(error=said.append))
    url = database.url()
    with serving(url, is_one_of_many=False):
        with psycopg.connect(url, autocommit=True) as other:
            ending = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
            taken: tuple[bool, ...] | None = (False,)
            while not (taken and taken[0]):  # before the first one takes it again
                other.execute(ending)
                taken = other.execute("SELECT pg_try_advisory_lock(%s)", [sole._LOCK]).fetchone()  # noqa: SLF001
            poll(lambda: said == ["another server took this database meanwhile, and must not: stop one"], "")
        poll(lambda: is_held(url), "it is held once it is free")
