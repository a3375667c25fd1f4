"""What every embedding model needs around it: clean texts, batches, and vectors that can be trusted."""

import asyncio
import re
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from math import ceil
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.logs import get_logger
from core.search.embedding_errors import BatchRefused, EmbeddingUnavailable, PassagesRefused, QueryRefused
from core.search.embedding_prefixes import Prefixes, VectorModel
from core.search.pieces import MOST_CHARACTERS_PER_TOKEN, beginning, estimated_tokens

QUERIES_KEPT = 256
# A batch under way cannot be overtaken by a query, so it should take about this long.
BATCH_SECONDS = 0.3
_FIRST_BATCH_CHARACTERS = 2000
# Cleaning this many takes some milliseconds of the event loop.
_MOST_BATCH_CHARACTERS = 200_000
# What a text costs before its first character, in characters.
_TEXT_CHARACTERS = 50
# How old may be what is known of the way to the model and back.
_LATENCY_SECONDS = 60.0
# A text that is longer than the model takes is halved at most so often.
_MOST_HALVINGS = 4
_HARMLESS = "ok"

_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

_logger = get_logger(__name__)

Vectors = NDArray[np.float32]


class Backend(Protocol):
    """A model, or the way to one."""

    async def embed(self, texts: Sequence[str], *, urgent: bool) -> Vectors:
        """A row for each text, as the model gives it; somebody waits for what is `urgent`.

        Raises `EmbeddingUnavailable`, or `BatchRefused` if the texts themselves may be the reason.
        """

    async def close(self) -> None:
        """End what was begun."""


class BatchingEmbedder:
    """An `Embedder` on top of a backend."""

    def __init__(
        self, backend: Backend, *, model: str, prefixes: Prefixes, batch_size: int, max_tokens: int
    ) -> None:
        self.backend = backend
        self._model = model
        self.prefixes = prefixes
        self._max_tokens = max_tokens
        self._max_characters = max_tokens * MOST_CHARACTERS_PER_TOKEN
        self._pace = _Pace(batch_size)
        # One batch of passages at a time: what waits here can still be overtaken by a query.
        self._lane = asyncio.Lock()
        self._dimension: int | None = None
        self._measured_at: float | None = None
        self._queries: OrderedDict[str, Vectors] = OrderedDict()

    @property
    def model(self) -> str:
        return self._model

    @property
    def vector_model(self) -> VectorModel:
        return VectorModel(self._model, self.prefixes)

    @property
    def piece_tokens(self) -> int:
        return self._room(self.prefixes.passage)

    async def close(self) -> None:
        await self.backend.close()

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        rows: list[Vectors | None] = [None] * len(texts)
        # Texts of like lengths go together, so that a model which pads has little to pad.
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        done = 0
        while done < len(order):
            async with self._lane:
                await self._measure_latency()
                ahead = order[done : done + self._pace.largest]
                batch = ahead[: self._pace.texts([len(texts[position]) for position in ahead])]
                vectors = await self._passages([self._body(texts[position]) for position in batch])
            for position, vector in zip(batch, vectors, strict=True):
                rows[position] = vector
            done += len(batch)
        return self._stacked(rows)

    async def embed_query(self, text: str) -> Vectors:
        if (kept := self._queries.get(text)) is not None:
            self._queries.move_to_end(text)
            return kept
        query = cleaned(beginning(text, self._room(self.prefixes.query)))
        (vector,) = await self._vectors([query], self.prefixes.query, urgent=True)
        if vector is None:
            raise QueryRefused
        vector.flags.writeable = False
        self._queries[text] = vector
        if len(self._queries) > QUERIES_KEPT:
            self._queries.popitem(last=False)
        return vector

    def _body(self, text: str) -> str:
        # No piece is longer; what was not cut must not occupy the model by its length.
        return cleaned(text[: self._max_characters])[: self._max_characters]

    def _room(self, prefix: str) -> int:
        return max(self._max_tokens - ceil(estimated_tokens(prefix)), 1)

    async def _passages(self, bodies: list[str]) -> list[Vectors | None]:
        began = time.monotonic()
        vectors = await self._vectors(bodies, self.prefixes.passage, urgent=False)
        self._pace.took([len(body) for body in bodies], time.monotonic() - began)
        return vectors

    async def _measure_latency(self) -> None:
        """Time a tiny text now and then: a slow model gets small batches, a distant one does not."""
        if self._measured_at is None:
            await self._require_a_working_model(urgent=False)  # connects, or loads
        elif time.monotonic() - self._measured_at < _LATENCY_SECONDS:
            return
        began = time.monotonic()
        await self._require_a_working_model(urgent=False)
        self._measured_at = time.monotonic()
        self._pace.latency = self._measured_at - began

    async def _vectors(
        self, bodies: Sequence[str], prefix: str, *, urgent: bool, halvings: int = 0
    ) -> list[Vectors | None]:
        """A normalised vector for each text, None where the model refuses that very text."""
        try:
            answer = await self.backend.embed([prefix + body for body in bodies], urgent=urgent)
            return list(self._checked(answer, len(bodies)))
        except BatchRefused as refusal:
            if len(bodies) == 1:
                return [
                    await self._after_refusal(bodies[0], prefix, refusal, urgent=urgent, halvings=halvings)
                ]
        middle = len(bodies) // 2
        vectors: list[Vectors | None] = []
        for half in (bodies[:middle], bodies[middle:]):
            vectors += await self._vectors(half, prefix, urgent=urgent, halvings=halvings)
        if all(vector is not None for vector in vectors):
            self._pace.largest = middle  # it was the number that was refused
        return vectors

    async def _after_refusal(
        self, body: str, prefix: str, refusal: BatchRefused, *, urgent: bool, halvings: int
    ) -> Vectors | None:
        """The mean of the halves of a text that is too long; None for one that is refused."""
        if halvings == 0:
            await self._require_a_working_model(urgent=urgent)
        if not refusal.too_long or halvings == _MOST_HALVINGS or len(body) == 1:
            _logger.warning("text without a vector", model=self._model, characters=len(body))
            return None
        middle = len(body) // 2
        parts: list[Vectors | None] = []
        for half in (body[:middle], body[middle:]):
            parts += await self._vectors([half], prefix, urgent=urgent, halvings=halvings + 1)
        given = [part for part in parts if part is not None]
        return _normalised(np.sum(given, axis=0, keepdims=True))[0] if given else None

    async def _require_a_working_model(self, *, urgent: bool) -> None:
        """A text may only be called refused while others are accepted."""
        try:
            self._checked(await self.backend.embed([_HARMLESS], urgent=urgent), 1)
        except BatchRefused:
            raise EmbeddingUnavailable("The embedding model gives no usable vector for any text") from None

    def _checked(self, vectors: Vectors, texts: int) -> Vectors:
        if vectors.ndim != 2 or vectors.shape[0] != texts or vectors.shape[1] == 0:  # noqa: PLR2004
            raise BatchRefused
        normalised = _normalised(vectors)
        if self._dimension is None:
            self._dimension = vectors.shape[1]
        elif vectors.shape[1] != self._dimension:
            raise EmbeddingUnavailable(
                f"The embedding model gives vectors of {vectors.shape[1]} numbers where it gave"
                f" {self._dimension} before; restart after a change of the model"
            )
        return normalised

    def _stacked(self, rows: list[Vectors | None]) -> Vectors:
        vectors = np.zeros((len(rows), self._dimension or 0), np.float32)
        refused = []
        for position, row in enumerate(rows):
            if row is None:
                refused.append(position)
            else:
                vectors[position] = row
        if refused:
            raise PassagesRefused(frozenset(refused), vectors)
        return vectors


class _Pace:
    """How many texts make a batch of about `BATCH_SECONDS`, learnt from those before."""

    def __init__(self, largest: int) -> None:
        self.largest = largest
        self.latency = 0.0
        self._seconds_per_character = BATCH_SECONDS / _FIRST_BATCH_CHARACTERS

    def texts(self, lengths: Sequence[int]) -> int:
        """How many of the next texts, of these lengths, to take at once; at least one."""
        budget = BATCH_SECONDS / self._seconds_per_character
        costs = accumulate(length + _TEXT_CHARACTERS for length in lengths[: self.largest])
        return max(1, sum(1 for cost in costs if cost <= budget))

    def took(self, lengths: Sequence[int], seconds: float) -> None:
        """A batch of texts of these lengths was finished in this time."""
        cost = sum(lengths) + _TEXT_CHARACTERS * len(lengths)
        known = self._seconds_per_character
        # Not all at once: latency varies, and a batch may have been lucky.
        now = max((seconds - self.latency) / cost, known / 4)
        self._seconds_per_character = max((known + now) / 2, BATCH_SECONDS / _MOST_BATCH_CHARACTERS)


def cleaned(text: str) -> str:
    """The text as models read it: NFKC, nothing invisible, single blanks."""
    return " ".join(_CONTROLS.sub(" ", unicodedata.normalize("NFKC", text)).split())


def _normalised(vectors: Vectors) -> Vectors:
    """Rows of length one. Raises `BatchRefused` for what has no direction."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise BatchRefused
    normalised: Vectors = (vectors / lengths).astype(np.float32)
    return normalised
