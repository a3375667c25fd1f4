"""Rows as values: frozen, detached from any session, safe to hand to every layer."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar
from uuid import UUID


class SenderType(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class MessageStatus(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    READY = "ready"
    ERROR = "error"


class RunStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    STREAMING = "streaming"
    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether a run with this status will never change again."""
        return self in _FINAL


_FINAL = frozenset({RunStatus.COMPLETED, RunStatus.INTERRUPTED, RunStatus.FAILED, RunStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class User:
    """An account. An empty allow list allows everything; a filled one only what it lists."""

    id: UUID
    username: str
    email: str | None
    full_name: str | None
    roles: tuple[str, ...]
    allowed_products: tuple[str, ...]
    allowed_agents: tuple[str, ...]
    is_active: bool
    token_version: int
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None

    @property
    def is_admin(self) -> bool:
        """Whether the account may manage accounts."""
        return "admin" in self.roles


@dataclass(frozen=True, slots=True)
class Thread:
    id: UUID
    owner_id: UUID
    title: str | None
    summary: str | None
    metadata: dict[str, Any]
    is_deleted: bool
    message_count: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    awaits_secret: bool
    """Whether the next message is a secret: given to the provider, and kept by nobody."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a message: its bytes are ours under `stored_name`, or elsewhere at `external_url`."""

    id: UUID
    message_id: UUID | None
    stored_name: str | None
    external_url: str | None
    filename: str
    content_type: str
    size_bytes: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    id: UUID
    thread_id: UUID
    position: int
    parent_id: UUID | None
    sender_id: str
    sender_type: SenderType
    status: MessageStatus
    text: str
    metadata: dict[str, Any]
    tokens_count: int | None
    error_code: str | None
    correlation_id: str | None
    created_at: datetime
    updated_at: datetime
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderThread:
    id: UUID
    thread_id: UUID
    provider: str
    conversation_id: str | None
    payload: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One answer being written, or written."""

    id: UUID
    thread_id: UUID
    owner_id: UUID
    user_message_id: UUID
    assistant_message_id: UUID | None
    status: RunStatus
    model: str
    model_label: str | None
    is_secret: bool
    epoch: int
    lease_owner: UUID | None
    last_seq: int
    error_code: str | None
    error: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    created_at: datetime
    started_at: datetime | None
    first_token_at: datetime | None
    finished_at: datetime | None


Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a longer list; `total` counts the whole list."""

    items: tuple[Item, ...]
    total: int
    page: int
    limit: int

    @property
    def has_more(self) -> bool:
        """Whether a later page holds items."""
        return self.page * self.limit < self.total
