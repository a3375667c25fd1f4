"""The trigram index: which entries have a text that a pattern could match, without reading the texts.

SQLite: a contentless FTS5 table. PostgreSQL: a table of folded texts under `pg_trgm`. Both are asked
for a superset: whoever asks looks at the texts. `text_rebuild` makes it anew.
"""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import TextClause, select, text
from sqlalchemy.orm import Session

from core.db.search_models import TextRebuildRow
from core.search.literals import AllOf, AnyOf, Condition, Literal

_GRAM = 3
# A literal of many trigrams is nearly as selective with some of them, and each costs a walk along all the
# texts that have it, whoever's they are.
_MOST_GRAMS = 4

_ADD = text("INSERT INTO search_trigrams (rowid, text) VALUES (:id, :text)")
_ADD_TO_NEW = text("INSERT INTO search_trigrams_new (rowid, text) VALUES (:id, :text)")
_REMOVE = text("DELETE FROM search_trigrams WHERE rowid = :id")


def add_texts(session: Session, texts: Sequence[tuple[int, str]]) -> None:
    """Index folded texts by the ids of their entries, ascending: FTS5 writes one segment then."""
    if not texts:
        return
    session.connection().execute(_ADD, [{"id": id_, "text": folded} for id_, folded in texts])
    after = rebuilt_until(session) if is_sqlite(session) else None
    # What is above is still to be reached, and put into the new one, by who makes it.
    passed = [{"id": id_, "text": folded} for id_, folded in texts if after is not None and id_ <= after]
    if passed:
        session.connection().execute(_ADD_TO_NEW, passed)


def rebuilt_until(session: Session) -> int | None:
    """The entry up to which a new index has come; None while none is being made."""
    return session.scalar(select(TextRebuildRow.after))


def remove_texts(session: Session, ids: Sequence[int]) -> None:
    """Forget entries that are gone. SQLite keeps their trigrams, which lead nowhere, until a rebuild."""
    if ids and not is_sqlite(session):
        session.connection().execute(_REMOVE, [{"id": id_} for id_ in ids])


def candidates(session: Session, ids: tuple[int, int], condition: Condition, most: int) -> list[int]:
    """The highest `most` entries, descending, in the range `ids` (both ends included) that may match."""
    values: dict[str, object] = {"low": ids[0], "high": ids[1], "most": most}
    if is_sqlite(session):
        statement = _candidates("search_trigrams MATCH :condition")
        values["condition"] = _fts5(condition)
    else:
        statement = _candidates(_like(condition, values))
    return list(session.connection().execute(statement, values).scalars())


@lru_cache(16)
def _candidates(where: str) -> TextClause:
    return text(
        f"SELECT rowid FROM search_trigrams WHERE {where} "  # noqa: S608 - all that varies is bound
        "AND rowid BETWEEN :low AND :high ORDER BY rowid DESC LIMIT :most"
    )


def is_sqlite(session: Session) -> bool:
    """Whether the index is a table of FTS5."""
    return session.get_bind().dialect.name == "sqlite"


def _fts5(condition: Condition) -> str:
    match condition:
        case Literal(literal):
            return " AND ".join('"{}"'.format(gram.replace('"', '""')) for gram in _grams(literal))
        case AllOf(parts):
            return " AND ".join(f"({_fts5(part)})" for part in parts)
        case AnyOf(parts):
            return " OR ".join(f"({_fts5(part)})" for part in parts)


def _grams(literal: str) -> list[str]:
    """Some of the trigrams of a literal, spread over it; the first and the last among them."""
    count = len(literal) - _GRAM + 1
    chosen = min(count, _MOST_GRAMS)
    places = {round(index * (count - 1) / max(chosen - 1, 1)) for index in range(chosen)}
    return [literal[place : place + _GRAM] for place in sorted(places)]


def _like(condition: Condition, values: dict[str, object]) -> str:
    """The condition in SQL, whose literals are added to `values`."""
    match condition:
        case Literal(literal):
            name = f"literal_{len(values)}"
            escaped = literal.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
            values[name] = f"%{escaped}%"
            return f"text LIKE :{name}"
        case AllOf(parts):
            return "(" + " AND ".join(_like(part, values) for part in parts) + ")"
        case AnyOf(parts):
            return "(" + " OR ".join(_like(part, values) for part in parts) + ")"
