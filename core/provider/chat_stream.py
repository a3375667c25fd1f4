"""One answer of the provider as it arrives: a stream of chunks, or one JSON completion in its place."""

import msgspec

from core.logs import get_logger
from core.provider.chunks import NOT_JSON, Chunk, chunk_of, decode_chunk, decode_json, error_message
from core.provider.errors import AnswerTooLarge, ProviderNonsense, ProviderRefused
from core.provider.event_stream import EventStreamParser
from core.provider.responses import ProviderResponse, shortened

_logger = get_logger(__name__)


class ChatStream:
    """The chunks of one answer.

    One coroutine reads, parses and decodes: a chain of generators would cost each chunk more than that.
    """

    def __init__(self, response: ProviderResponse, most_bytes: int) -> None:
        self._response = response
        self._most_bytes = most_bytes
        self._taken = 0
        self._parser = EventStreamParser()
        self._is_over = self._is_understood = False
        self._refusal: str | None = None

    async def next(self) -> list[Chunk]:
        """What one read of the socket completed; empty at the end.

        Raises `ProviderError`: what was given before it has arrived and counts.
        """
        if self._response.is_json:
            return await self._whole()
        while not self._is_over:
            piece = await self._response.piece()
            self._taken += len(piece)
            if self._taken > self._most_bytes:
                raise AnswerTooLarge(self._most_bytes)
            if piece:
                payloads = self._parser.feed(piece)
            else:
                self._is_over = True
                last = self._parser.close()
                payloads = [last] if last is not None else []
            chunks = self._decoded(payloads)
            if chunks:
                self._is_understood = True
                return chunks
        if self._refusal is not None:
            raise ProviderRefused(shortened(self._refusal))
        if not self._is_understood:
            raise ProviderNonsense("The LLM provider's answer holds no completion")
        return []

    def _decoded(self, payloads: list[bytes]) -> list[Chunk]:
        """The chunks up to the end, or to the first that is an error."""
        chunks: list[Chunk] = []
        for payload in payloads:
            if payload.strip() == b"[DONE]":
                self._is_over = self._is_understood = True
                break
            chunk = decode_chunk(payload)
            if chunk is None:
                if payload.strip():
                    _logger.warning("provider frame skipped: no JSON object", bytes=len(payload))
            elif chunk.error is not None:
                self._is_over, self._refusal = True, chunk.error
                break
            else:
                chunks.append(chunk)
        return chunks

    async def _whole(self) -> list[Chunk]:
        if self._is_over:
            return []
        self._is_over = True
        return [_whole_completion(await self._response.body(self._most_bytes))]


def _whole_completion(body: bytes) -> Chunk:
    """One JSON completion in place of a stream, as the chunk that a stream would have had."""
    try:
        completion = decode_json(body)
    except NOT_JSON:
        completion = None
    if not isinstance(completion, dict):
        raise ProviderNonsense("The LLM provider's answer is not JSON")
    if completion.get("error"):
        raise ProviderRefused(shortened(error_message(completion) or "LLM provider error"))
    choices = completion.get("choices")
    if not isinstance(choices, list):
        raise ProviderNonsense("The LLM provider's answer has no choices")
    # Readers look at `delta` only.
    for choice in choices:
        if isinstance(choice, dict) and "message" in choice:
            choice["delta"] = choice.pop("message")
    completion["object"] = "chat.completion.chunk"
    return chunk_of(completion, msgspec.json.encode(completion))
