"""Comparing a database to the models: all but the tables that only one engine has."""

from typing import Any

import core.db.search_models  # noqa: F401 - its tables are among the models, whichever test comes first


def _is_described(name: str | None, type_: str, _parents: Any) -> bool:
    return type_ != "table" or not (name or "").startswith("search_trigrams")


# The trigram index is a virtual table on SQLite, and another on PostgreSQL.
COMPARED = {"compare_type": True, "include_name": _is_described}
