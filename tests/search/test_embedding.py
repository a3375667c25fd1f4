"""What holds for every embedding model: prefixes, batches, order, refusals, and sound vectors."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from core.search.embedding import Embedders, new_embedder
from core.search.embedding_api import ApiBackend
from core.search.embedding_batches import QUERIES_KEPT, BatchingEmbedder, Vectors, cleaned
from core.search.embedding_errors import (
    BatchRefused,
    EmbeddingUnavailable,
    PassagesRefused,
    QueryRefused,
)
from core.search.embedding_local import LocalBackend
from core.search.embedding_prefixes import Prefixes, VectorModel, known_prefixes
from core.settings import Settings

NO_PREFIXES = Prefixes()


class Model:
    """Three numbers for a text; refuses what holds `poison`, and finds more than `longest` too long."""

    def __init__(self, *, longest: int = 10_000, most: int = 10_000) -> None:
        self.longest, self.most = longest, most
        self.batches: list[list[str]] = []
        self.broken = False
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.dimension = 3
        self.now = self.latency = self.seconds_per_character = 0.0

    async def embed(self, texts: Sequence[str], *, urgent: bool) -> Vectors:
        self.now += self.latency + self.seconds_per_character * sum(map(len, texts))
        if list(texts) == ["ok"]:
            if self.broken:
                raise BatchRefused
            return np.ones((1, self.dimension), np.float32)
        self.batches.append(list(texts))
        self.asked.set()
        if self.gate is not None and not urgent:
            await self.gate.wait()
        if self.broken or len(texts) > self.most or any("poison" in text for text in texts):
            raise BatchRefused
        if any(len(text) > self.longest for text in texts):
            raise BatchRefused(too_long=True)
        rows = [[len(text), ord(text[-1]), 1, *range(self.dimension - 3)] for text in texts]
        vectors = np.array(rows, np.float32)
        vectors[["nothing" in text for text in texts]] = 0
        vectors[["nan" in text for text in texts]] = np.nan
        return vectors

    async def close(self) -> None:
        pass


def embedder(model: Model, *, batch_size: int = 8, prefixes: Prefixes = NO_PREFIXES) -> BatchingEmbedder:
    return BatchingEmbedder(model, model="m", prefixes=prefixes, batch_size=batch_size, max_tokens=510)


def row(text: str) -> Any:
    vector = np.array([len(text), ord(text[-1]), 1], np.float32)
    return vector / np.linalg.norm(vector)


async def test_rows_stand_in_the_order_of_the_texts_and_have_length_one() -> None:
    texts = [f"{'x' * (number * 7 % 23)}{number}" for number in range(40)]
    vectors = await embedder(Model()).embed_passages(texts)
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [row(text) for text in texts])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)


async def test_no_batch_is_larger_than_the_setting_and_alike_lengths_go_together() -> None:
    model = Model()
    await embedder(model, batch_size=4).embed_passages(["a", "b" * 90, "c", "d" * 90, "e", "f" * 90])
    assert max(map(len, model.batches)) <= 4
    assert model.batches[0][:3] == ["a", "c", "e"]


async def test_no_texts_ask_nobody() -> None:
    model = Model()
    assert (await embedder(model).embed_passages([])).shape[0] == 0
    assert model.batches == []


async def test_what_a_model_reads_is_clean_and_has_its_prefix() -> None:
    model = Model()
    e5 = embedder(model, prefixes=known_prefixes("intfloat/multilingual-e5-large"))
    await e5.embed_passages(["a\0b  ﬁne\n\ttext\ud800 "])
    await e5.embed_query(" Ｗhere? ")
    assert model.batches == [["passage: a b fine text"], ["query: Where?"]]
    assert cleaned("\u0435\u0308") == "ё"


async def test_a_query_overtakes_the_passages_that_wait() -> None:
    model = Model()
    model.gate = asyncio.Event()
    busy = embedder(model, batch_size=2)
    passages = asyncio.create_task(busy.embed_passages(["text"] * 100))
    await model.asked.wait()
    await asyncio.wait_for(busy.embed_query("soon"), 5)
    assert model.batches[1:] == [["soon"]]
    model.gate.set()
    assert (await passages).shape == (100, 3)


async def test_a_query_is_computed_once_and_kept_for_a_while() -> None:
    model = Model()
    keeping = embedder(model)
    first = await keeping.embed_query("again")
    assert await keeping.embed_query("again") is first
    assert not first.flags.writeable
    for number in range(QUERIES_KEPT):
        await keeping.embed_query(f"other {number}")
    await keeping.embed_query("again")
    assert [batch for batch in model.batches if batch == ["again"]] == [["again"], ["again"]]


async def test_of_a_long_query_the_beginning_counts() -> None:
    model = Model()
    await embedder(model).embed_query("word " * 2000)
    assert 1000 < len(model.batches[0][0]) < 3000


async def test_of_a_passage_that_was_not_cut_the_beginning_counts() -> None:
    model = Model()
    await embedder(model).embed_passages(["\ufdfa" * 10_000])
    assert len(model.batches[0][0]) <= 8 * 510


async def test_room_is_left_for_the_prefix() -> None:
    assert embedder(Model()).piece_tokens == 510
    assert 500 < embedder(Model(), prefixes=Prefixes("query: ", "passage: ")).piece_tokens < 510


@pytest.mark.parametrize("word", ["poison", "nothing", "nan"])
async def test_a_refused_passage_is_named_and_the_others_have_their_vectors(word: str) -> None:
    texts = [f"text {number}" for number in range(9)]
    texts[5] = f"a {word} text"
    with pytest.raises(PassagesRefused) as told:
        await embedder(Model()).embed_passages(texts)
    assert told.value.refused == {5}
    assert not told.value.vectors[5].any()
    assert np.allclose(np.delete(told.value.vectors, 5, 0), [row(text) for text in texts if text != texts[5]])


async def test_a_refused_query_is_its_writers_affair() -> None:
    with pytest.raises(QueryRefused):
        await embedder(Model()).embed_query("poison")


@pytest.mark.parametrize("urgent", [True, False])
async def test_a_model_that_refuses_everything_refuses_no_text(urgent: bool) -> None:  # noqa: FBT001
    model = Model()
    model.broken = True
    with pytest.raises(EmbeddingUnavailable):
        await (embedder(model).embed_query("a") if urgent else embedder(model).embed_passages(["a", "b"]))


async def test_a_text_that_is_too_long_gets_the_mean_of_its_halves() -> None:
    model = Model(longest=20)
    vectors = await embedder(model).embed_passages(["short", "a" * 24 + "b" * 24])
    assert np.allclose(vectors[0], row("short"))
    mean = 2 * row("a" * 12) + 2 * row("b" * 12)
    assert np.allclose(vectors[1], mean / np.linalg.norm(mean), atol=1e-6)


async def test_a_text_beyond_all_halving_is_refused() -> None:
    with pytest.raises(PassagesRefused):
        await embedder(Model(longest=20)).embed_passages(["a" * 10_000])


async def test_a_server_that_takes_fewer_texts_is_asked_for_fewer_next_time() -> None:
    model = Model(most=4)
    modest = embedder(model, batch_size=8)
    await modest.embed_passages(["text"] * 32)
    assert [len(batch) for batch in model.batches] == [8, *[4] * 8]


async def test_a_slow_model_gets_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    monkeypatch.setattr("core.search.embedding_batches.time.monotonic", lambda: model.now)
    model.seconds_per_character = 0.002
    await embedder(model, batch_size=8).embed_passages(["x" * 500] * 24)
    assert len(model.batches[0]) > 2
    assert {len(batch) for batch in model.batches[8:]} == {1}


async def test_a_model_without_any_delay_gets_full_batches_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    monkeypatch.setattr("core.search.embedding_batches.time.monotonic", lambda: model.now)
    await embedder(model, batch_size=2).embed_passages(["x"] * 5000)
    assert {len(batch) for batch in model.batches} == {2}


async def test_a_distant_model_gets_full_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    monkeypatch.setattr("core.search.embedding_batches.time.monotonic", lambda: model.now)
    model.latency, model.seconds_per_character = 0.9, 0.00001
    far = embedder(model, batch_size=32)
    await far.embed_passages(["x" * 500] * 800)
    assert {len(batch) for batch in model.batches[15:-1]} == {32}
    model.latency = 2.0  # from now on
    await far.embed_passages(["x" * 500] * 4000)
    assert {len(batch) for batch in model.batches[-40:-1]} == {32}


async def test_vectors_of_another_length_are_never_mixed_in() -> None:
    model = Model()
    changed = embedder(model)
    await changed.embed_passages(["a"])
    model.dimension = 4
    with pytest.raises(EmbeddingUnavailable, match="4 numbers where it gave 3"):
        await changed.embed_passages(["b"])


@pytest.mark.parametrize(
    ("name", "query", "passage"),
    [
        ("intfloat/multilingual-e5-large", "query: ", "passage: "),
        ("multilingual-e5-small", "query: ", "passage: "),
        ("/models/e5-base-v2/", "query: ", "passage: "),
        ("/hub/models--intfloat--multilingual-e5-small/snapshots/0123abcd", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large-instruct", "Instruct: ", ""),
        ("intfloat/e5-mistral-7b-instruct", "Instruct: ", ""),
        ("BAAI/bge-small-en-v1.5", "Represent this sentence", ""),
        ("BAAI/bge-large-zh-v1.5", "为这个句子", ""),
        ("BAAI/bge-m3", "", ""),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: "),
        ("mixedbread-ai/mxbai-embed-large-v1", "Represent this sentence", ""),
        ("mixedbread-ai/deepset-mxbai-embed-de-large-v1", "query: ", "passage: "),
        ("Snowflake/snowflake-arctic-embed-m", "Represent this sentence", ""),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", ""),
        ("Alibaba-NLP/gte-multilingual-base", "", ""),
        ("Alibaba-NLP/gte-Qwen2-7B-instruct", "Instruct: ", ""),
        ("Qwen/Qwen3-Embedding-0.6B", "Instruct: ", ""),
        ("google/embeddinggemma-300m", "task: search result", "title: none"),
        ("text-embedding-3-small", "", ""),
        ("sentence-transformers/all-MiniLM-L6-v2", "", ""),
        ("route5/model-e500", "", ""),
    ],
)
def test_known_families_get_their_prefixes(name: str, query: str, passage: str) -> None:
    known = known_prefixes(name)
    assert known.query.startswith(query)
    assert known.passage.startswith(passage)
    assert (bool(known.query), bool(known.passage)) == (bool(query), bool(passage))


def settings(**fields: Any) -> Settings:
    return Settings(_env_file=None, **fields)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, Prefixes("query: ", "passage: ")),
        ({"embedding_query_prefix": "ask: "}, Prefixes("ask: ", "passage: ")),
        ({"embedding_query_prefix": "", "embedding_passage_prefix": ""}, Prefixes()),
        ({"embedding_model_name": "text-embedding-3-small"}, Prefixes()),
    ],
)
async def test_settings_come_before_what_a_family_wants(fields: dict[str, str], wanted: Prefixes) -> None:
    made = new_embedder(settings(embedding_api_base="http://127.0.0.1:9/v1", **fields))
    assert isinstance(made, BatchingEmbedder)
    assert made.prefixes == wanted
    await made.close()


@pytest.mark.parametrize(("base", "kind"), [("http://127.0.0.1:9/v1", ApiBackend), (None, LocalBackend)])
async def test_an_api_is_asked_if_one_is_set(base: str | None, kind: type) -> None:
    made = new_embedder(settings(embedding_api_base=base, embedding_model_name="some/model"))
    assert made.model == "some/model"
    assert isinstance(made, BatchingEmbedder)
    assert isinstance(made.backend, kind)
    await made.close()


async def test_the_model_of_before_is_loaded_once_for_all_its_prefixes() -> None:
    embedders = Embedders(settings(embedding_model_name="some/model", embedding_passage_prefix="new "))
    of = embedders.of
    assert of(VectorModel("some/model", Prefixes("another question ", "new "))) is embedders.current
    earlier = of(VectorModel("some/model", Prefixes("ask ", "old ")))
    assert isinstance(earlier, BatchingEmbedder)
    assert isinstance(embedders.current, BatchingEmbedder)
    assert earlier.prefixes == Prefixes("ask ", "old ")
    assert earlier.backend is embedders.current.backend
    assert of(VectorModel("some/model", Prefixes("ask ", "old "))) is earlier
    other = of(VectorModel("another/model", Prefixes("ask ", "new ")))
    assert isinstance(other, BatchingEmbedder)
    assert (other.model, other.prefixes) == ("another/model", Prefixes("ask ", "new "))
    assert other.backend is not embedders.current.backend
    await embedders.close()
