"""Every list has an index that serves its order: a page reads a page, not the table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from core.auth.passwords import Passwords
from core.auth.tokens import Tokens
from core.context import Context, Services
from core.db.migrate import migrate
from core.db.session import Database
from core.files.store import FileStore
from core.provider.client import ProviderClient
from core.resolvers import auth, messages, threads
from core.runs.engine import RunEngine
from core.runs.memory_log import MemoryLog
from core.settings import Settings

SECRET = "a secret of the tests, long enough for HS256"


@pytest.fixture
async def ctx(tmp_path: Path) -> Any:
    """A signed-in caller on a database of their own, without any server."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    migrate(url)
    settings = Settings(_env_file=None, database_url=url, jwt_secret_key=SECRET)
    db = Database(url)
    files, provider, passwords = FileStore(tmp_path), ProviderClient(settings), Passwords()
    runs = RunEngine(settings, db, files, provider, MemoryLog(run_bytes=2**20, retention_seconds=1))
    services = Services(settings, db, files, provider, runs, passwords, Tokens(settings))
    user = await auth.register(services.context(None), auth.NewUser("ada", "pw"))
    yield services.context(user)
    await provider.close()
    passwords.close()
    db.close()


@pytest.fixture
def plans() -> Iterator[list[str]]:
    """The query plan of every SELECT that runs meanwhile."""
    seen: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            cursor = connection.connection.cursor()
            rows = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            seen.extend(row[3] for row in rows)
            cursor.close()

    event.listen(Engine, "before_cursor_execute", explain)
    yield seen
    event.remove(Engine, "before_cursor_execute", explain)


def assert_no_scan(plans: list[str]) -> None:
    assert plans
    slow = [step for step in plans if step.startswith("SCAN") or "TEMP B-TREE" in step]
    assert slow == [], plans


async def test_a_page_of_threads_reads_its_index(ctx: Context, plans: list[str]) -> None:
    for number in range(3):
        await threads.create_thread(ctx, title=str(number))
    plans.clear()
    assert (await threads.list_threads(ctx, include_deleted=True)).total == 3
    assert_no_scan(plans)
    plans.clear()
    await threads.list_threads(ctx)
    await threads.list_threads(ctx, page=2, limit=1, include_deleted=True)
    assert_no_scan(plans)


async def test_a_page_of_messages_reads_its_index_at_any_depth(
    ctx: Context, plans: list[str], tmp_path: Path
) -> None:
    thread = await threads.create_thread(ctx)
    fill(tmp_path / "app.db", thread.id.hex, 500)
    plans.clear()
    page = await messages.list_messages(ctx, thread.id, page=20, limit=20)
    assert [item.text for item in page.items] == [str(number) for number in range(120, 100, -1)]
    await threads.get_thread(ctx, thread.id)
    assert_no_scan(plans)


def fill(database: Path, thread_id: str, count: int) -> None:
    """Messages 1 to `count`, written past the product."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        for number in range(1, count + 1):
            connection.execute(
                text(
                    "INSERT INTO messages (id, thread_id, position, sender_id, sender_type, status, text,"
                    " metadata, created_at, updated_at) VALUES (lower(hex(randomblob(16))), :thread, :number,"
                    " 'x', 'user', 'ready', :number, '{}', '2026-01-01', '2026-01-01')"
                ),
                {"thread": thread_id, "number": number},
            )
        connection.execute(
            text("UPDATE threads SET message_count = :count WHERE id = :thread"),
            {"thread": thread_id, "count": count},
        )
    engine.dispose()
