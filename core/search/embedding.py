"""Texts become vectors: one interface, whatever model computes them and wherever it runs."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.search.embedding_api import ApiBackend
from core.search.embedding_batches import BatchingEmbedder
from core.search.embedding_local import LocalBackend
from core.search.embedding_prefixes import Prefixes, known_prefixes
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


def new_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings ask for; nothing is loaded or connected before it is used."""
    known = known_prefixes(settings.embedding_model_name)
    query, passage = settings.embedding_query_prefix, settings.embedding_passage_prefix
    return BatchingEmbedder(
        ApiBackend(settings) if settings.embedding_api_base else LocalBackend(settings),
        model=settings.embedding_model_name,
        prefixes=Prefixes(
            known.query if query is None else query, known.passage if passage is None else passage
        ),
        batch_size=settings.embedding_batch_size,
        max_tokens=settings.embedding_max_tokens,
    )
