"""Identifiers: UUID version 7, so that what was made later sorts later (RFC 9562)."""

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """A fresh UUIDv7; within one process, later calls give larger values."""
    return uuid_utils.compat.uuid7()
