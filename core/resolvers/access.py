"""Finding what belongs to the caller: the one place that decides who may touch a thread."""

import json
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, bindparam, select, true
from sqlalchemy.orm import Session

from core.auth.permissions import Scope, scope_of
from core.db.models import MessageRow, ScopeRow, ThreadRow
from core.db.reading import rows
from core.db.records import User
from core.db.threads import scope_row
from core.errors import InvalidInput, MessageNotFound, ThreadNotFound
from core.plain import DEEPEST_JSON, is_too_deep, storable

# Said so that no index serves it: SQLite would rather read all threads of the owner than twenty by id.
_IS_OWN: Final = (ThreadRow.owner_id == bindparam("caller_id")).is_(true())
_VISIBLE: Final = (_IS_OWN, ThreadRow.is_deleted.is_(False))
IS_ALLOWED: Final = ThreadRow.scope_id.in_(bindparam("caller_scopes", expanding=True))
_OWN: Final = select(ThreadRow).where(
    ThreadRow.id == bindparam("thread_id"), ThreadRow.owner_id == bindparam("caller_id")
)
_OWN_LOCKED: Final = _OWN.with_for_update()
_SCOPES: Final = select(
    ScopeRow.id, ScopeRow.products, ScopeRow.agents, ScopeRow.thread_count, ScopeRow.listed_count
).where(ScopeRow.owner_id == bindparam("caller_id"))


@dataclass(frozen=True, slots=True)
class Visible:
    """What must hold of a `ThreadRow` that the caller may see: one of two sets of conditions, with values."""

    is_restricted: bool
    parameters: dict[str, Any] = field(repr=False)

    @property
    def conditions(self) -> tuple[ColumnElement[bool], ...]:
        """The conditions."""
        return visible_conditions(is_restricted=self.is_restricted)


def own_thread(
    session: Session, user: User, thread_id: UUID, *, deleted_too: bool = False, lock: bool = False
) -> ThreadRow:
    """The caller's thread. Raises `ThreadNotFound`, or `NotAllowed` outside the caller's allow lists."""
    wanted = {"thread_id": thread_id, "caller_id": user.id}
    # The scope is read after the lock: while we waited, the thread may have moved to another.
    thread = session.scalars(_OWN_LOCKED if lock else _OWN, wanted).one_or_none()
    if thread is None or (thread.is_deleted and not deleted_too):
        raise ThreadNotFound
    if user.allowed_products or user.allowed_agents:
        scope_value(session.get_one(ScopeRow, thread.scope_id)).check(user)
    return thread


def own_message(session: Session, user: User, thread_id: UUID, message_id: UUID) -> MessageRow:
    """A message in the caller's thread. Raises as `own_thread`, or `MessageNotFound`."""
    own_thread(session, user, thread_id)
    return message_of(session, thread_id, message_id)


def message_of(session: Session, thread_id: UUID, message_id: UUID) -> MessageRow:
    """A message of a thread that is known to be the caller's. Raises `MessageNotFound`."""
    row = session.scalars(
        select(MessageRow).where(MessageRow.id == message_id, MessageRow.thread_id == thread_id)
    ).one_or_none()
    if row is None:
        raise MessageNotFound
    return row


def scope_value(row: ScopeRow | Row[Any]) -> Scope:
    """The scope in `row`."""
    return Scope(tuple(row.products), tuple(row.agents))


def scope_for(session: Session, user: User, metadata: dict[str, object]) -> ScopeRow:
    """The row of the scope that `metadata` names. Raises `InvalidInput` or `NotAllowed`."""
    scope = scope_of(metadata)
    scope.check(user)
    return scope_row(session, user.id, scope.digest, scope.products, scope.agents)


def visible(session: Session, user: User) -> Visible:
    """What must hold of a `ThreadRow` that the caller may see: `own_thread` for many, by their ids."""
    parameters: dict[str, Any] = {"caller_id": user.id}
    is_restricted = bool(user.allowed_products or user.allowed_agents)
    if is_restricted:
        parameters["caller_scopes"] = [scope.id for scope in allowed_scopes(session, user)]
    return Visible(is_restricted, parameters)


def visible_conditions(*, is_restricted: bool) -> tuple[ColumnElement[bool], ...]:
    """The conditions of `Visible`, for statements that are made once."""
    return (*_VISIBLE, IS_ALLOWED) if is_restricted else _VISIBLE


def allowed(session: Session, user: User) -> list[ColumnElement[bool]]:
    """What must hold of a `ThreadRow` of the caller's by the allow lists; nothing if they are empty."""
    if not (user.allowed_products or user.allowed_agents):
        return []
    return [ThreadRow.scope_id.in_([scope.id for scope in allowed_scopes(session, user)])]


def allowed_scopes(session: Session, user: User) -> list[Row[Any]]:
    """The scopes of the caller's threads that the caller may see, as rows of `ScopeRow`'s columns."""
    found = rows(session, _SCOPES, {"caller_id": user.id})
    return [row for row in found if scope_value(row).allows(user)]


def check_json(field: str, value: dict[str, Any] | None) -> None:
    """Raise `InvalidInput` for what JSON cannot say: NaN, half a surrogate pair, endless depth."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):
        raise InvalidInput(field, f"{field} must be an object of plain JSON values") from None
    if is_too_deep(value):
        raise InvalidInput(field, f"{field} must be nested at most {DEEPEST_JSON} deep")


def check_name(field: str, value: str | None, longest: int) -> None:
    """Raise `InvalidInput` if `value` is too long, or if not every database keeps it as it is."""
    check_length(field, value, longest)
    if value is not None and storable(value) != value:
        raise InvalidInput(field, f"{field} must not hold characters such as NUL")


def check_length(field: str, value: str | None, longest: int) -> None:
    """Raise `InvalidInput` if `value` is longer than `longest` characters."""
    if value is not None and len(value) > longest:
        raise InvalidInput(field, f"{field} must have at most {longest} characters")
