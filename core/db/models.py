"""The tables. Rows live inside one transaction: what crosses a layer is a record (see `records`)."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy import (
    text as sql_text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.ids import new_id


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, microseconds kept, on engines with and without time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes: they would be read back as another instant."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the instant back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def now() -> datetime:
    """The current instant in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can name them on every engine."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


_UNINDEXED = sql_text("entry_id IS NULL")


class UserRow(Base):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    username: Mapped[str] = mapped_column(String(128), unique=True)
    email: Mapped[str | None] = mapped_column(String(320), unique=True)
    full_name: Mapped[str | None] = mapped_column(String(255))
    password_hash: Mapped[str] = mapped_column(String(255))
    roles: Mapped[list[str]] = mapped_column(default=list)
    allowed_products: Mapped[list[str]] = mapped_column(default=list)
    allowed_agents: Mapped[list[str]] = mapped_column(default=list)
    is_active: Mapped[bool] = mapped_column(default=True)
    token_version: Mapped[int] = mapped_column(default=0)
    # True for the first user and null for all others: of two racing first ones, the index stops one.
    is_first: Mapped[bool | None] = mapped_column(unique=True)
    # The number of the newest change of any thread of this owner.
    change_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    last_login_at: Mapped[datetime | None]


class ScopeRow(Base):
    """The products and agents that a group of one owner's threads names, with their counters.

    An owner has few scopes, so an allow list is decided per scope and never per thread.
    """

    __tablename__ = "thread_scopes"
    __table_args__ = (UniqueConstraint("owner_id", "digest"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    digest: Mapped[str] = mapped_column(String(64))
    products: Mapped[list[str]]
    agents: Mapped[list[str]]
    thread_count: Mapped[int] = mapped_column(default=0)
    listed_count: Mapped[int] = mapped_column(default=0)


class ThreadRow(Base):
    __tablename__ = "threads"
    __table_args__ = (
        Index("ix_threads_owner_created", "owner_id", "created_at", "id"),
        Index("ix_threads_owner_listed_created", "owner_id", "is_listed", "created_at", "id"),
        Index("ix_threads_owner_change", "owner_id", "change_seq"),
        Index("ix_threads_unindexed", "id", sqlite_where=_UNINDEXED, postgresql_where=_UNINDEXED),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    scope_id: Mapped[UUID] = mapped_column(ForeignKey("thread_scopes.id"))
    title: Mapped[str | None] = mapped_column(String(255))
    summary: Mapped[str | None] = mapped_column(String(1024))
    attributes: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    is_deleted: Mapped[bool] = mapped_column(default=False)
    # Not deleted, titled and not empty: kept so that a list reads an index, not the table.
    is_listed: Mapped[bool] = mapped_column(default=False)
    message_count: Mapped[int] = mapped_column(default=0)
    # The agent asked for a password: the next message of the user must not be stored.
    awaits_secret: Mapped[bool] = mapped_column(default=False)
    # The owner's number of the last change of this thread: `core.db.changes` gives it.
    change_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # Its entry in the search index; null while title and summary are still to be indexed.
    entry_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)
    deleted_at: Mapped[datetime | None]


class MessageRow(Base):
    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("thread_id", "position"),
        Index("ix_messages_unindexed", "id", sqlite_where=_UNINDEXED, postgresql_where=_UNINDEXED),
        Index(
            "uq_messages_idempotency",
            "thread_id",
            "idempotency_key",
            unique=True,
            sqlite_where=sql_text("idempotency_key IS NOT NULL"),
            postgresql_where=sql_text("idempotency_key IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    thread_id: Mapped[UUID] = mapped_column(ForeignKey("threads.id"))
    # Dense from 1 within the thread: any page of a thread is a range of its index.
    position: Mapped[int]
    # The message that this one answers.
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id"))
    sender_id: Mapped[str] = mapped_column(String(255))
    sender_type: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    attributes: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    tokens_count: Mapped[int | None]
    error_code: Mapped[str | None] = mapped_column(String(128))
    correlation_id: Mapped[str | None] = mapped_column(String(255))
    # A repeated send finds what the first one stored; the digest tells it from another request.
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    request_digest: Mapped[str | None] = mapped_column(String(64))
    # Its entry in the search index; null while its text is still to be indexed.
    entry_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


class AttachmentRow(Base):
    __tablename__ = "attachments"
    __table_args__ = (
        Index("ix_attachments_message", "message_id", "id"),
        Index("ix_attachments_thread", "thread_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    thread_id: Mapped[UUID] = mapped_column(ForeignKey("threads.id"))
    # Null while the run that received it is still at work.
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id"))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"), index=True)
    # The name under which the bytes are kept; null when they are behind external_url.
    stored_name: Mapped[str | None] = mapped_column(String(64), unique=True)
    external_url: Mapped[str | None] = mapped_column(Text)
    filename: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(255))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)


class ProviderThreadRow(Base):
    __tablename__ = "provider_threads"
    __table_args__ = (UniqueConstraint("thread_id", "provider"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    thread_id: Mapped[UUID] = mapped_column(ForeignKey("threads.id"))
    provider: Mapped[str] = mapped_column(String(64))
    conversation_id: Mapped[str | None] = mapped_column(String(255))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)


_ACTIVE = sql_text("finished_at IS NULL")


class RunRow(Base):
    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_active", "thread_id", "position", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
        Index("ix_runs_lease", "lease_expires_at", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    thread_id: Mapped[UUID] = mapped_column(ForeignKey("threads.id"))
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    user_message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id"), index=True)
    # That of the user's message: runs of a thread go in this order.
    position: Mapped[int]
    assistant_message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id"))
    status: Mapped[str] = mapped_column(String(16))
    model: Mapped[str] = mapped_column(String(255))
    model_label: Mapped[str | None] = mapped_column(String(255))
    is_secret: Mapped[bool] = mapped_column(default=False)
    # A writer whose epoch is not this one was given up for dead and may not write any more.
    epoch: Mapped[int] = mapped_column(default=1)
    lease_owner: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None]
    last_seq: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    first_token_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RunPartRow(Base):
    """A piece of an unfinished answer, saved by a checkpoint; appended, never rewritten."""

    __tablename__ = "run_parts"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)
