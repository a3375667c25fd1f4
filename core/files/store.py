"""Attachment bytes by name: what every store of them promises."""

import re
import secrets
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Protocol

from core.errors import Unavailable

NAME = re.compile(r"[0-9a-f]{32}(\.[a-z0-9]{1,8})?")
PIECE = 256 * 1024


class FileMissing(Exception):
    """There are no bytes under this name."""


class StorageUnavailable(Unavailable):
    """The bytes could not be stored or read: a full disk, a directory that is gone, a server that is away."""

    code = "STORAGE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The file storage is not available; try again")


class FileStore(Protocol):
    """Keeps files under names made by `new_name`; any other name is missing."""

    async def save(self, name: str, content: bytes) -> None:
        """Store `content` so that it survives the end of this process. Raises `StorageUnavailable`."""
        ...

    async def load(self, name: str) -> bytes:
        """All bytes of a file. Raises `FileMissing`, `StorageUnavailable`."""
        ...

    def stream(self, name: str) -> AsyncIterator[bytes]:
        """The bytes of a file, piece by piece. Raises `FileMissing`, `StorageUnavailable` at the first."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a file that nothing refers to; one that cannot be removed is left, and logged."""
        ...


def new_name(filename: str) -> str:
    """A fresh, unguessable name that keeps a harmless extension of `filename`."""
    extension = PurePosixPath(filename).suffix.lower()
    return secrets.token_hex(16) + (extension if re.fullmatch(r"\.[a-z0-9]{1,8}", extension) else "")


def place_of(name: str) -> str:
    """The path of a file in its store. Raises `FileMissing` for what `new_name` never made."""
    if not NAME.fullmatch(name):
        raise FileMissing(name)
    # Two levels keep directories small enough to list.
    return f"{name[:2]}/{name}"
