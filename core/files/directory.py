"""Attachment bytes in a directory; names are ours, never a client's."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from core.files.store import PIECE, FileMissing, StorageUnavailable, place_of
from core.logs import get_logger

_logger = get_logger(__name__)


class DirectoryStore:
    """See `FileStore`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def save(self, name: str, content: bytes) -> None:
        """See `FileStore.save`."""
        try:
            await asyncio.to_thread(self._save, name, content)
        except OSError as error:
            raise StorageUnavailable from error

    async def load(self, name: str) -> bytes:
        """See `FileStore.load`."""
        try:
            return await asyncio.to_thread(self._path(name).read_bytes)
        except FileNotFoundError:
            raise FileMissing(name) from None
        except OSError as error:
            raise StorageUnavailable from error

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """See `FileStore.stream`."""
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
        """See `FileStore.delete`."""
        try:
            await asyncio.to_thread(self._path(name).unlink, missing_ok=True)
        except OSError as error:
            _logger.warning("file not removed", name=name, error=type(error).__name__)

    def _path(self, name: str) -> Path:
        return self._directory / place_of(name)

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
