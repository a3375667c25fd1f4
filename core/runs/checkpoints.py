"""Checkpoints: what is saved of answers that are being written, those of a whole process in one go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Connection,
    Integer,
    Text,
    Update,
    Uuid,
    bindparam,
    case,
    column,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from core.db.models import RunPartRow, RunRow, UtcDateTime, now
from core.db.records import RunStatus
from core.runs.store import LEASE


@dataclass(frozen=True, slots=True)
class Progress:
    """What a checkpoint saves of one run."""

    run_id: UUID
    epoch: int
    pieces: int
    text: str
    last_seq: int
    first_token_at: datetime | None


def _saved(epoch: Any, seq: Any, first_token: Any, lease: Any) -> Update:
    """What a checkpoint sets in the rows of runs that are their writer's still."""
    return (
        update(RunRow)
        .where(RunRow.epoch == epoch, RunRow.finished_at.is_(None))
        .values(
            lease_expires_at=lease,
            last_seq=seq,
            status=case((first_token.is_(None), RunRow.status), else_=RunStatus.STREAMING),
            first_token_at=func.coalesce(first_token, RunRow.first_token_at),
        )
    )


_SAVE: Final = _saved(
    bindparam("of_epoch"),
    bindparam("seq"),
    bindparam("first_token", type_=UtcDateTime()),
    bindparam("lease", type_=UtcDateTime()),
).where(RunRow.id == bindparam("of_run"))
# PostgreSQL takes many rows in one statement, and far faster than one after the other.
_GIVEN: Final = (
    func.unnest(
        bindparam("of_runs", type_=ARRAY(Uuid)),
        bindparam("of_epochs", type_=ARRAY(Integer)),
        bindparam("seqs", type_=ARRAY(Integer)),
        bindparam("first_tokens", type_=ARRAY(UtcDateTime)),
    )
    .table_valued(
        column("run_id", Uuid),
        column("epoch", Integer),
        column("seq", Integer),
        column("first_token", UtcDateTime),
    )
    .render_derived("given")
)
_SAVE_ALL: Final = (
    _saved(_GIVEN.c.epoch, _GIVEN.c.seq, _GIVEN.c.first_token, func.clock_timestamp() + LEASE)
    .where(RunRow.id == _GIVEN.c.run_id)
    .returning(RunRow.id)
)
_PARTS: Final = (
    func.unnest(
        bindparam("of_runs", type_=ARRAY(Uuid)),
        bindparam("seqs", type_=ARRAY(Integer)),
        bindparam("texts", type_=ARRAY(Text)),
    )
    .table_valued(column("run_id", Uuid), column("seq", Integer), column("text", Text))
    .render_derived("given")
)
_ADD_PARTS: Final = insert(RunPartRow).from_select(["run_id", "seq", "text"], select(_PARTS))
_EPOCHS: Final = select(RunRow.id, RunRow.epoch).where(
    RunRow.id.in_(bindparam("runs", expanding=True)), RunRow.finished_at.is_(None)
)


def checkpoint(session: Session, progress: Sequence[Progress]) -> set[UUID]:
    """Save new text and renew the leases; the runs that are no longer this writer's."""
    connection = session.connection()
    ours = _save(connection, progress)
    parts = [item for item in progress if item.text and item.run_id in ours]
    if parts and connection.dialect.name == "postgresql":
        columns: dict[str, Any] = {
            "of_runs": [item.run_id for item in parts],
            "seqs": [item.pieces for item in parts],
            "texts": [item.text for item in parts],
        }
        connection.execute(_ADD_PARTS, columns)
    elif parts:
        rows = [{"run_id": item.run_id, "seq": item.pieces, "text": item.text} for item in parts]
        connection.execute(insert(RunPartRow), rows)
    return {item.run_id for item in progress} - ours


def _save(connection: Connection, progress: Sequence[Progress]) -> set[UUID]:
    """Those whose rows were this writer's, and so are until the transaction ends."""
    if connection.dialect.name == "postgresql":
        columns: dict[str, Any] = {
            "of_runs": [item.run_id for item in progress],
            "of_epochs": [item.epoch for item in progress],
            "seqs": [item.last_seq for item in progress],
            "first_tokens": [item.first_token_at for item in progress],
        }
        return set(connection.scalars(_SAVE_ALL, columns))
    lease = now() + LEASE
    rows = [
        {
            "of_run": item.run_id,
            "of_epoch": item.epoch,
            "lease": lease,
            "seq": item.last_seq,
            "first_token": item.first_token_at,
        }
        for item in progress
    ]
    connection.execute(_SAVE, rows)
    found = connection.execute(_EPOCHS, {"runs": [item.run_id for item in progress]})
    epochs = {row.id: row.epoch for row in found}
    return {item.run_id for item in progress if epochs.get(item.run_id) == item.epoch}
