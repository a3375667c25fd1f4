"""Moments too short to be hit from outside: the engine in this process, held at just that moment."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from api.services import running_services
from core.context import Context, Services
from core.db import engines
from core.db.records import Run, RunStatus
from core.db.session import Database, DatabaseUnavailable
from core.resolvers import runs
from core.resolvers.auth import NewUser, register
from core.resolvers.messages import list_messages
from core.resolvers.sending import NewMessage, send_message
from core.resolvers.threads import create_thread
from core.runs import ending, store, upkeep
from core.runs.engine import RunEngine
from core.settings import Settings
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.servers import PASSWORD

PATIENCE = 10.0


@pytest.fixture
async def services(
    provider: ProviderProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Services]:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_SECONDS", 0.05)
    settings = Settings(
        _env_file=None,
        database_url=f"sqlite:///{tmp_path / 'app.db'}",
        attachments_storage_dir=tmp_path / "storage",
        chroma_persist_directory=tmp_path / "chroma",
        llm_api_base=f"{provider.base_url}/v1",
        shutdown_grace_seconds=0,
        max_concurrent_runs=2,
        checkpoint_seconds=0.05,
        jwt_secret_key="a secret of the tests",
        search_enabled=False,  # its writes would take turns of the writer that these tests hold
    )
    async with running_services(settings) as parts:
        yield parts


@pytest.fixture
async def ctx(services: Services) -> Context:
    user = await register(services.context(None), NewUser(username="admin", password=PASSWORD))
    return services.context(user)


async def send(ctx: Context, thread_id: UUID, model: str) -> UUID:
    """Send a message; the id of its run."""
    sent = await send_message(ctx, thread_id, NewMessage("Hi", model=model))
    assert sent.run is not None
    return sent.run.id


@contextmanager
def locked(ctx: Context) -> Iterator[None]:
    """Another process keeps the database's write lock, longer than ours waits for it."""
    with closing(sqlite3.connect(ctx.db.file or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def status_at_end(ctx: Context, run_id: UUID) -> RunStatus:
    return (await asyncio.wait_for(runs.wait_for_end(ctx, run_id), PATIENCE)).status


class WriterHold:
    """Keeps the database's writer busy, so that what is written next waits."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._begun, self._let_go = threading.Event(), threading.Event()

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._ctx.db.write(self._work))
        assert await asyncio.to_thread(self._begun.wait, PATIENCE)

    async def __aexit__(self, *_: object) -> None:
        self._let_go.set()
        await self._task

    def _work(self, session: Session) -> None:
        del session
        self._begun.set()
        assert self._let_go.wait(PATIENCE)


async def turns(number: int = 50) -> None:
    """Let the loop and the readers of the database go on; nothing that is waited for depends on it."""
    for _ in range(number):
        await asyncio.to_thread(lambda: None)


async def test_an_answer_whose_turn_comes_as_the_server_begins_to_stop_has_the_grace_too(
    ctx: Context, provider: ProviderProcess, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.script(model, text_stream(WaitFor(model), "First"), text_stream("Second", WaitFor(f"{model} 2")))
    loop, draining, drains = asyncio.get_running_loop(), threading.Event(), list[asyncio.Task[None]]()
    claim_next = store.claim_next

    def drain() -> None:
        drains.append(loop.create_task(ctx.runs.drain(PATIENCE)))
        loop.call_soon(draining.set)

    def claim_as_the_drain_begins(session: Session, thread_id: UUID, process_id: UUID) -> Run | None:
        following = claim_next(session, thread_id, process_id)
        if following is not None:
            loop.call_soon_threadsafe(drain)
            assert draining.wait(PATIENCE)
        return following

    thread_id = (await create_thread(ctx)).id
    first, second = await send(ctx, thread_id, model), await send(ctx, thread_id, model)
    monkeypatch.setattr(store, "claim_next", claim_as_the_drain_begins)
    provider.open_gate(model)
    assert await status_at_end(ctx, first) is RunStatus.COMPLETED
    await asyncio.to_thread(provider.wait_until_held, f"{model} 2")
    provider.open_gate(f"{model} 2")

    assert await status_at_end(ctx, second) is RunStatus.COMPLETED
    await asyncio.wait_for(drains[0], PATIENCE)


async def test_an_answer_stored_after_the_grace_is_ended_at_once(
    ctx: Context, provider: ProviderProcess, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved, reserve = asyncio.Event(), RunEngine.reserve

    def noted(engine: RunEngine, run_id: UUID, text: str) -> UUID | None:
        claim = reserve(engine, run_id, text)
        reserved.set()
        return claim

    monkeypatch.setattr(RunEngine, "reserve", noted)
    provider.script(model, text_stream(WaitFor(model)))
    thread_id = (await create_thread(ctx)).id
    async with WriterHold(ctx):
        sending = asyncio.create_task(send(ctx, thread_id, model))
        await asyncio.wait_for(reserved.wait(), PATIENCE)
        drain = asyncio.create_task(ctx.runs.drain(0))
        await turns()
    run_id = await asyncio.wait_for(sending, PATIENCE)

    end = await asyncio.wait_for(runs.wait_for_end(ctx, run_id), PATIENCE)
    assert (end.status, end.error_code) == (RunStatus.FAILED, "SERVER_STOPPED")
    await asyncio.wait_for(drain, PATIENCE)


@pytest.mark.parametrize("moment", range(6))
async def test_a_send_whose_caller_leaves_is_answered_or_never_stored(
    ctx: Context, provider: ProviderProcess, model: str, moment: int
) -> None:
    provider.script(model, text_stream("Answer"))
    thread_id = (await create_thread(ctx)).id
    async with WriterHold(ctx):
        sending = asyncio.create_task(send(ctx, thread_id, model))
        await turns(moment * 3)
        sending.cancel()
        await turns()

    run_id = await asyncio.wait_for(send(ctx, thread_id, model), PATIENCE)
    assert await status_at_end(ctx, run_id) is RunStatus.COMPLETED
    with pytest.raises(asyncio.CancelledError):
        await sending
    questions = provider.requests(model)[-1].json["messages"]
    assert len(provider.requests(model)) == len(questions) // 2 + 1


async def test_a_cancel_whose_caller_leaves_is_told_to_every_reader(
    ctx: Context, provider: ProviderProcess, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, cancel_queued = asyncio.Event(), RunEngine._cancel_queued  # noqa: SLF001 - what the caller leaves

    async def noted(engine: RunEngine, run: Run) -> None:
        begun.set()
        await cancel_queued(engine, run)

    monkeypatch.setattr(RunEngine, "_cancel_queued", noted)
    provider.script(model, text_stream(WaitFor(model), "First"))
    thread_id = (await create_thread(ctx)).id
    await send(ctx, thread_id, model)
    run_id = await send(ctx, thread_id, model)
    reader = asyncio.create_task(runs.wait_for_end(ctx, run_id))
    async with WriterHold(ctx):
        cancelling = asyncio.create_task(runs.cancel_run(ctx, run_id))
        await asyncio.wait_for(begun.wait(), PATIENCE)
        cancelling.cancel()
        await turns()

    assert (await asyncio.wait_for(reader, PATIENCE)).status is RunStatus.CANCELLED


async def test_a_run_that_is_cancelled_while_it_is_claimed_ends_cancelled(
    ctx: Context, provider: ProviderProcess, model: str
) -> None:
    """Both wait for the same commit: first the end that claims the next run, then the cancel."""
    provider.script(model, text_stream("First"), text_stream("Second"), text_stream("Third"))
    thread_id = (await create_thread(ctx)).id
    async with WriterHold(ctx):
        sends = [asyncio.create_task(send(ctx, thread_id, model)) for _ in range(3)]
        await turns()
    run_ids = await asyncio.gather(*sends)
    cancelled = await asyncio.wait_for(runs.cancel_run(ctx, run_ids[1]), PATIENCE)

    ends = [await status_at_end(ctx, run_id) for run_id in run_ids]
    assert ends[1] is cancelled.status
    assert (ends[0], ends[2]) == (RunStatus.COMPLETED, RunStatus.COMPLETED)


async def test_an_end_that_cannot_be_saved_is_saved_and_told_when_it_can(
    ctx: Context, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Some ", WaitFor(model), "text"), text_stream("Next"))
    thread_id = (await create_thread(ctx)).id
    run_ids = [await send(ctx, thread_id, model) for _ in range(2)]
    await asyncio.to_thread(provider.wait_until_held, model)
    reader = asyncio.create_task(runs.wait_for_end(ctx, run_ids[0]))
    with locked(ctx):
        provider.open_gate(model)
        await asyncio.to_thread(provider.wait_for_finish, model)
        for _ in range(3):  # the run tries in vain meanwhile, and so do checkpoints
            with pytest.raises(DatabaseUnavailable):
                await ctx.db.write(lambda session: session.flush())
        assert not reader.done()

    assert (await asyncio.wait_for(reader, PATIENCE)).status is RunStatus.COMPLETED
    assert await status_at_end(ctx, run_ids[1]) is RunStatus.COMPLETED
    texts = {message.text for message in (await list_messages(ctx, thread_id)).items}
    assert texts == {"Hi", "Some text", "Next"}


async def test_sends_that_could_not_be_stored_give_their_places_back(
    ctx: Context, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Now"))
    thread_id = (await create_thread(ctx)).id
    with locked(ctx):
        attempts = [send(ctx, thread_id, model) for _ in range(10)]
        failures = await asyncio.gather(*attempts, return_exceptions=True)

    assert {type(failure) for failure in failures} == {DatabaseUnavailable}
    assert await status_at_end(ctx, await send(ctx, thread_id, model)) is RunStatus.COMPLETED
    assert len((await list_messages(ctx, thread_id)).items) == 2


class LosingDatabase:
    """Commits what claims a run, and loses the answer once, or holds it until `goes_on`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ctx: Context, *, is_slow: bool = False) -> None:
        self._write, self._is_slow, self.lost = ctx.db.write, is_slow, 0
        self.is_held, self.goes_on = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(Database, "write", self.write)

    async def write(self, work: Callable[[Session], Any]) -> Any:
        result = await self._write(work)
        claimed = result[1] if isinstance(result, tuple) and len(result) == 2 else result
        run = getattr(claimed, "run", claimed)
        if not self.lost and getattr(run, "status", None) is RunStatus.RUNNING:
            self.lost += 1
            if not self._is_slow:
                raise DatabaseUnavailable
            self.is_held.set()
            await self.goes_on.wait()
        return result


async def test_a_run_is_begun_though_the_answer_to_its_claim_is_lost(
    ctx: Context, provider: ProviderProcess, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "REAP_SECONDS", 0.1)
    provider.script(model, text_stream(WaitFor(model), "First"), text_stream("Second"))
    thread_id = (await create_thread(ctx)).id
    first, second = await send(ctx, thread_id, model), await send(ctx, thread_id, model)
    losing = LosingDatabase(monkeypatch, ctx)
    provider.open_gate(model)
    assert await status_at_end(ctx, first) is RunStatus.COMPLETED
    assert await status_at_end(ctx, second) is RunStatus.COMPLETED
    assert losing.lost == 1
    texts = [message.text for message in (await list_messages(ctx, thread_id)).items]
    assert sorted(texts) == ["First", "Hi", "Hi", "Second"]


async def test_a_send_whose_answer_is_lost_is_answered_and_sent_again_is_that_run(
    ctx: Context, provider: ProviderProcess, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "REAP_SECONDS", 0.1)
    provider.script(model, text_stream("Answer"))
    thread_id = (await create_thread(ctx)).id
    new = NewMessage("Hi", model=model, idempotency_key="one")
    losing = LosingDatabase(monkeypatch, ctx)
    with pytest.raises(DatabaseUnavailable):
        await send_message(ctx, thread_id, new)
    sent = await send_message(ctx, thread_id, new)
    assert (losing.lost, sent.is_replay) == (1, True)
    assert sent.run is not None
    async with asyncio.timeout(PATIENCE):
        while not (await runs.get_run(ctx, sent.run.id)).status.is_final:
            await turns()
    texts = [message.text for message in (await list_messages(ctx, thread_id)).items]
    assert sorted(texts) == ["Answer", "Hi"]
    assert len(provider.requests(model)) == 1


async def test_a_claim_that_takes_long_is_not_begun_twice(
    ctx: Context, provider: ProviderProcess, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "REAP_SECONDS", 0.05)
    provider.script(model, text_stream("Answer"))
    thread_id = (await create_thread(ctx)).id
    losing = LosingDatabase(monkeypatch, ctx, is_slow=True)
    sending = asyncio.create_task(send(ctx, thread_id, model))
    await asyncio.wait_for(losing.is_held.wait(), PATIENCE)
    looks, started_by = asyncio.Queue[None](), store.started_by

    def noted(session: Session, process_id: UUID) -> Any:
        loop.call_soon_threadsafe(looks.put_nowait, None)
        return started_by(session, process_id)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(store, "started_by", noted)
    async with asyncio.timeout(PATIENCE):
        for _ in range(4):
            await looks.get()
    losing.goes_on.set()
    run_id = await sending
    assert await status_at_end(ctx, run_id) is RunStatus.COMPLETED
    assert (await runs.get_run(ctx, run_id)).epoch == 1


async def test_an_answer_is_kept_though_what_belongs_to_its_end_cannot_be_saved(
    ctx: Context, provider: ProviderProcess, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = ending.finish

    def picky(session: Session, run_id: UUID, epoch: int, outcome: store.Outcome, **named: Any) -> Any:
        if outcome.status is RunStatus.COMPLETED:
            raise ValueError("what is wrong with it, nobody has foreseen")
        return finish(session, run_id, epoch, outcome, **named)

    monkeypatch.setattr(ending, "finish", picky)
    provider.script(model, text_stream("Long and dear"))
    thread_id = (await create_thread(ctx)).id
    assert await status_at_end(ctx, await send(ctx, thread_id, model)) is RunStatus.FAILED
    texts = {message.text for message in (await list_messages(ctx, thread_id)).items}
    assert texts == {"Hi", "Long and dear"}
