"""One chunk of a streamed completion: its bytes as they came, and what we need to know of them."""

import re
from typing import Any

import msgspec

MOST_TOKENS = 2**31 - 1
DEEPEST_MESSAGE = 8


class _Delta(msgspec.Struct):
    content: str | None = None


_NOTHING = msgspec.Raw()


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: msgspec.Raw = _NOTHING


class _Plain(msgspec.Struct):
    """The common case. Any field that is more than this reads sends the chunk the thorough way."""

    choices: list[_Choice]
    id: str | None = None
    agent_status: str | None = None
    conversation_id: str | None = None
    usage: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING
    message_metadata: msgspec.Raw = _NOTHING
    interrupt_id: msgspec.Raw = _NOTHING
    interrupt_payload: msgspec.Raw = _NOTHING


_decode_plain = msgspec.json.Decoder(_Plain).decode
_decode_any = msgspec.json.Decoder().decode
# Bytes that are not UTF-8 raise an error of Python's own, nesting without end another.
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# Escapes in order: a whole surrogate pair, half of one, any other.
_ESCAPE = re.compile(
    rb"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


class Chunk(msgspec.Struct):
    """What one chunk says. `raw` is its JSON text, on one line, otherwise as it came."""

    raw: bytes
    text: str = ""
    whole_text: str | None = None
    response_id: str | None = None
    agent_status: str | None = None
    conversation_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    error: str | None = None
    attachments: list[dict[str, Any]] = []
    interrupt_id: str | None = None
    interrupt_payload: Any = None


def decode_chunk(raw: bytes) -> Chunk | None:
    """The chunk in `raw`, or None if it is no JSON object."""
    if b"\n" in raw or b"\r" in raw:
        # Inside JSON a line end can only be white space between tokens.
        raw = raw.replace(b"\r", b" ").replace(b"\n", b" ")
    try:
        if not raw.isascii():
            raw.decode()  # what is forwarded must be UTF-8 in the fields that nobody reads here, too
        plain = _decode_plain(raw)
    except NOT_JSON:
        return _decode_thoroughly(raw)
    if (
        _is_said(plain.usage)
        or _is_said(plain.error)
        or _is_said(plain.message_metadata)
        or _is_said(plain.interrupt_id)
        or _is_said(plain.interrupt_payload)
    ):
        return _decode_thoroughly(raw)
    if len(plain.choices) == 1:
        choice = plain.choices[0]
        if _is_said(choice.message):
            return _decode_thoroughly(raw)
        text = (choice.delta.content or "") if choice.delta else ""
    elif plain.choices:
        return _decode_thoroughly(raw)
    else:
        text = ""
    return Chunk(
        raw,
        text=text,
        response_id=plain.id or None,
        agent_status=plain.agent_status or None,
        conversation_id=plain.conversation_id or None,
    )


def _is_said(value: msgspec.Raw) -> bool:
    return value is not _NOTHING and bytes(value) != b"null"


def _decode_thoroughly(raw: bytes) -> Chunk | None:
    """As `decode_chunk`, for any shape: a field of an unexpected kind is passed over, not an error."""
    try:
        body = decode_json(raw)
    except NOT_JSON:
        return None
    return chunk_of(body, raw) if isinstance(body, dict) else None


def decode_json(raw: bytes) -> Any:
    """The value of a JSON text. Raises one of `NOT_JSON`.

    Half of a surrogate pair, which a provider makes that cuts between the two, is read as U+FFFD.
    """
    try:
        return _decode_any(raw)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda found: b"\\ufffd" if found[2] else found[0], raw)
        if mended == raw:
            raise
        return _decode_any(mended)


def chunk_of(body: dict[str, Any], raw: bytes) -> Chunk:
    """The chunk of a decoded JSON object."""
    metadata = _object(body.get("message_metadata"))
    usage = _object(body.get("usage"))
    choices = [choice for choice in _list(body.get("choices")) if isinstance(choice, dict)]
    whole = [content_text(_object(choice.get("message")).get("content")) for choice in choices]
    return Chunk(
        raw,
        text="".join(content_text(_object(choice.get("delta")).get("content")) for choice in choices),
        whole_text="".join(whole) or None,
        response_id=_text(body.get("id")),
        agent_status=_text(body.get("agent_status")),
        conversation_id=_text(body.get("conversation_id")),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        error=(error_message(body) or "LLM provider error") if body.get("error") else None,
        attachments=[item for item in _list(metadata.get("attachments")) if isinstance(item, dict)],
        interrupt_id=_text(body.get("interrupt_id")) or _text(metadata.get("interrupt_id")),
        interrupt_payload=body.get("interrupt_payload") or metadata.get("interrupt_payload"),
    )


def content_text(content: object) -> str:
    """The text of a `content`, which is a string or a list of typed parts."""
    if isinstance(content, str):
        return content
    parts = [part for part in _list(content) if isinstance(part, dict)]
    return "".join(_text(part.get("text")) or "" for part in parts)


def error_message(body: object, depth: int = DEEPEST_MESSAGE) -> str | None:
    """The provider's own sentence in an error body of any of the usual shapes."""
    if isinstance(body, str):
        return body.strip() or None
    if not isinstance(body, dict) or not depth:
        return None
    for key in ("error", "message", "detail"):
        value = body.get(key)
        if isinstance(value, list) and value and isinstance(value[0], dict):  # FastAPI's validation errors
            value = value[0].get("msg")
        found = error_message(value, depth - 1)
        if found:
            return found
    return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None
