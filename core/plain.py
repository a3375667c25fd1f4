"""Plain values: texts that every database can hold, JSON that every reader can follow."""

import asyncio
import re

DEEPEST_JSON = 100
# Bytes: counting what is in more would be felt by everybody else.
_COUNTED_AT_ONCE = 256 * 1024
# PostgreSQL stores no NUL, and no engine stores half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with what databases cannot hold shown as the replacement character."""
    if text.isascii() and "\0" not in text:  # said ten times sooner than an expression finds nothing
        return text
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


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


async def holds_more_values(payload: bytes, most: int) -> bool:
    """Whether this JSON has more than `most` values: never said of fewer, and always of twice as many.

    Told from its text, as values take many times the memory and the time of it.
    """
    if len(payload) <= most:
        return False
    if len(payload) <= _COUNTED_AT_ONCE:
        return _holds_more_values(payload, most)
    return await asyncio.to_thread(_holds_more_values, payload, most)


def _holds_more_values(payload: bytes, most: int) -> bool:
    bare = payload.replace(rb"\\", b"").replace(rb"\"", b"")
    if bare.count(b'"') > 4 * most:  # of a name and of a text
        return True
    outside_texts = b"".join(bare.split(b'"')[::2])
    return sum(map(outside_texts.count, (b",", b"[", b"{"))) > 2 * most
