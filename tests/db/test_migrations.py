"""Migrations give the schema of the models, once, whoever starts."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from core.db.engines import database_url, writer_engine
from core.db.migrate import head_revision, migrate
from core.db.models import Base


def test_a_migrated_database_is_what_the_models_say(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    assert migrate(url) == head_revision()
    engine = writer_engine(database_url(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_starters_at_the_same_moment_do_not_disturb_one_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with ThreadPoolExecutor(4) as pool:
        revisions = list(pool.map(migrate, [url] * 4))
    assert revisions == [head_revision()] * 4
