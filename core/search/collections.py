"""Which collection of vectors answers searches, and which is being filled to take its place."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, exists, select, update
from sqlalchemy.orm import Session

from core.db.models import now
from core.db.reading import rows
from core.db.search_models import CollectionRow, EntryRow
from core.search.embedding_prefixes import VectorModel, chosen_prefixes
from core.search.vectors import Collection

_COLUMNS: Final = select(
    CollectionRow.number,
    CollectionRow.name,
    CollectionRow.model,
    CollectionRow.dimension,
    CollectionRow.query_prefix,
    CollectionRow.passage_prefix,
)
_LIVE: Final = _COLUMNS.where(CollectionRow.is_live)


@dataclass(frozen=True, slots=True)
class NumberedCollection:
    """A collection and its number, by which entries know that they are in it."""

    number: int
    collection: Collection

    def can_hold(self, model: VectorModel, dimension: int) -> bool:
        """Whether this model's vectors may be put beside those that are there."""
        held = self.collection
        return held.dimension == dimension and held.model.makes_same_passages_as(model)


def live_collection(session: Session) -> NumberedCollection | None:
    """The collection that answers searches."""
    found = rows(session, _LIVE, {})
    return _numbered(found[0]) if found else None


def newest_collection(session: Session) -> NumberedCollection | None:
    """The collection that was added last."""
    found = session.execute(_COLUMNS.order_by(CollectionRow.number.desc()).limit(1)).one_or_none()
    return _numbered(found) if found is not None else None


def target_collection(session: Session, model: VectorModel, dimension: int) -> NumberedCollection | None:
    """The collection for this model's vectors: the newest, or the one that answers; None if neither is."""
    for found in (newest_collection(session), live_collection(session)):
        if found is not None and found.can_hold(model, dimension):
            return found
    return None


def adopt(session: Session, model: VectorModel) -> None:
    """Take vectors from before prefixes were noted for the model's; and note its query prefix of today."""
    of_model = update(CollectionRow).where(CollectionRow.model == model.name)
    quietly = {"synchronize_session": False}
    session.execute(
        of_model.where(CollectionRow.passage_prefix.is_(None)).values(passage_prefix=model.prefixes.passage),
        execution_options=quietly,
    )
    session.execute(
        of_model.where(CollectionRow.passage_prefix == model.prefixes.passage).values(
            query_prefix=model.prefixes.query
        ),
        execution_options=quietly,
    )


def is_empty(session: Session, number: int) -> bool:
    """Whether no entry is in the collection with this number yet."""
    return not session.scalar(select(exists(select(EntryRow.id).where(EntryRow.embedded_in >= number))))


def add_collection(session: Session, collection: Collection) -> NumberedCollection:
    """Note a collection, which every entry is to be put into; it answers searches if no other does."""
    row = CollectionRow(
        name=collection.name,
        model=collection.model.name,
        query_prefix=collection.model.prefixes.query,
        passage_prefix=collection.model.prefixes.passage,
        dimension=collection.dimension,
        is_live=live_collection(session) is None,
        created_at=now(),
    )
    session.add(row)
    session.flush()
    return NumberedCollection(row.number, collection)


def return_to(session: Session, number: int) -> None:
    """Have all entries in the collection with this number, though some came when a newer one was filled."""
    session.execute(
        update(EntryRow)
        .where(EntryRow.embedded_in > number, EntryRow.embedded_from > number)
        .values(embedded_in=0)
        .execution_options(synchronize_session=False)
    )


def replace_lost(session: Session, lost: NumberedCollection, collection: Collection) -> NumberedCollection:
    """Note a collection in place of one whose vectors are gone, for searches as well."""
    _let_answer(session, lost.number, is_live=False)
    # Added before the other is deleted: its number must be a higher one.
    added = add_collection(session, collection)
    session.execute(delete(CollectionRow).where(CollectionRow.number == lost.number))
    return added


def give_up_lost(session: Session, lost: NumberedCollection) -> None:
    """Forget a collection whose vectors are gone; the newest that there is answers in its place."""
    _let_answer(session, lost.number, is_live=False)
    session.execute(delete(CollectionRow).where(CollectionRow.number == lost.number))
    newest = newest_collection(session)
    if newest is not None and live_collection(session) is None:
        _let_answer(session, newest.number, is_live=True)


def take_over(session: Session, number: int) -> list[Collection] | None:
    """Let the collection with this number answer searches once it is complete; those that it replaces.

    None while entries are missing.
    """
    if session.scalar(select(exists(select(EntryRow.id).where(EntryRow.embedded_in < number)))):
        return None
    older = [_numbered(row) for row in session.execute(_COLUMNS.where(CollectionRow.number < number))]
    session.execute(delete(CollectionRow).where(CollectionRow.number < number))
    _let_answer(session, number, is_live=True)
    return [each.collection for each in older]


def _let_answer(session: Session, number: int, *, is_live: bool) -> None:
    session.execute(
        update(CollectionRow)
        .where(CollectionRow.number == number)
        .values(is_live=is_live)
        .execution_options(synchronize_session=False)
    )


def _numbered(row: Row[*tuple[Any, ...]]) -> NumberedCollection:
    number, name, model, dimension, query, passage = row
    vectors = VectorModel(model, chosen_prefixes(model, query, passage))
    return NumberedCollection(number, Collection(name, vectors, dimension))
