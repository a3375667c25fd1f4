"""What counts as similar is measured from what the model finds in texts that have nothing in common."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from core.search.embedding import Embedder, new_embedder
from core.search.noise import Noise, measured
from core.settings import Settings
from tests.search.embeddings import DIMENSION, EmbeddingApi


@pytest.fixture
async def embedder() -> AsyncIterator[Embedder]:
    with EmbeddingApi() as api:
        embedder = new_embedder(
            Settings(_env_file=None, embedding_api_base=api.url, embedding_model_name="words")
        )
        yield embedder
        await embedder.close()


async def test_texts_with_few_words_in_common_make_little_noise(embedder: Embedder) -> None:
    noise, dimension = await measured(embedder)
    assert dimension == DIMENSION
    assert 0 < noise.mean < 0.2
    assert 0 < noise.deviation < 0.2


@pytest.mark.parametrize(
    ("noise", "best", "lowest"),
    [
        (Noise(0.75, 0.02), 0.85, 0.81),  # a narrow band, as E5's: more than half of the way to the best
        (Noise(0.75, 0.02), 0.76, 0.77),  # nothing but noise: not even the best counts
        (Noise(0.05, 0.05), 0.95, 0.59),
        (Noise(0.05, 0.05), 0.35, 0.30),  # never below what the settings say
    ],
)
def test_a_hit_is_well_above_the_noise(noise: Noise, best: float, lowest: float) -> None:
    assert np.isclose(noise.lowest(best, 0.3), lowest)
