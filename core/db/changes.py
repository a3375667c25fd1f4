"""The change feed: each change of a thread gets the next number of its owner's."""

from typing import Final

from sqlalchemy import bindparam, inspect, update
from sqlalchemy.orm import Session

from core.db.announcements import announce
from core.db.models import ThreadRow, UserRow
from core.db.updating import save_thread
from core.signals import texts_topic, threads_topic

_KEY = "touched"
_NEXT: Final = (
    update(UserRow)
    .where(UserRow.id == bindparam("owner"))
    .values(change_seq=UserRow.change_seq + 1)
    .returning(UserRow.change_seq)
)


def touch(session: Session, thread: ThreadRow) -> None:
    """Have `thread`, new or locked by this transaction, told to those who follow its owner's threads.

    `number_changes`, at the end of the transaction, gives it the owner's next change number.
    """
    session.info.setdefault(_KEY, {})[thread.id] = thread


def number_changes(session: Session) -> None:
    """Number the threads that this transaction has touched, and save them; nothing may be locked after it.

    The owner's row is locked from here to the commit: so numbers become visible in their order, and
    what else is locked comes before it in every transaction.
    """
    touched: dict[object, ThreadRow] = session.info.get(_KEY, {})
    for thread in sorted(touched.values(), key=lambda thread: thread.owner_id):
        number = session.connection().execute(_NEXT, {"owner": thread.owner_id}).scalar()
        thread.change_seq = number or 0
        if inspect(thread).persistent:
            save_thread(session, thread)
        announce(session, threads_topic(thread.owner_id))
        announce(session, texts_topic())
