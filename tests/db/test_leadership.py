"""One process at a time leads, and another as soon as that is gone."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from core.db.engines import database_url, writer_engine
from core.db.leadership import Leadership
from core.db.session import DatabaseUnavailable
from tests.postgresql import postgresql

NUMBER = 7


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
