"""Rules of a thread's row that hold whoever changes it: its counters and its place in lists."""

from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.db.models import ScopeRow, ThreadRow

_COUNT: Final = (
    update(ScopeRow)
    .where(ScopeRow.id == bindparam("scope"))
    .values(
        thread_count=ScopeRow.thread_count + bindparam("threads"),
        listed_count=ScopeRow.listed_count + bindparam("listed"),
    )
)


def scope_row(
    session: Session, owner_id: UUID, digest: str, products: tuple[str, ...], agents: tuple[str, ...]
) -> ScopeRow:
    """The owner's scope of this digest, made if it is new."""
    wanted = select(ScopeRow).where(ScopeRow.owner_id == owner_id, ScopeRow.digest == digest)
    row = session.scalars(wanted).one_or_none()
    if row is not None:
        return row
    try:
        with session.begin_nested():
            row = ScopeRow(owner_id=owner_id, digest=digest, products=list(products), agents=list(agents))
            session.add(row)
    except IntegrityError:  # another transaction made it in between
        return session.scalars(wanted).one()
    return row


def add_thread(session: Session, thread: ThreadRow) -> None:
    """Insert a thread and count it."""
    session.add(thread)
    _count(session, thread.scope_id, threads=1)


def move_thread(session: Session, thread: ThreadRow, scope_id: UUID) -> None:
    """Put a thread into another scope of its owner, counters included."""
    if thread.scope_id == scope_id:
        return
    listed = int(thread.is_listed)
    _count(session, thread.scope_id, threads=-1, listed=-listed)
    _count(session, scope_id, threads=1, listed=listed)
    thread.scope_id = scope_id


def relist(session: Session, thread: ThreadRow) -> None:
    """Bring `is_listed` and its counter up to date; call it after any change to what it depends on."""
    listed = bool(thread.title) and thread.message_count > 0 and not thread.is_deleted
    if listed != thread.is_listed:
        thread.is_listed = listed
        _count(session, thread.scope_id, listed=1 if listed else -1)


def _count(session: Session, scope_id: UUID, *, threads: int = 0, listed: int = 0) -> None:
    session.connection().execute(_COUNT, {"scope": scope_id, "threads": threads, "listed": listed})
