"""Announcements: topics to be published once a transaction is committed, and only then."""

from sqlalchemy.orm import Session

_KEY = "announcements"


def announce(session: Session, topic: str) -> None:
    """Have `topic` published after the commit of this transaction; the writer does it."""
    session.info.setdefault(_KEY, set()).add(topic)


def announced(session: Session) -> frozenset[str]:
    """What this transaction wants to be published."""
    return frozenset(session.info.get(_KEY, ()))
