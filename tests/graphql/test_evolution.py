"""Changes of the schema that clients of the last release would notice."""

import pytest
from graphql import build_schema

from graphql_schema.evolution import unannounced_changes

RELEASED = """
type Query { kept: String  old: Int @deprecated(reason: "Use kept.")  size: Size  find(a: Int, b: Int): Int }
enum Size { BIG  SMALL  TINY @deprecated(reason: "Use SMALL.") }
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("kept: String  ", ""),
        ("kept: String", "kept: Int"),
        ("BIG  ", ""),
        ("a: Int, ", ""),
        ("a: Int", "a: Int!"),
        ("find(a: Int", "find(c: Int!, a: Int"),
    ],
)
def test_what_breaks_clients_is_found(before: str, after: str) -> None:
    changed = RELEASED.replace(before, after)
    assert changed != RELEASED
    assert len(unannounced_changes(build_schema(RELEASED), build_schema(changed))) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('old: Int @deprecated(reason: "Use kept.")  ', ""),
        ('TINY @deprecated(reason: "Use SMALL.") ', ""),
        ("kept: String", "kept: String! new: Int"),
        ("a: Int", "a: Int, c: Int"),
    ],
)
def test_what_was_announced_or_breaks_nobody_passes(before: str, after: str) -> None:
    changed = RELEASED.replace(before, after)
    assert changed != RELEASED
    assert unannounced_changes(build_schema(RELEASED), build_schema(changed)) == []
