"""Attachment bytes in a directory; names are ours, never a client's."""

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from core.errors import Unavailable
from core.logs import get_logger

_logger = get_logger(__name__)

NAME = re.compile(r"[0-9a-f]{32}(\.[a-z0-9]{1,8})?")
PIECE = 256 * 1024


class FileMissing(Exception):
    """There are no bytes under this name."""


def new_name(filename: str) -> str:
    """A fresh, unguessable name that keeps a harmless extension of `filename`."""
    extension = PurePosixPath(filename).suffix.lower()
    return secrets.token_hex(16) + (extension if re.fullmatch(r"\.[a-z0-9]{1,8}", extension) else "")


class StorageUnavailable(Unavailable):
    """The bytes could not be stored or read: a full disk, a directory that is gone."""

    code = "STORAGE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("The file storage is not available; try again")


class FileStore:
    """Keeps files under names made by `new_name`; any other name is missing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def save(self, name: str, content: bytes) -> None:
        """Store `content` so that it survives the end of this process. Raises `StorageUnavailable`."""
        try:
            await asyncio.to_thread(self._save, name, content)
        except OSError as error:
            raise StorageUnavailable from error

    async def load(self, name: str) -> bytes:
        """All bytes of a file. Raises `FileMissing`, `StorageUnavailable`."""
        try:
            return await asyncio.to_thread(self._path(name).read_bytes)
        except FileNotFoundError:
            raise FileMissing(name) from None
        except OSError as error:
            raise StorageUnavailable from error

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """The bytes of a file, piece by piece. Raises `FileMissing`, `StorageUnavailable` at the first."""
        try:
            file = await asyncio.to_thread(self._path(name).open, "rb")
        except FileNotFoundError:
            raise FileMissing(name) from None
        except OSError as error:
            raise StorageUnavailable from error
        try:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece
        finally:
            file.close()

    async def delete(self, name: str) -> None:
        """Remove a file that nothing refers to; one that cannot be removed is left, and logged."""
        try:
            await asyncio.to_thread(self._path(name).unlink, missing_ok=True)
        except OSError as error:
            _logger.warning("file not removed", name=name, error=type(error).__name__)

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise FileMissing(name)
        # Two levels keep directories small enough to list.
        return self._directory / name[:2] / name

    def _save(self, name: str, content: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = path.with_suffix(f"{path.suffix}.part")
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
