"""Files that arrive inside an answer: kept by us, and shown to readers under our address."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from core.db.models import AttachmentRow
from core.db.session import Database
from core.files.links import safe_external_url, stored_url
from core.files.store import FileStore, new_name
from core.logs import get_logger
from core.plain import storable
from core.provider.chunks import Chunk, decode_json

LARGEST_SIZE = 2**63 - 1

_logger = get_logger(__name__)


@dataclass(slots=True)
class AnswerFiles:
    """The files of one run. A provider may repeat its list in every chunk: each is kept once."""

    db: Database
    files: FileStore
    api_prefix: str
    thread_id: UUID
    run_id: UUID
    _known: dict[str, str | None] = field(default_factory=dict)

    async def keep(self, chunk: Chunk) -> None:
        """Store what `chunk` attaches, and write our addresses into its `raw`."""
        body = decode_json(chunk.raw)
        changed = False
        for item in body["message_metadata"]["attachments"]:
            if not isinstance(item, dict):
                continue
            url = await self._keep_one(item)
            if url is not None:
                item["download_url"] = url
                changed = True
        if changed:
            chunk.raw = msgspec.json.encode(body)

    async def _keep_one(self, item: dict[str, Any]) -> str | None:
        """Our address for the file, or None if its bytes did not come along."""
        content = _content(item)
        key = _key(item, content)
        if key in self._known:
            return self._known[key]
        filename = (_text(item.get("filename")) or "attachment")[:255]
        size = item.get("bytes", item.get("size_bytes"))
        row = AttachmentRow(
            thread_id=self.thread_id,
            run_id=self.run_id,
            filename=filename,
            content_type=(_text(item.get("content_type")) or "application/octet-stream")[:255],
            size_bytes=size if type(size) is int and 0 <= size <= LARGEST_SIZE else None,
        )
        if content is not None:
            row.stored_name = new_name(filename)
            row.size_bytes = len(content)
            await self.files.save(row.stored_name, content)
        else:
            row.external_url = safe_external_url(_text(item.get("download_url")))

        def work(session: Session) -> None:
            session.add(row)

        await self.db.write(work)
        self._known[key] = stored_url(self.api_prefix, row.stored_name) if row.stored_name else None
        return self._known[key]


def _content(item: dict[str, Any]) -> bytes | None:
    for key in ("data", "data_base64"):  # `bytes` is a size
        value = item.get(key)
        if isinstance(value, str) and value:
            try:
                # Encoders may break lines.
                return base64.b64decode("".join(value.split()), validate=True)
            except (binascii.Error, ValueError):
                _logger.warning("bytes of provider attachment skipped: not base64", field=key)
    return None


def _key(item: dict[str, Any], content: bytes | None) -> str:
    identity = content if content is not None else str(item.get("download_url")).encode()
    return f"{item.get('filename')}:{hashlib.sha256(identity).hexdigest()}"


def _text(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value else None
