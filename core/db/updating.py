"""Saving the changes of single rows at once, by Core, in a fraction of the time that a flush takes."""

from functools import cache
from typing import Any

from sqlalchemy import Update, bindparam, inspect, update
from sqlalchemy.orm import Session

from core.db.models import ThreadRow


def save_thread(session: Session, thread: ThreadRow) -> None:
    """Update what was changed of `thread`, loaded by this session, which forgets it: change it no more."""
    unmodified = inspect(thread).unmodified
    changed = frozenset(thread.__mapper__.column_attrs.keys()) - unmodified
    values: dict[str, Any] = {f"new_{name}": getattr(thread, name) for name in changed}
    session.expunge(thread)
    if changed:
        session.connection().execute(_update(changed), {"of_thread": thread.id, **values})


@cache
def _update(changed: frozenset[str]) -> Update:
    new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in sorted(changed)}
    return update(ThreadRow).where(ThreadRow.id == bindparam("of_thread")).values(new)
