"""Migrations give the schema of the models, once, whoever starts."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from core.db.engines import database_url, writer_engine
from core.db.migrate import head_revision, migrate, missing_sql
from core.db.models import Base
from core.ids import new_id
from tests.db.schema import COMPARED
from tests.postgresql import postgresql


def test_a_migrated_database_is_what_the_models_say(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    assert migrate(url) == head_revision()
    engine = writer_engine(database_url(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=COMPARED)
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_starters_at_the_same_moment_do_not_disturb_one_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with ThreadPoolExecutor(4) as pool:
        revisions = list(pool.map(migrate, [url] * 4))
    assert revisions == [head_revision()] * 4


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_there_was_before_the_change_feed_has_never_changed(database: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        if database == "postgresql":
            url = stack.enter_context(postgresql())
        else:
            url = f"sqlite:///{tmp_path / 'app.db'}"
        engine = writer_engine(database_url(url))
        stack.callback(engine.dispose)
        with engine.begin() as connection:
            upgrade(connection, "0001")
            add_thread(connection)
        assert migrate(url) == head_revision()
        with engine.begin() as connection:
            for table in ("users", "threads"):
                assert connection.scalars(text(f"SELECT change_seq FROM {table}")).all() == [0]


def upgrade(connection: Connection, revision: str) -> None:
    """Bring an empty database to a revision of old."""
    config = Config()
    config.set_main_option("script_location", str(files("core.db") / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def add_thread(connection: Connection) -> None:
    """An owner with a thread, as the first tables hold them."""
    ids = {name: new_id().hex for name in ("user", "scope", "thread")}
    for statement in (
        (
            "INSERT INTO users (id, username, password_hash, roles, allowed_products, allowed_agents,"
            " is_active, token_version, created_at, updated_at) VALUES (:user, 'ada', '', '[]', '[]', '[]',"
            " true, 0, '2026-01-01', '2026-01-01')"
        ),
        (
            "INSERT INTO thread_scopes (id, owner_id, digest, products, agents, thread_count, listed_count)"
            " VALUES (:scope, :user, '', '[]', '[]', 1, 0)"
        ),
        (
            "INSERT INTO threads (id, owner_id, scope_id, metadata, is_deleted, is_listed, message_count,"
            " awaits_secret, created_at, updated_at) VALUES (:thread, :user, :scope, '{}', false, false, 0,"
            " false, '2026-01-01', '2026-01-01')"
        ),
    ):
        connection.execute(text(statement), ids)


def test_the_printed_sql_makes_what_the_models_say_on_postgresql() -> None:
    with postgresql() as url:
        engine = writer_engine(database_url(url))
        with engine.begin() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(missing_sql(url))
            context = MigrationContext.configure(connection, opts=COMPARED)
            assert compare_metadata(context, Base.metadata) == []
        engine.dispose()
        assert missing_sql(url) == ""
