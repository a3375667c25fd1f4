"""What is exported, and what comes out: the values that the renderers take and give."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class ExportFormat(StrEnum):
    """The kinds of file that a chat can become."""

    MARKDOWN = "markdown"
    PDF = "pdf"
    DOCX = "docx"


@dataclass(frozen=True, slots=True)
class Entry:
    """One message: who, when, the Markdown they wrote, what was attached, and what went wrong."""

    sender_type: str
    created_at: datetime
    text: str
    attachments: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """A whole chat, oldest message first."""

    title: str
    created_at: datetime
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A finished file; `filename` is safe on every common file system and has its extension."""

    content: bytes
    media_type: str
    filename: str


SENDERS = {"user": "User", "assistant": "Assistant", "system": "System"}


def sender_name(sender_type: str) -> str:
    """The word that stands above a message."""
    return SENDERS.get(sender_type, "Other")


def as_utc(moment: datetime) -> datetime:
    """The moment in UTC; one without a zone is taken to be UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def utc_stamp(moment: datetime) -> str:
    """`2026-01-31 09:05:00 UTC`."""
    return f"{as_utc(moment):%Y-%m-%d %H:%M:%S} UTC"


def message_count(transcript: Transcript) -> str:
    """`1 message`, `12 messages`."""
    count = len(transcript.entries)
    return f"{count:,} message" + ("" if count == 1 else "s")
