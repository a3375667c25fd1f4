"""Inserting single rows at once, by Core, in a fraction of the time that a flush of the session takes."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement, Insert, insert
from sqlalchemy.orm import Session

from core.db.models import Base


class _Column(NamedTuple):
    attribute: str
    name: str
    default: Callable[[], Any] | None


def insert_now(session: Session, row: Base) -> None:
    """Insert a new row, defaults included. The session never knows it: later changes of it are not saved."""
    statement, columns = _table(type(row))
    values: dict[str, Any] = {}
    expressions: dict[str, Any] = {}
    for attribute, name, default in columns:
        value = getattr(row, attribute)
        if value is None and default is not None:
            value = default()
            setattr(row, attribute, value)
        (expressions if isinstance(value, ClauseElement) else values)[name] = value
    if expressions:
        statement = statement.values(expressions)
    session.connection().execute(statement, values)


@cache
def _table(kind: type[Base]) -> tuple[Insert, list[_Column]]:
    columns = []
    for attribute in kind.__mapper__.column_attrs:
        column = attribute.columns[0]
        columns.append(_Column(attribute.key, column.name, _default(column.default)))
    return insert(kind.metadata.tables[kind.__tablename__]), columns


def _default(default: Any) -> Callable[[], Any] | None:
    if default is None:
        return None
    argument = default.arg
    # SQLAlchemy wraps callables, so that they take a context; ours want none.
    return (lambda: argument(None)) if default.is_callable else (lambda: argument)
