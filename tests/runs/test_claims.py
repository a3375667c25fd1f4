"""A run that waits is claimed once, whatever else wants it at the same moment, on both databases."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from core.db.migrate import migrate
from core.db.models import MessageRow, RunRow, ScopeRow, ThreadRow, UserRow
from core.db.records import Run, RunStatus
from core.db.session import Database
from core.ids import new_id
from core.runs import store
from core.runs.events import RunEnd
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
    return lambda session: store.finish(session, run_id, 1, outcome, only_queued=True)


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
