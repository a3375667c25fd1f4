"""Attachment bytes in a bucket of any S3-compatible store."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from core.files.store import PIECE, FileMissing, StorageUnavailable, place_of
from core.logs import get_logger
from core.settings import Settings

if TYPE_CHECKING:
    from obstore.store import S3Config  # it is there for type checkers only

_logger = get_logger(__name__)


class ObjectStore:
    """See `FileStore`. Without keys in the settings, `AWS_*` variables or the machine's role count."""

    def __init__(self, settings: Settings) -> None:
        place = urlsplit(settings.files_url or "")
        config: S3Config = {"region": settings.files_region}
        if settings.files_endpoint is not None:
            config["endpoint"] = settings.files_endpoint
        if settings.files_access_key_id is not None and settings.files_secret_access_key is not None:
            config["access_key_id"] = settings.files_access_key_id
            config["secret_access_key"] = settings.files_secret_access_key
        self._store = S3Store(
            place.netloc,
            prefix=place.path.strip("/") or None,
            config=config,
            client_options={"allow_http": True, "connect_timeout": "5s", "timeout": "60s"},
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=10)},
        )

    async def save(self, name: str, content: bytes) -> None:
        """See `FileStore.save`."""
        try:
            await obstore.put_async(self._store, place_of(name), content)
        except (BaseError, OSError) as error:
            raise _unavailable("save", error) from error

    async def load(self, name: str) -> bytes:
        """See `FileStore.load`."""
        return b"".join([piece async for piece in self.stream(name)])

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """See `FileStore.stream`."""
        try:
            found = await obstore.get_async(self._store, place_of(name))
            async for piece in found.stream(min_chunk_size=PIECE):
                yield bytes(piece)
        except FileNotFoundError:
            raise FileMissing(name) from None
        except (BaseError, OSError) as error:
            raise _unavailable("read", error) from error

    async def delete(self, name: str) -> None:
        """See `FileStore.delete`."""
        try:
            await obstore.delete_async(self._store, place_of(name))
        except FileNotFoundError:
            pass
        except (BaseError, OSError) as error:
            _logger.warning("file not removed", name=name, error=type(error).__name__)


def _unavailable(what: str, error: Exception) -> StorageUnavailable:
    # Its words name the bucket and the reason, and no secret.
    _logger.error("file storage failed", what=what, error=type(error).__name__, reason=str(error)[:300])
    return StorageUnavailable()
