"""Who gives vectors: a process that was thrown out of its work lets others lead."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.db.leadership import Leadership
from core.search.embedding_loop import EmbeddingLoop
from core.search.vectors import VectorStoreUnavailable


class NotedLeadership(Leadership):
    """A lead that is taken and given back, as on PostgreSQL."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"sqlite:///{directory / 'app.db'}", 1)
        self.is_given_back = False

    def release(self) -> None:
        self.is_given_back = True


@pytest.mark.parametrize("thrown", [VectorStoreUnavailable("away"), ValueError(), asyncio.CancelledError()])
async def test_whatever_ends_a_batch_another_process_may_lead_then(
    tmp_path: Path, thrown: BaseException
) -> None:
    async def embed_passages(_: object) -> None:
        raise thrown

    embedders = SimpleNamespace(current=SimpleNamespace(embed_passages=embed_passages))
    leadership = NotedLeadership(tmp_path)
    loop = EmbeddingLoop(cast(Any, None), cast(Any, embedders), cast(Any, None), leadership)
    with pytest.raises(type(thrown)):
        await loop.index_some()
    assert leadership.is_given_back
