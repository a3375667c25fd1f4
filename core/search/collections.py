"""Which collection of vectors answers searches, and which is being filled to take its place."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, exists, select, update
from sqlalchemy.orm import Session

from core.db.models import now
from core.db.reading import rows
from core.db.search_models import CollectionRow, EntryRow
from core.search.vectors import Collection

_LIVE: Final = select(
    CollectionRow.number, CollectionRow.name, CollectionRow.model, CollectionRow.dimension
).where(CollectionRow.is_live)


@dataclass(frozen=True, slots=True)
class NumberedCollection:
    """A collection and its number, by which entries know that they are in it."""

    number: int
    collection: Collection


def live_collection(session: Session) -> NumberedCollection | None:
    """The collection that answers searches."""
    found = rows(session, _LIVE, {})
    return _numbered(found[0]) if found else None


def target_collection(session: Session, model: str, dimension: int) -> NumberedCollection | None:
    """The newest collection of this model."""
    row = session.scalars(
        select(CollectionRow)
        .where(CollectionRow.model == model, CollectionRow.dimension == dimension)
        .order_by(CollectionRow.number.desc())
        .limit(1)
    ).one_or_none()
    return _numbered(row) if row is not None else None


def is_empty(session: Session, number: int) -> bool:
    """Whether no entry is in the collection with this number yet."""
    return not session.scalar(select(exists(select(EntryRow.id).where(EntryRow.embedded_in >= number))))


def add_collection(session: Session, collection: Collection) -> NumberedCollection:
    """Note a collection, which every entry is to be put into; it answers searches if no other does."""
    row = CollectionRow(
        name=collection.name,
        model=collection.model,
        dimension=collection.dimension,
        is_live=live_collection(session) is None,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    return _numbered(row)


def replace_lost(session: Session, lost: NumberedCollection, collection: Collection) -> NumberedCollection:
    """Note a collection in place of one whose vectors are gone, for searches as well."""
    session.execute(
        update(CollectionRow)
        .where(CollectionRow.number == lost.number)
        .values(is_live=False)
        .execution_options(synchronize_session=False)
    )
    # Added before the other is deleted: its number must be a higher one.
    added = add_collection(session, collection)
    session.execute(delete(CollectionRow).where(CollectionRow.number == lost.number))
    return added


def take_over(session: Session, number: int) -> list[Collection] | None:
    """Let the collection with this number answer searches once it is complete; those that it replaces.

    None while entries are missing.
    """
    if session.scalar(select(exists(select(EntryRow.id).where(EntryRow.embedded_in < number)))):
        return None
    older = session.scalars(select(CollectionRow).where(CollectionRow.number < number)).all()
    for row in older:
        session.delete(row)
    session.flush()
    session.execute(
        update(CollectionRow)
        .where(CollectionRow.number == number)
        .values(is_live=True)
        .execution_options(synchronize_session=False)
    )
    return [_numbered(row).collection for row in older]


def _numbered(row: CollectionRow | Row[Any]) -> NumberedCollection:
    return NumberedCollection(row.number, Collection(row.name, row.model, row.dimension))
