"""Which clock counts where several machines compare instants, as with leases."""

from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from core.db.models import now


def shared_now(session: Session) -> Any:
    """Now: an expression of PostgreSQL's own clock, the one that all machines share; else this machine's."""
    return func.clock_timestamp() if session.connection().dialect.name == "postgresql" else now()
