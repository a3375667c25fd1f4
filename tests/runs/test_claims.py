"""A run that waits is claimed once, whatever else wants it at the same moment, on both databases."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from core.db.mapping import to_user
from core.db.migrate import migrate
from core.db.models import MessageRow, RunRow, ScopeRow, ThreadRow, UserRow
from core.db.records import Run, RunStatus, User
from core.db.session import Database
from core.db.threads import move_thread
from core.ids import new_id
from core.resolvers.access import own_thread, scope_for
from core.runs import ending, store
from core.runs.events import RunEnd
from core.runs.reaper import reap
from tests.conftest import unique
from tests.postgresql import postgresql

ROUNDS = 20
CLAIMERS = 8


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "postgresql":
        with postgresql() as found:
            migrate(found)
            yield found
    else:
        path: Path = tmp_path_factory.mktemp("claims") / "app.db"
        migrate(f"sqlite:///{path}")
        yield f"sqlite:///{path}"


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    with closing(Database(url)) as database:
        yield database


def add_waiting_run(session: Session) -> tuple[UUID, UUID]:
    """A thread and its only run, which waits."""
    user = UserRow(username=unique("user"), password_hash="none")
    session.add(user)
    session.flush()
    scope = ScopeRow(owner_id=user.id, digest="none", products=[], agents=[])
    session.add(scope)
    session.flush()
    thread = ThreadRow(owner_id=user.id, scope_id=scope.id, message_count=1)
    session.add(thread)
    session.flush()
    question = MessageRow(
        thread_id=thread.id, position=1, sender_id="user", sender_type="user", status="queued", text="Hi"
    )
    session.add(question)
    session.flush()
    run = RunRow(
        thread_id=thread.id,
        owner_id=user.id,
        user_message_id=question.id,
        position=1,
        status=RunStatus.QUEUED,
        model="model",
    )
    session.add(run)
    session.flush()
    return thread.id, run.id


def claim(thread_id: UUID) -> Callable[[Session], Run | None]:
    return lambda session: store.claim_next(session, thread_id, new_id())


def cancel(run_id: UUID) -> Callable[[Session], RunEnd | None]:
    outcome = store.Outcome(RunStatus.CANCELLED, last_seq=2)
    return lambda session: ending.finish(session, run_id, 1, outcome, only_queued=True)


def status(run_id: UUID) -> Callable[[Session], RunStatus]:
    return lambda session: store.get(session, run_id).status


async def test_of_many_that_claim_a_waiting_run_one_gets_it(db: Database) -> None:
    for _ in range(ROUNDS):
        thread_id, run_id = await db.write(add_waiting_run)
        claims = await asyncio.gather(*(db.write(claim(thread_id)) for _ in range(CLAIMERS)))
        assert [run.id for run in claims if run is not None] == [run_id]


async def test_a_waiting_run_is_claimed_or_cancelled_and_never_both(db: Database) -> None:
    for _ in range(ROUNDS):
        thread_id, run_id = await db.write(add_waiting_run)
        claimed, end = await asyncio.gather(db.write(claim(thread_id)), db.write(cancel(run_id)))
        assert (claimed is None) != (end is None)
        expected = RunStatus.RUNNING if end is None else RunStatus.CANCELLED
        assert await db.read(status(run_id)) is expected


async def test_a_waiting_secret_is_ended_once_its_process_is_gone(db: Database) -> None:
    dead, alive = new_id(), new_id()

    def hold_secret(session: Session, run_id: UUID) -> None:
        run = session.get_one(RunRow, run_id)
        run.is_secret, run.lease_owner = True, dead

    def awaits_secret(session: Session, thread_id: UUID) -> bool:
        return session.get_one(ThreadRow, thread_id).awaits_secret

    thread_id, run_id = await db.write(add_waiting_run)
    await db.write(lambda session: hold_secret(session, run_id))

    assert await db.write(claim(thread_id)) is None
    assert await db.read(status(run_id)) is RunStatus.QUEUED
    assert thread_id in [run.thread_id for run in await reap(db, alive, lease_counts=True)]
    assert await db.read(status(run_id)) is RunStatus.FAILED
    assert await db.read(lambda session: awaits_secret(session, thread_id))


async def test_a_thread_that_changes_its_scope_meanwhile_is_found_all_the_same(db: Database) -> None:
    thread_id, _ = await db.write(add_waiting_run)

    def owner(session: Session) -> User:
        return to_user(session.get_one(UserRow, session.get_one(ThreadRow, thread_id).owner_id))

    user = await db.read(owner)

    def change_scope(session: Session, product: str) -> None:
        thread = own_thread(session, user, thread_id, lock=True)
        scope = scope_for(session, user, {"product": product})
        session.flush()
        move_thread(session, thread, scope.id)

    def touch(session: Session) -> None:
        own_thread(session, user, thread_id, lock=True)

    await db.write(lambda session: change_scope(session, "a"))
    await db.write(lambda session: change_scope(session, "b"))
    for _ in range(ROUNDS):
        await asyncio.gather(
            *(db.write(functools.partial(change_scope, product=product)) for product in "abab"),
            *(db.write(touch) for _ in range(CLAIMERS)),
        )
