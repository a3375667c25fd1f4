"""Which format a client wants its answer in, by its `Accept` header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"

MOST_RANGES = 50


class Format(Enum):
    """A format that a response can have."""

    GRAPHQL_JSON = GRAPHQL_JSON
    JSON = JSON
    EVENT_STREAM = EVENT_STREAM
    MULTIPART = MULTIPART


class MediaRange(NamedTuple):
    """One item of an `Accept` header."""

    media_type: str
    parameters: dict[str, str]
    quality: float


def parse_accept(headers: Sequence[str]) -> list[MediaRange]:
    """The ranges of all `Accept` headers, the most wanted first; without any, anything is accepted."""
    ranges = [_media_range(part) for part in (",".join(headers) or "*/*").split(",")[:MOST_RANGES]]
    return sorted(ranges, key=lambda item: -item.quality)


def answer_format(ranges: list[MediaRange]) -> Format | None:
    """How to answer a query or a mutation; None if nothing that is accepted can be given.

    JSON wins over streams that are accepted, too: some clients name event streams in every request.
    """
    json, graphql_json = _quality(ranges, JSON), _quality(ranges, GRAPHQL_JSON)
    is_named = any(item.media_type == GRAPHQL_JSON for item in ranges)
    # Of two that are wanted alike, the one that tells errors by status, but only to those who know it.
    if graphql_json and graphql_json >= json and (is_named or not json):
        return Format.GRAPHQL_JSON
    return Format.JSON if json else stream_format(ranges)


def stream_format(ranges: list[MediaRange]) -> Format | None:
    """How to answer a subscription; None if no stream is accepted by name."""
    for item in ranges:
        if not item.quality:
            break
        if item.media_type == EVENT_STREAM:
            return Format.EVENT_STREAM
        if item.media_type == MULTIPART and item.parameters.get("subscriptionspec", "").startswith("1"):
            return Format.MULTIPART
    return None


def media_type(content_type: str | None) -> MediaRange:
    """The media type of a body; empty if there is none."""
    return _media_range(content_type or "")


def _quality(ranges: list[MediaRange], media_type: str) -> float:
    """How much this type is wanted: what the most specific range that it is in says."""
    main_type = media_type.partition("/")[0]
    for name in (media_type, f"{main_type}/*", "*/*"):
        found = [item.quality for item in ranges if item.media_type == name]
        if found:
            return max(found)
    return 0.0


def _media_range(text: str) -> MediaRange:
    name, *rest = text.split(";")
    parameters: dict[str, str] = {}
    for part in rest:
        key, _, value = part.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"')
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 0.0
    return MediaRange(name.strip().lower(), parameters, quality if 0 <= quality <= 1 else 0.0)
