"""Slices of sorted lists, found by a key and never by counting: any of them costs what the first costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, literal, literal_column, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.errors import InvalidInput

DEFAULT_SIZE = 20
LARGEST_SIZE = 100

Key = TypeVar("Key")
Other = TypeVar("Other")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Window(Generic[Key]):
    """Which part of a list is wanted, by the rules of Relay's cursor connections.

    `first` items behind `after`, or `last` items ahead of `before`; the first 20 if neither is said.
    Making one raises `InvalidInput` if `first` or `last` is not between 1 and 100, or both are given.
    """

    first: int | None = None
    after: Key | None = None
    last: int | None = None
    before: Key | None = None

    def __post_init__(self) -> None:
        for field, size in (("first", self.first), ("last", self.last)):
            if size is not None and not 1 <= size <= LARGEST_SIZE:
                raise InvalidInput(field, f"{field} must be between 1 and {LARGEST_SIZE}")
        if self.first is not None and self.last is not None:
            raise InvalidInput("last", "last must be left out where first is given")

    def by(self, place: Callable[[Key], Other]) -> "Window[Other]":
        """The same window of a list with keys of another kind."""
        return Window(
            self.first,
            place(self.after) if self.after is not None else None,
            self.last,
            place(self.before) if self.before is not None else None,
        )

    @property
    def is_forward(self) -> bool:
        """Whether items are taken from the start of the window, not from its end."""
        return self.last is None

    @property
    def size(self) -> int:
        """How many items are wanted."""
        return self.last or self.first or DEFAULT_SIZE


@dataclass(frozen=True)
class Slice(Generic[Item]):
    """A part of a list in the list's order, and whether there is more on either side of it."""

    items: tuple[Item, ...]
    has_next: bool
    has_previous: bool
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The columns that a list is sorted by, all in one direction; together they are unique."""

    columns: tuple[InstrumentedAttribute[Any], ...]
    descending: bool = False

    def compare(self, key: Sequence[Any], *, behind: bool, inclusive: bool) -> ColumnElement[bool]:
        """The condition of lying behind, or else ahead of, the place that `key` tells."""
        place = tuple_(*self.columns)
        values = [literal(value, column.type) for value, column in zip(key, self.columns, strict=True)]
        other = tuple_(*values)
        if behind is self.descending:
            return place <= other if inclusive else place < other
        return place >= other if inclusive else place > other

    def clauses(self, *, forward: bool) -> list[ColumnElement[Any]]:
        """What to order by to walk the list forward or backward."""
        ascending = forward is not self.descending
        return [column.asc() if ascending else column.desc() for column in self.columns]


def read_slice(
    session: Session, query: Select[Any], order: Order, window: Window[tuple[Any, ...]]
) -> Slice[Row[Any]]:
    """The rows of `query` that `window` asks for; `query` itself has no order and no limit."""
    wanted = query
    if window.after is not None:
        wanted = wanted.where(order.compare(window.after, behind=True, inclusive=False))
    if window.before is not None:
        wanted = wanted.where(order.compare(window.before, behind=False, inclusive=False))
    forward = window.is_forward
    wanted = wanted.order_by(*order.clauses(forward=forward)).limit(window.size + 1)
    rows = list(session.execute(wanted))
    more = len(rows) > window.size
    rows = rows[: window.size] if forward else rows[: window.size][::-1]

    def exists(key: tuple[Any, ...] | None, *, behind: bool) -> bool:
        """Whether there is a row at `key` or beyond it."""
        if key is None:
            return False
        beyond = query.where(order.compare(key, behind=behind, inclusive=True))
        nearest = beyond.order_by(*order.clauses(forward=behind)).limit(1)
        return session.scalar(nearest.with_only_columns(literal_column("1"))) is not None

    return Slice(
        tuple(rows),
        has_next=(forward and more) or exists(window.before, behind=True),
        has_previous=(not forward and more) or exists(window.after, behind=False),
    )
