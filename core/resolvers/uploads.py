"""Files that come with a message: checked all together, then stored before the message is."""

import asyncio
import base64
import binascii
import hashlib
from dataclasses import dataclass

from core.context import Context
from core.errors import InvalidAttachment
from core.files.store import new_name
from core.plain import storable

PIECE_CHARACTERS = 512 * 1024


@dataclass(frozen=True, slots=True)
class NewAttachment:
    """A file to be sent with a message; `content` is its bytes, or a client's Base64 text of them."""

    filename: str
    content: bytes | str | None
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An attachment whose bytes are stored already."""

    stored_name: str
    filename: str
    content_type: str
    size_bytes: int
    digest: str


async def keep_files(ctx: Context, attachments: tuple[NewAttachment, ...]) -> list[KeptFile]:
    """Store the bytes of all of these, or of none. Raises `InvalidAttachment`, `StorageUnavailable`."""
    if not attachments:
        return []
    # All are decoded before any is stored: one that is wrong stores nothing.
    contents = await asyncio.to_thread(lambda: [_decode(item.content) for item in attachments])
    kept: list[KeptFile] = []
    try:
        for item, (content, digest) in zip(attachments, contents, strict=True):
            name = new_name(item.filename)
            await ctx.files.save(name, content)
            kept.append(KeptFile(name, storable(item.filename), item.content_type, len(content), digest))
    except BaseException:
        for file in kept:
            await ctx.files.delete(file.stored_name)
        raise
    return kept


def _decode(content: bytes | str | None) -> tuple[bytes, str]:
    """The bytes, and their SHA-256 in hexadecimal."""
    if content is None:
        raise InvalidAttachment
    decoded = content if isinstance(content, bytes) else _from_base64(content)
    return decoded, hashlib.sha256(decoded).hexdigest()


def _from_base64(text: str) -> bytes:
    """In pieces, between which other threads run: one call for all would hold them up as long as it takes."""
    decoded, rest, is_padded = bytearray(), "", False
    try:
        for start in range(0, len(text), PIECE_CHARACTERS):
            # Encoders may break lines; anything else outside the alphabet is a fault.
            bare = rest + "".join(text[start : start + PIECE_CHARACTERS].split())
            if is_padded and bare:
                raise InvalidAttachment
            whole = len(bare) // 4 * 4
            decoded += base64.b64decode(bare[:whole], validate=True)
            rest, is_padded = bare[whole:], is_padded or bare[:whole].endswith("=")
        return bytes(decoded + base64.b64decode(rest, validate=True))
    except (binascii.Error, ValueError):
        raise InvalidAttachment from None
