"""The tables of the search index. They are derived: whatever they hold can be made again from the rows."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from core.db.models import Base

# SQLite numbers rows by itself for this type only.
_Serial = BigInteger().with_variant(Integer, "sqlite")

# The `entry_id` of a row that has no text.
NOTHING = 0
_SEQUENCE_BITS = 32

_LONG = text("is_long")


def entry_range(number: int) -> tuple[int, int]:
    """The lowest and the highest id that an entry of the owner with this number can have."""
    return number << _SEQUENCE_BITS, (number + 1 << _SEQUENCE_BITS) - 1


class SearchOwnerRow(Base):
    """Numbers an owner, so that the ids of one owner's entries are one range of every index."""

    __tablename__ = "search_owners"

    number: Mapped[int] = mapped_column(_Serial, primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), unique=True)
    last_id: Mapped[int] = mapped_column(BigInteger)


class EntryRow(Base):
    """A text that can be found: that of a message, or the title and summary of a thread.

    It never changes: another text gets another entry, with a higher id of its owner's range.
    """

    __tablename__ = "search_entries"
    __table_args__ = (
        Index("ix_search_entries_to_embed", "embedded_in", "created_at"),
        Index("ix_search_entries_long", "id", sqlite_where=_LONG, postgresql_where=_LONG),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    thread_id: Mapped[UUID] = mapped_column(ForeignKey("threads.id"), index=True)
    # Null for a thread's title and summary.
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("messages.id"))
    # That of the message; 0 for a thread's title and summary.
    position: Mapped[int]
    sender_type: Mapped[str | None] = mapped_column(String(16))
    # Of the message or thread, in microseconds since 1970: it is compared, never shown.
    created_at: Mapped[int] = mapped_column(BigInteger)
    # Too long for the trigram index: looked through by every search.
    is_long: Mapped[bool] = mapped_column(default=False)
    # The newest collection of vectors that has this entry, 0 for none; and below, its vectors there.
    embedded_in: Mapped[int] = mapped_column(default=0)
    # The oldest collection that has it: one of before, if that is to answer again, lacks it.
    embedded_from: Mapped[int] = mapped_column(default=0, server_default="0")
    pieces: Mapped[int] = mapped_column(default=0)


class DiscardedEntryRow(Base):
    """An entry that is gone, whose trigrams and vectors are still to be removed."""

    __tablename__ = "search_discarded"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    pieces: Mapped[int]


class CollectionRow(Base):
    """A collection of vectors; its number only grows, and entries know the newest that has them."""

    __tablename__ = "search_collections"
    __table_args__ = (
        Index(
            "uq_search_collections_live",
            "is_live",
            unique=True,
            sqlite_where=text("is_live"),
            postgresql_where=text("is_live"),
        ),
    )

    number: Mapped[int] = mapped_column(_Serial, primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    model: Mapped[str] = mapped_column(String(255))
    # What was put before the texts; null in rows of a release that did not note it.
    query_prefix: Mapped[str | None] = mapped_column(Text)
    passage_prefix: Mapped[str | None] = mapped_column(Text)
    dimension: Mapped[int]
    # One at most answers searches; a newer one is being filled to take its place.
    is_live: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class TextRebuildRow(Base):
    """The one row that is there while the trigram index is made anew, beside the one that answers."""

    __tablename__ = "search_text_rebuild"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    # The entry up to which the new one has come.
    after: Mapped[int] = mapped_column(BigInteger)
