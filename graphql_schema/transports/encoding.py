"""Responses as JSON."""

import msgspec

from graphql_schema.operations import Payload

_encoder = msgspec.json.Encoder()


def encode(payload: Payload | list[Payload]) -> bytes:
    """The response as one line of JSON in UTF-8."""
    return _encoder.encode(payload)
