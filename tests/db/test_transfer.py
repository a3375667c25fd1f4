"""All that one database holds is in another, or the operator is told what is in the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, insert, select, text, update

from core.db import transfer as transferring
from core.db.engines import database_url, writer_engine
from core.db.migrate import migrate
from core.db.models import Base, MessageRow, ProviderThreadRow, RunPartRow, ThreadRow
from core.db.transfer import DERIVED, Progress, transfer
from core.errors import SettingsError
from tests.api.test_cli import gwp_chat
from tests.conftest import unique
from tests.core.chats import add_chat
from tests.core.parts import new_caller, open_services
from tests.postgresql import migrated, postgresql
from tests.provider.client import ProviderProcess
from tests.provider.script import text_stream
from tests.runs.following import poll
from tests.search.searching import PATIENCE_SECONDS, titles
from tests.servers import PASSWORD, ServerProcess

OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}
CHATS = 5


@contextmanager
def engine_of(url: str) -> Iterator[Engine]:
    engine = writer_engine(database_url(url))
    try:
        yield engine
    finally:
        engine.dispose()


def sqlite_url(directory: Path, name: str) -> str:
    return f"sqlite:///{directory / name}.db"


async def fill(url: str, directory: Path) -> None:
    """Accounts with chats, in which something of every kind is."""
    async with open_services(url, directory) as services:
        for number in range(CHATS):
            ctx = await new_caller(services)
            chat = await add_chat(ctx, {"z": [1, 2.5, None, "ё"], "a": {"number": number}})
    with engine_of(url) as engine, engine.begin() as connection:
        connection.execute(insert(RunPartRow).values(run_id=chat.run, seq=1, text="Some"))
        connection.execute(update(ProviderThreadRow).values(payload={"half": "\ud800"}))
        connection.execute(update(ThreadRow).values(summary="Grüße, 世界 \U0001f600\n'\"\\%"))


def rows_of(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows but those of the index, by table, each in the order of its key."""
    found = {}
    with engine_of(url) as engine, engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            if not table.name.startswith(DERIVED):
                rows = connection.execute(select(table)).all()
                found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found


def told_nobody(progress: Progress) -> None:
    del progress


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_every_row_is_there_and_a_stopped_transfer_goes_on(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transferring, "BATCH", 2)
    with migrated(engine, tmp_path) as source, migrated(OTHER[engine], tmp_path) as target:
        await fill(source, tmp_path)
        rows = sum(map(len, rows_of(source).values()))
        seen: list[Progress] = []

        def stop_halfway(progress: Progress) -> None:
            seen.append(progress)
            if progress.done > rows // 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            transfer(source, target, stop_halfway)
        assert 0 < sum(map(len, rows_of(target).values())) < rows

        seen.clear()
        assert transfer(source, target, seen.append) == rows
        assert seen[-1] == Progress(3 * rows, 3 * rows)
        assert rows_of(target) == rows_of(source)
        assert [name for name, found in rows_of(source).items() if not found] == []

        with engine_of(target) as other, other.begin() as connection:
            connection.execute(update(MessageRow).values(text=MessageRow.text + " "))
        with pytest.raises(SettingsError, match=r"^--to: the rows of messages differ"):
            transfer(source, target, told_nobody)


def test_a_server_goes_on_with_the_other_database(tmp_path: Path, provider: ProviderProcess) -> None:
    model, word = unique("model"), unique("word")
    provider.script(model, text_stream("Some ", word), text_stream("More"))
    with ServerProcess(tmp_path, f"{provider.base_url}/v1") as server, server.admin() as client:
        thread_id = client.new_thread(title="Moved")["id"]
        client.stream_text(thread_id, model=model)
        before = client.messages(thread_id)
        source = server.database_url
        with postgresql() as target:
            refused = gwp_chat("transfer", "--from", source, "--to", target, directory=tmp_path)
    assert (refused.returncode, refused.stderr[:34]) == (2, "gwp-chat: --from: another gwp-chat"), refused

    with postgresql() as target:
        done = gwp_chat("transfer", "--from", source, "--to", target, directory=tmp_path)
        assert done.returncode == 0, done.stderr
        with (
            ServerProcess(tmp_path, f"{provider.base_url}/v1", {"CHAT_DATABASE_URL": target}) as server,
            server.client().sign_in("admin", PASSWORD) as client,
        ):
            assert client.messages(thread_id) == before
            client.stream_text(thread_id, model=model)
            assert "More" in [message["text"] for message in client.messages(thread_id)]
            poll(
                lambda: titles(client, word, "TEXT") == ["Moved"], "the index is made anew", PATIENCE_SECONDS
            )
            client.delete(f"/api/threads/{thread_id}")
        in_use = rows_of(target)
        again = gwp_chat("transfer", "--from", source, "--to", target, directory=tmp_path)
        assert (again.returncode, "has worked on this database already" in again.stderr) == (2, True)
        assert rows_of(target) == in_use


async def test_a_row_that_the_other_engine_refuses_is_named(tmp_path: Path) -> None:
    with migrated("sqlite", tmp_path) as source, migrated("postgresql", tmp_path) as target:
        await fill(source, tmp_path)
        with engine_of(source) as engine, engine.begin() as connection:
            wrong = connection.execute(
                text(
                    "UPDATE attachments SET content_type = 'a' || char(0) WHERE id = "
                    "(SELECT max(id) FROM attachments) RETURNING id"
                )
            ).scalar_one()
        told = rf"^--from: attachments, id {UUID(wrong)}: content_type holds NUL"
        with pytest.raises(SettingsError, match=told):
            transfer(source, target, told_nobody)
        with engine_of(source) as engine, engine.begin() as connection:
            connection.execute(text("UPDATE attachments SET content_type = 'a/b'"))
        transfer(source, target, told_nobody)
        assert rows_of(target) == rows_of(source)


async def test_what_is_in_the_way_is_told(tmp_path: Path) -> None:
    source, target = sqlite_url(tmp_path, "source"), sqlite_url(tmp_path, "target")

    def refusal(source: str, target: str) -> str:
        with pytest.raises(SettingsError) as caught:
            transfer(source, target, told_nobody)
        return str(caught.value)

    assert refusal(source, target).startswith("--from: there is no file")
    assert not (tmp_path / "source.db").exists()
    migrate(source)
    assert refusal(source, source).startswith("--to: this is the database that --from names")
    assert refusal("nonsense", target).startswith("--from: ")
    assert refusal(source, "nonsense").startswith("--to: ")
    for url in ("postgresqll:///chat", "mysql://x@127.0.0.1/x"):
        assert refusal(source, url) == "--to: must start with sqlite:/// or postgresql://"
    for url in ("sqlite://", "sqlite:///:memory:"):
        assert refusal(source, url).startswith("--to: must name a file")
    assert refusal(source, "postgresql://x@127.0.0.1:1/x").startswith("--to: the database cannot be used")

    migrate(target)
    async with open_services(target, tmp_path) as services:
        await new_caller(services)
    assert refusal(source, target).startswith("--to: the database has accounts of its own")

    with engine_of(source) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert "run `gwp-chat migrate` on it first" in refusal(source, target)
