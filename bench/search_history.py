"""A database full of histories, written as a bulk import would write it; the server indexes it by itself."""

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, create_engine, insert

from bench.search_texts import ThreadTexts, threads
from core.auth.tokens import Tokens
from core.db.migrate import migrate
from core.db.models import MessageRow, ScopeRow, ThreadRow, UserRow
from core.db.records import MessageStatus, SenderType, User
from core.ids import new_id
from core.settings import Settings

_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_SENDERS: Final = (SenderType.USER.value, SenderType.ASSISTANT.value)
_ids = random.Random(3)  # noqa: S311 - not a secret


class Owner:
    """One of those whose history is searched."""

    def __init__(self, number: int, messages: int) -> None:
        self.number = number
        self.messages = messages
        self.id = UUID(int=_ids.getrandbits(128), version=4)

    @property
    def user(self) -> User:
        """As a token names it."""
        name = f"owner{self.number}"
        return User(self.id, name, None, None, (), (), (), True, 0, _START, _START, _START)

    def token(self, settings: Settings) -> str:
        """An access token."""
        return Tokens(settings).issue(self.user).access_token

    def threads(self) -> Iterator[ThreadTexts]:
        """What the owner has written, the same in every run."""
        return threads(self.number, self.messages)


def owners(count: int, messages: int, largest: int) -> list[Owner]:
    """Owners with so many messages together; the first alone has `largest`."""
    _ids.seed(3)
    share = (messages - largest) // (count - 1)
    return [Owner(number, largest if number == 0 else share) for number in range(count)]


def write_history(file: Path, everyone: list[Owner]) -> None:
    """Make the database."""
    url = f"sqlite:///{file}"
    migrate(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA synchronous = OFF")
        for owner in everyone:
            _write(connection, owner)
    engine.dispose()


def _write(connection: Connection, owner: Owner) -> None:
    scope_id = new_id()
    connection.execute(
        insert(UserRow).values(
            id=owner.id,
            username=owner.user.username,
            password_hash="-",  # noqa: S106 - nobody signs in
            is_first=owner.number == 0 or None,
        )
    )
    digest = hashlib.sha256(b"").hexdigest()
    connection.execute(
        insert(ScopeRow).values(id=scope_id, owner_id=owner.id, digest=digest, products=[], agents=[])
    )
    rows: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for number, thread in enumerate(owner.threads()):
        thread_id, written = new_id(), _START + timedelta(hours=number)
        rows.append(
            {
                "id": thread_id,
                "owner_id": owner.id,
                "scope_id": scope_id,
                "title": " ".join(thread.topic[:4])[:255] or None,
                "is_listed": True,
                "message_count": len(thread.texts),
                "created_at": written,
                "updated_at": written,
            }
        )
        messages += [
            {
                "id": new_id(),
                "thread_id": thread_id,
                "position": position,
                "sender_id": owner.user.username if position % 2 else "assistant",
                "sender_type": _SENDERS[(position + 1) % 2],
                "status": MessageStatus.READY.value,
                "text": text,
                "created_at": written + timedelta(minutes=position),
                "updated_at": written,
            }
            for position, text in enumerate(thread.texts, 1)
        ]
    connection.execute(insert(ThreadRow), rows)
    connection.execute(insert(MessageRow), messages)
