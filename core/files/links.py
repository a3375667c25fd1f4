"""Addresses of attachments as clients see them."""

from core.db.records import Attachment


def download_url(api_prefix: str, attachment: Attachment) -> str | None:
    """Where the bytes are: with us, elsewhere, or (None) nowhere that is known."""
    if attachment.stored_name is not None:
        return stored_url(api_prefix, attachment.stored_name)
    return attachment.external_url


def stored_url(api_prefix: str, stored_name: str) -> str:
    """The address of bytes that we keep."""
    return f"{api_prefix}/attachments/{stored_name}"


def safe_external_url(url: str | None) -> str | None:
    """`url` if a browser may follow it: http(s), or a path of this site; never `javascript:`."""
    if url is None or any(character <= " " or character == "\x7f" for character in url):
        return None  # browsers drop control characters and then read another address
    if url.lower().startswith(("https://", "http://")) or (
        url.startswith("/") and url[1:2] not in ("/", "\\")
    ):
        return url
    return None
