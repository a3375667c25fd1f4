"""An answer while it arrives: what its chunks add up to."""

from typing import Any

import msgspec

from core.db.records import RunStatus
from core.plain import is_too_deep, storable
from core.provider.chunks import Chunk, decode_json
from core.runs.events import Event, EventKind


class Answer:
    """Takes chunks in order; tells what to forward and what to store."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._length = 0
        self._saved = 0
        self.response_id: str | None = None
        self.conversation_id: str | None = None
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self._interrupt: dict[str, Any] = {}
        self.awaits_secret = False
        self._last_agent_status: str | None = None
        self._question: str | None = None
        self._question_shown = False

    def take(self, chunk: Chunk) -> Event:
        """Count a chunk in; the event that readers get for it."""
        if chunk.response_id and chunk.response_id != self.response_id:  # each chunk repeats it
            self.response_id = storable(chunk.response_id)
        if chunk.conversation_id and chunk.conversation_id != self.conversation_id:
            self.conversation_id = storable(chunk.conversation_id)
        if chunk.prompt_tokens is not None:
            self.prompt_tokens = chunk.prompt_tokens
        if chunk.completion_tokens is not None:
            self.completion_tokens = chunk.completion_tokens
        if chunk.agent_status:
            self._last_agent_status = chunk.agent_status.lower()
        text = storable(chunk.text or self._news_in(chunk.whole_text))
        raw = chunk.raw
        if chunk.interrupt_payload or chunk.interrupt_id:
            # The status may follow in a chunk of its own; only if it does, this counts.
            self._note_interrupt(chunk)
        interrupted = chunk.agent_status and self._last_agent_status == "interrupted"
        if interrupted and not text and self._question and not self._question_shown:
            # Once, even if a chunk of usage repeats the status: readers add up what they are shown.
            self._question_shown = True
            text = self._question
            raw = _with_content(raw, text)
        if text:
            self._texts.append(text)
            self._length += len(text)
        return Event(EventKind.CHUNK, raw=raw, text=text)

    @property
    def provider_said_so(self) -> bool:
        """Whether the provider's last agent status was an end."""
        return self._last_agent_status in ("completed", "interrupted")

    @property
    def status(self) -> RunStatus:
        """How a run with this answer has ended, given that it ended well."""
        interrupted = self._last_agent_status == "interrupted"
        return RunStatus.INTERRUPTED if interrupted else RunStatus.COMPLETED

    @property
    def metadata(self) -> dict[str, Any]:
        """What the stored answer says of the interrupt that it ended in."""
        return self._interrupt if self.status is RunStatus.INTERRUPTED else {}

    @property
    def text(self) -> str:
        """The text to store."""
        if self._question is not None and self.status is RunStatus.INTERRUPTED:
            return self._question
        return "".join(self._texts)

    @property
    def has_text(self) -> bool:
        """Whether any text has arrived."""
        return bool(self._texts)

    def unsaved(self) -> tuple[int, str]:
        """The number of pieces that have arrived, and the text that no checkpoint has saved yet."""
        return len(self._texts), "".join(self._texts[self._saved :])

    def mark_saved(self, pieces: int) -> None:
        """Note that a checkpoint saved the text up to this number of pieces."""
        self._saved = pieces

    def _news_in(self, whole: str | None) -> str:
        """What a complete message adds to the deltas before it; it usually repeats them."""
        if not whole or len(whole) <= self._length:
            return ""
        so_far = "".join(self._texts)
        return whole[len(so_far) :] if whole.startswith(so_far) else ""

    def _note_interrupt(self, chunk: Chunk) -> None:
        payload = chunk.interrupt_payload
        if chunk.interrupt_id:
            self._interrupt["interrupt_id"] = chunk.interrupt_id
        if payload is None:
            return
        if not is_too_deep(payload):
            self._interrupt["interrupt_payload"] = payload
        self.awaits_secret = _asks_for_password(payload)
        if isinstance(payload, dict):
            for key in ("content", "question"):
                value = payload.get(key)
                if isinstance(value, str) and value:
                    self._question = storable(value)
                    return
        elif isinstance(payload, str) and payload:
            self._question = storable(payload)


def _with_content(raw: bytes, text: str) -> bytes:
    body = decode_json(raw)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        choices = body["choices"] = [{"index": 0, "delta": {}, "finish_reason": None}]
    delta = choices[0].get("delta")
    choices[0]["delta"] = {**(delta if isinstance(delta, dict) else {}), "content": text}
    return msgspec.json.encode(body)


def _asks_for_password(payload: object) -> bool:
    """Whether any field in `payload`, at any depth, has the format `password`."""
    waiting = [payload]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if str(value.get("format")).lower() == "password":
                return True
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False
