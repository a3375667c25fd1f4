"""What clients of the last release would notice of a change of the schema.

`python -m graphql_schema.evolution RELEASED` compares the schema with that of the last release, prints every
breaking and dangerous change, and fails on a breaking one. Only what was deprecated in a release may be
removed in the next.
"""

import re
import sys
from pathlib import Path

from graphql import (
    BreakingChange,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    find_dangerous_changes,
)

_MEMBER = re.compile(r"(?:Field|Enum value) (\w+)\.(\w+) was removed\.")


def unannounced_changes(released: GraphQLSchema, current: GraphQLSchema) -> list[BreakingChange]:
    """The breaking changes, but for removals of what `released` has deprecated."""
    return [
        change
        for change in find_breaking_changes(released, current)
        if not _was_deprecated(released, change.description)
    ]


def _was_deprecated(released: GraphQLSchema, description: str) -> bool:
    found = _MEMBER.fullmatch(description)
    if found is None:
        return False
    type_, member = released.get_type(found[1]), found[2]
    if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType) and member in type_.fields:
        return type_.fields[member].deprecation_reason is not None
    if isinstance(type_, GraphQLEnumType) and member in type_.values:
        return type_.values[member].deprecation_reason is not None
    return False


def main(released_file: str) -> int:
    """Print the changes since the release; 1 if one of them breaks clients."""
    from graphql_schema.schema import schema  # noqa: PLC0415 - the comparison itself needs no server

    released = build_schema(Path(released_file).read_text(encoding="utf-8"))
    current = build_schema(schema.as_str())
    breaking = unannounced_changes(released, current)
    for dangerous in find_dangerous_changes(released, current):
        sys.stdout.write(f"dangerous: {dangerous.description}\n")
    for change in breaking:
        sys.stdout.write(f"breaking: {change.description} Deprecate it for a release first.\n")
    return 1 if breaking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
