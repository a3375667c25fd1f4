"""Plain values: texts that every database can hold, JSON that every reader can follow."""

import re

DEEPEST_JSON = 100
# PostgreSQL stores no NUL, and no engine stores half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with what databases cannot hold shown as the replacement character."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text) if text else text


def is_too_deep(value: object) -> bool:
    """Whether JSON is nested beyond `DEEPEST_JSON`: what readers, ours too, may fail to follow."""
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [
            part
            for item in level
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
        ]
    return bool(level)
