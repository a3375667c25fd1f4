"""Which threads a search may look at: the caller's own, undeleted, within the allow lists, as filtered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import Session

from core.db.models import ThreadRow
from core.db.reading import rows
from core.db.records import SenderType, User
from core.resolvers.access import allowed, allowed_scopes, visible
from core.search.collections import NumberedCollection, live_collection
from core.search.scope import SearchScope, owner_numbers
from core.search.visibility import EntryFilter

_DELETED: Final = select(ThreadRow.id).where(
    ThreadRow.owner_id == bindparam("owner_id"), ThreadRow.is_deleted.is_(True)
)


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """What a hit must be; what is left out may be anything. `until` is excluded."""

    thread_id: UUID | None = None
    models: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    sender: SenderType | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def names_threads(self) -> bool:
        """Whether only some threads are wanted."""
        return bool(self.thread_id or self.models or self.products or self.agents)

    @property
    def of_entries(self) -> EntryFilter:
        """The part that is about single messages."""
        return EntryFilter(self.sender, self.since, self.until)


@dataclass(frozen=True, slots=True)
class Searchable:
    """What the caller may find, and the vectors for it.

    `threads` are the only ones that count, or, if `are_hidden`, the ones that do not: it names fewer.
    """

    scope: SearchScope
    collection: NumberedCollection | None
    threads: tuple[UUID, ...]
    are_hidden: bool


def searchable(session: Session, user: User, wanted: SearchFilter) -> Searchable | None:
    """What the caller may find; None while nothing of theirs is indexed."""
    numbers = owner_numbers(session, user.id)
    if numbers is None:
        return None
    of_threads = _conditions(session, user, wanted)
    own = visible(session, user)
    filters = (*of_threads, *wanted.of_entries.conditions())
    scope = SearchScope(*numbers, (*own.conditions, *filters), own.parameters)
    if wanted.names_threads:
        threads = _threads(
            session, user, [ThreadRow.is_deleted.is_(False), *allowed(session, user), *of_threads]
        )
    else:
        threads = [row[0] for row in rows(session, _DELETED, {"owner_id": user.id})]
        for condition in allowed(session, user):
            threads += _threads(session, user, [~condition])
    return Searchable(scope, live_collection(session), tuple(threads), are_hidden=not wanted.names_threads)


def _threads(session: Session, user: User, conditions: list[ColumnElement[bool]]) -> list[UUID]:
    return list(session.scalars(select(ThreadRow.id).where(ThreadRow.owner_id == user.id, *conditions)))


def _conditions(session: Session, user: User, wanted: SearchFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.thread_id is not None:
        found.append(ThreadRow.id == wanted.thread_id)
    if wanted.models:
        found.append(ThreadRow.attributes["model"].as_string().in_(wanted.models))
    if wanted.products or wanted.agents:
        scopes = [
            scope.id
            for scope in allowed_scopes(session, user)
            if (not wanted.products or set(scope.products) & set(wanted.products))
            and (not wanted.agents or set(scope.agents) & set(wanted.agents))
        ]
        found.append(ThreadRow.scope_id.in_(scopes))
    return found
