"""Copying all rows of one database to another, of the same or the other engine, and comparing them."""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError

from core.db.engines import database_url, reader_engine, sqlite_file, writer_engine
from core.db.migrate import found_revision, head_revision, migrate
from core.db.models import Base, MessageRow, RunRow, ThreadRow, UserRow
from core.db.search_models import EntryRow
from core.db.sole import serving
from core.errors import SettingsError
from core.plain import storable

BATCH = 500
# Made anew from the rows by the server that is started on the target, like every row's `entry_id`.
DERIVED = "search_"

_CHECKSUM_BYTES = 16


@dataclass(frozen=True, slots=True)
class Progress:
    """Rows read so far, of how many: each once to be copied, and once on each side to be compared."""

    done: int
    total: int


def transfer(source: str, target: str, told: Callable[[Progress], None]) -> int:
    """Copy every row from `source` to `target`, both database URLs, and return how many there are.

    Each batch is a transaction, and a row that is there already is left alone: so a transfer that was
    stopped goes on where it is begun again. In the end both sides are read, and must agree. No server
    may be at work on either meanwhile. The search index is not copied; it is made anew on the target.
    Raises `SettingsError`, the option `--from` or `--to` named in it.
    """
    with _named("--from"):
        origin_url = database_url(source)
    with _named("--to"):
        destination_url = database_url(target)
    if origin_url == destination_url:
        raise SettingsError("--to: this is the database that --from names")
    with ExitStack() as stack:
        origin = stack.enter_context(_source(source))
        destination = stack.enter_context(_target(target))
        return _Transfer(origin, destination, told).run()


@contextmanager
def _source(url: str) -> Iterator[Engine]:
    file = sqlite_file(database_url(url))
    if file is not None and not file.is_file():
        raise SettingsError(f"--from: there is no file {file}")
    with _named("--from"), ExitStack() as stack:
        found, wanted = found_revision(url), head_revision()
        if found != wanted:
            raise SettingsError(
                f"--from: the database is at revision {found or 'none'}, this version needs {wanted}; "
                "run `gwp-chat migrate` on it first"
            )
        stack.enter_context(serving(url, is_one_of_many=False))
        engine = reader_engine(database_url(url), pool_size=1, is_patient=True)
        stack.callback(engine.dispose)
        yield engine


@contextmanager
def _target(url: str) -> Iterator[Engine]:
    with _named("--to"), ExitStack() as stack:
        if found_revision(url) not in (None, head_revision()):
            raise SettingsError("--to: the database is one of another version of gwp-chat; name an empty one")
        stack.enter_context(serving(url, is_one_of_many=False))
        migrate(url)
        engine = writer_engine(database_url(url), is_patient=True)
        stack.callback(engine.dispose)
        yield engine


@contextmanager
def _named(option: str) -> Iterator[None]:
    """Have what is wrong with a database name the option that it was given by."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(str(error).replace("CHAT_DATABASE_URL", option, 1)) from error


class _Transfer:
    def __init__(self, source: Engine, target: Engine, told: Callable[[Progress], None]) -> None:
        self._source = source
        self._target = target
        self._told = told
        self._done = 0
        self._total = 0

    def run(self) -> int:
        """Copy and compare all tables, those that others refer to first; the number of rows."""
        tables = [table for table in Base.metadata.sorted_tables if not table.name.startswith(DERIVED)]
        try:
            rows = sum(_count(self._source, table) for table in tables)
            self._refuse_others()
            self._total = 3 * rows
            for table in tables:
                self._copy(table)
            for table in tables:
                self._compare(table)
        except DBAPIError as error:
            reason = " ".join(str(error.orig).split())
            raise SettingsError(
                f"the databases could not be read or written: {reason}; begin again to go on from here"
            ) from error
        return rows

    def _refuse_others(self) -> None:
        """Raise `SettingsError`, before anything is written, if the target is in use by now."""
        with self._source.connect() as source, self._target.connect() as target:
            for what, table in (("accounts", UserRow), ("threads", ThreadRow)):
                ids = select(table.id)
                if set(target.scalars(ids)) - set(source.scalars(ids)):
                    raise SettingsError(f"--to: the database has {what} of its own; name an empty one")
            counts = [select(func.count()).select_from(table) for table in (MessageRow, RunRow)]
            has_more = any((target.scalar(count) or 0) > (source.scalar(count) or 0) for count in counts)
            if has_more or target.scalar(select(EntryRow.id).limit(1)) is not None:
                raise SettingsError(
                    "--to: a server has worked on this database already, which is not copied to any more; "
                    "name an empty one"
                )

    def _copy(self, table: Table) -> None:
        insert = postgresql.insert if self._target.dialect.name == "postgresql" else sqlite.insert
        statement = insert(table).on_conflict_do_nothing()
        with self._source.connect() as source, closing(self._batches(source, table)) as batches:
            for rows in batches:
                try:
                    with self._target.begin() as target:
                        target.execute(statement, [_without_entry(row) for row in rows])
                except DataError as error:
                    refusal = _refusal(table, rows)
                    if refusal is None:
                        raise
                    raise SettingsError(refusal) from error

    def _compare(self, table: Table) -> None:
        found = []
        for engine in (self._source, self._target):
            with engine.connect() as connection:
                found.append(_checksum(self._batches(connection, table)))
        if found[0] != found[1]:
            raise SettingsError(
                f"--to: the rows of {table.name} differ from those of --from; empty that database and "
                "begin again"
            )

    def _batches(self, connection: Connection, table: Table) -> Generator[Sequence[dict[str, Any]]]:
        statement = select(table).order_by(*_order(table))
        with connection.execution_options(yield_per=BATCH).execute(statement) as result:
            for rows in result.mappings().partitions():
                yield [dict(row) for row in rows]
                self._done += len(rows)
                self._told(Progress(self._done, self._total))


def _order(table: Table) -> Sequence[Any]:
    """Messages after those that they answer, the others by their keys."""
    if table.name == MessageRow.__tablename__:
        return (MessageRow.thread_id, MessageRow.position)
    return tuple(table.primary_key)


def _count(engine: Engine, table: Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def _without_entry(row: dict[str, Any]) -> dict[str, Any]:
    """The row as the target's index must find it: not indexed yet."""
    return row | {"entry_id": None} if "entry_id" in row else row


def _refusal(table: Table, rows: Sequence[dict[str, Any]]) -> str | None:
    """Which row has what PostgreSQL does not take, in words for who will change it."""
    for row in rows:
        for column, value in row.items():
            if isinstance(value, str) and storable(value) != value:
                key = ", ".join(f"{each.name} {row[each.name]}" for each in table.primary_key)
                return (
                    f"--from: {table.name}, {key}: {column} holds NUL, which PostgreSQL does not store; "
                    "replace it there and begin again"
                )
    return None


def _checksum(batches: Iterator[Sequence[dict[str, Any]]]) -> tuple[int, int]:
    """The number of rows and a checksum of what they hold, in whatever order the engine gives them."""
    number = total = 0
    for rows in batches:
        for row in rows:
            # Not msgspec: it refuses half a surrogate pair, which JSON columns of both engines may have.
            content = json.dumps(_without_entry(row), default=str, sort_keys=True)
            total += int.from_bytes(blake2b(content.encode(), digest_size=_CHECKSUM_BYTES).digest())
        number += len(rows)
    return number, total % 2 ** (8 * _CHECKSUM_BYTES)
