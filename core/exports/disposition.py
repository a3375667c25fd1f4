"""File names that are safe to offer, and the HTTP header that offers them (RFC 6266, RFC 8187)."""

import re
import unicodedata
from urllib.parse import quote

MAX_BYTES = 200  # of UTF-8: file systems stop at 255, and browsers append " (1)"
_MAX_EXTENSION = 16

_UNSAFE = re.compile(r'[\\/:*?"<>|%]')
_BLANKS = re.compile(r"\s+")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?=\.|$)", re.IGNORECASE)
_ATTR_CHARS = "!#$&+-.^_`|~"  # attr-char of RFC 8187, besides letters and digits


def safe_filename(name: str, *, default: str = "download") -> str:
    """The name without what a header, a shell or a file system could misread; never empty.

    Path separators become `_`; controls, surrogates and invisible direction marks go; the extension
    survives shortening.
    """
    name = _UNSAFE.sub("_", _BLANKS.sub(" ", unicodedata.normalize("NFC", _visible(name))))
    name = name.strip(" .") or default
    if _RESERVED.match(name):
        name = "_" + name
    return _shorten(name)


def content_disposition(filename: str) -> str:
    """An `attachment` header value for any file name: an ASCII fallback, and the real name in UTF-8."""
    name = safe_filename(filename)
    return f"attachment; filename=\"{_ascii(name)}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def _visible(name: str) -> str:
    """Without control, format, surrogate and unassigned characters; line breaks become blanks."""
    return "".join(
        " " if char.isspace() else char
        for char in name
        if char.isspace() or unicodedata.category(char)[0] != "C"
    )


def _shorten(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > _MAX_EXTENSION:
        stem, dot, extension = name, "", ""
    room = MAX_BYTES - len((dot + extension).encode())
    # Cutting bytes may split the last character; "ignore" drops that half.
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + dot + extension


def _ascii(name: str) -> str:
    """The name in plain ASCII: accents dropped, every other run of foreign characters one `_`."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    plain = _UNSAFE.sub("_", re.sub(r"[^\x20-\x7e]+", "_", plain))
    stem, dot, extension = plain.rpartition(".")
    if not dot:
        stem, extension = plain, ""
    if not re.search(r"[A-Za-z0-9]", stem):
        stem = "download"
    return stem + dot + extension
