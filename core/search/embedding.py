"""Texts become vectors: one interface, whatever model computes them and wherever it runs."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.search.embedding_api import ApiBackend
from core.search.embedding_batches import Backend, BatchingEmbedder
from core.search.embedding_local import LocalBackend
from core.search.embedding_prefixes import VectorModel, chosen_prefixes
from core.settings import Settings


class Embedder(Protocol):
    """One embedding model. All vectors are of one length, float32, and L2-normalised.

    Texts are normalised (NFKC, blanks joined, control characters left out) and get the prefix that the
    model wants. May be called by any number of tasks at once: passages go in batches, in order of arrival;
    a query never waits for more than the batch that is under way.
    """

    @property
    def model(self) -> str:
        """The model's name, as set."""

    @property
    def vector_model(self) -> VectorModel:
        """The model with the prefixes that texts are given: what decides which vectors may be compared."""

    @property
    def piece_tokens(self) -> int:
        """How long a passage may be, in tokens: what `pieces.cut` is to be told."""

    async def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """A row for each text, which is to be a piece: of a longer one only the beginning may count.

        Raises `EmbeddingUnavailable`, or `PassagesRefused` with the other rows.
        """

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of what is searched for; of a long text, that of its beginning.

        Raises `EmbeddingUnavailable` and `QueryRefused`. The vector is read-only: it may be given again.
        """

    async def close(self) -> None:
        """End connections and threads; who still waits gets `EmbeddingUnavailable`."""


def vector_model(settings: Settings) -> VectorModel:
    """The model that the settings ask for, with the prefixes of its family where they name none."""
    name = settings.embedding_model_name
    query, passage = settings.embedding_query_prefix, settings.embedding_passage_prefix
    return VectorModel(name, chosen_prefixes(name, query, passage))


def new_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings ask for; nothing is loaded or connected before it is used."""
    return _embedder(settings, vector_model(settings), _backend(settings))


class Embedders:
    """The embedder that the settings ask for, and that of the vectors of before while they are in use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._backend = _backend(settings)
        self.current: Embedder = _embedder(settings, vector_model(settings), self._backend)
        self._earlier: Embedder | None = None

    def of(self, model: VectorModel) -> Embedder:
        """What embeds a query for the vectors of this model, whatever its query prefix was then."""
        if model.makes_same_passages_as(self.current.vector_model):
            return self.current
        if self._earlier is None or self._earlier.vector_model != model:
            self._earlier = self._made(model)
        return self._earlier

    async def close(self) -> None:
        """End connections and threads."""
        await self.current.close()
        if self._earlier is not None and self._earlier.model != self.current.model:
            await self._earlier.close()

    def _made(self, model: VectorModel) -> Embedder:
        if model.name == self.current.model:  # which is loaded once
            return _embedder(self._settings, model, self._backend)
        settings = self._settings.model_copy(update={"embedding_model_name": model.name})
        return _embedder(settings, model, _backend(settings))


def _backend(settings: Settings) -> Backend:
    return ApiBackend(settings) if settings.embedding_api_base else LocalBackend(settings)


def _embedder(settings: Settings, model: VectorModel, backend: Backend) -> Embedder:
    return BatchingEmbedder(
        backend,
        model=model.name,
        prefixes=model.prefixes,
        batch_size=settings.embedding_batch_size,
        max_tokens=settings.embedding_max_tokens,
    )
