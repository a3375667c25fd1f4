"""What a change of a text owes to the search index."""

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from core.db.models import MessageRow, ThreadRow
from core.db.search_models import DiscardedEntryRow, EntryRow


def text_changed(session: Session, row: MessageRow | ThreadRow) -> None:
    """Have the text of `row`, locked by this transaction, indexed anew; what it was is not found any more."""
    if row.entry_id:
        wanted = EntryRow.id == row.entry_id
        gone = select(EntryRow.id, EntryRow.pieces).where(wanted)
        session.execute(insert(DiscardedEntryRow).from_select(["id", "pieces"], gone))
        session.execute(delete(EntryRow).where(wanted))
    row.entry_id = None
