"""The demo's embedding model, asked as the server asks it: over HTTP, through the API embedder."""

import asyncio
import base64
import queue
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from api.demo import embedding_weights, model_server
from api.demo.model_keeper import ModelKeeper
from api.demo.model_process import ModelProcess, ModelProcessError
from core.search.embedding import Embedder, new_embedder
from core.search.pieces import cut
from core.settings import Settings
from tests.processes import free_port

READY_WITHIN = 100.0

PASSAGES = [
    "Чтобы сменить пароль, откройте настройки профиля и нажмите «Безопасность».",
    "Поезд из Казани прибывает в Москву в восемь часов утра.",
    "Борщ варят из свёклы, капусты и мяса и подают к обеду.",
    "Кошка спит на тёплой крыше автомобиля.",
    "Счёт нужно оплатить в течение тридцати дней.",
]


# The first passage, as a plain forward pass of the network in NumPy over the package's weights, expanded to
# float32, gives it: 384 numbers in half precision.
REFERENCE = base64.b64decode(
    "yyJ2lnioyKm9KkutIhpTpCIpnpzRK9enES21rAmpYScmK62kv6yAqs8n4p0kqk4p1ixVLReomx9eKFupPamrqiYpJ6ryLDQp"
    "M6xJqdQq2KocqeAlvi1ZLo4sQCzQpRcmiaK6qeSn4CvxEwsqQaT0rMOuLKxgqSYteiviqkMpFRyQLLsoeSouKGup1aaXq4Qp"
    "qZvqqtAclSfXKAWtNyi7pxGtgKhPrGwo26ScKN4l6qwvLtgP0CnuKEqpYqoXrDCusaemLA4lOalQKpyiH5wVrgOqPyz9JVis"
    "MCgorF6syiPQK0op9qsgrEQghKd8KkGrfyt0qQOpW61/pTesqiuDIt2heBgkKBkoDReRLOApxip0r8KkualupgQkHCkVpZMq"
    "9yaCKNksaKRBLUCpsywkrOUtfyhoLYSr+KqPpvEp4ShvpLeqSa/anVGt86ijJaMsw6a0rNagYiRwo/Yophq7KeKlSSWOLIcr"
    "BiGFpdipA6xzprWoe6kIJ7Qkp6gnKPwqHqqLrHWsoSYlrJgrDSY5LGalh6CQKuwnjqRlGN+tnSTjqVkotCw4rYWppiqGqlMi"
    "PCqRKL+pxihxKTYjS5RhrVqo9iiHJ8ieOqbGLL+pkKioqbutGaUTrvUo7CxALZyq46eurXQouaruLOmmrqkDLJ6kxCSlIw2q"
    "eankqN2pzSTYK1cobqysIWAlL6s+L8wslCqkKHCsDiFIrFeu/KyMC+0sA6kRnPiqQ6QUMDGsAKauKgUaZy0XKe0iAaTSJIUi"
    "xaxnqjggyaWoK9CswC0HKEckqyqWpDgqZ6fQqD4sdSlarCUnPyeZKbwo8yCFKlwsDqooqc0lgSsLI9MmzaoCrVysMJ9AqGqr"
    "ASsjLC2umqowLWgmCyRlq1SpxSdFqxYkwqQxLOKsj6YqKsQvOaxzKIimZqu7Kqiprpe7JyEqmqhmKMMrf6pmLUmm5aduItcp"
    "B61nG2opwyrxJ5EpkqhHpq4mr6o9K14rPKsnoJOnMKzUqbMoy6kxqZwt9iomIdUq"
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedding") / "model.gguf"


@pytest.fixture(scope="module")
def model(weights: Path) -> Iterator[ModelProcess]:
    with ModelProcess(embeddings=weights) as running:
        running.start(free_port(), weights.with_name("embedding.log"))
        running.wait_until_ready(READY_WITHIN)
        yield running


@pytest.fixture
async def embedder(model: ModelProcess) -> AsyncIterator[Embedder]:
    settings = Settings(
        _env_file=None,
        embedding_api_base=model.base_url,
        embedding_model_name=embedding_weights.MODEL_ID,
    )
    made = new_embedder(settings)
    yield made
    await made.close()


def test_it_names_its_one_model(model: ModelProcess) -> None:
    answer = httpx.get(f"{model.base_url}/models", trust_env=False)
    assert [entry["id"] for entry in answer.json()["data"]] == ["multilingual-e5-small"]


@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("как поменять пароль", 0),
        ("во сколько приходит поезд", 1),
        ("рецепт супа из свёклы", 2),
        ("Wo schläft die Katze?", 3),
        ("When is the payment due?", 4),
    ],
)
async def test_the_right_russian_passage_is_first(embedder: Embedder, question: str, right: int) -> None:
    vectors = await embedder.embed_passages(PASSAGES)
    assert vectors.shape == (5, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert int(np.argmax(vectors @ await embedder.embed_query(question))) == right


async def test_vectors_are_those_of_the_original_network(embedder: Embedder) -> None:
    reference = np.frombuffer(REFERENCE, "<f2").astype(np.float32)
    (vector,) = await embedder.embed_passages(PASSAGES[:1])
    assert vector @ reference / np.linalg.norm(reference) > 0.9998


async def test_a_batch_gives_what_single_texts_give(embedder: Embedder) -> None:
    together = await embedder.embed_passages(PASSAGES)
    alone = np.concatenate([await embedder.embed_passages([passage]) for passage in PASSAGES])
    assert np.min(np.sum(together * alone, axis=1)) > 0.999


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "a\0b",
        "\ufdfa" * 10_000,
        "\ud800",
        "</s>" * 300,
        "x" * 20_000,
        "😀" * 600,
        "\u0301" * 600,
    ],
    ids=["empty", "nul", "inner-nul", "u+fdfa", "surrogate", "special", "one-word", "emoji", "marks"],
)
async def test_it_survives_bad_texts(embedder: Embedder, text: str) -> None:
    parts = [text[piece.start : piece.end] for piece in cut(text, embedder.piece_tokens)[:1]]
    vectors = await embedder.embed_passages([text, *parts])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(await embedder.embed_query(text)), 1, atol=1e-5)
    assert (await embedder.embed_passages(PASSAGES)).shape == (5, 384)


async def test_no_piece_of_prose_is_too_long_for_it(model: ModelProcess, embedder: Embedder) -> None:
    prose = " ".join(PASSAGES * 12)
    pieces = cut(prose, embedder.piece_tokens)
    texts = ["passage: " + prose[piece.start : piece.end] for piece in pieces]
    assert len(texts) > 1
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        answer = await client.post(f"{model.base_url}/embeddings", json={"model": "m", "input": texts})
    assert answer.status_code == 200
    assert answer.json()["usage"]["total_tokens"] > 300 * (len(texts) - 1)


async def test_a_query_is_answered_while_passages_are_computed(embedder: Embedder) -> None:
    passages = asyncio.create_task(embedder.embed_passages([PASSAGES[0] * 8] * 30))
    await embedder.embed_passages(PASSAGES[:1])  # the first batch is done, and many wait
    await embedder.embed_query("как поменять пароль")
    assert not passages.done()
    assert (await passages).shape == (30, 384)


def test_a_busy_port_is_told_with_its_own_option() -> None:
    with socket.create_server((model_server.HOST, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ModelProcessError, match=f"Port {port} is in use; try --embedding-port"):
            ModelProcess(embeddings=Path("weights.gguf")).start(port)


def test_why_it_cannot_be_served_is_told_and_it_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    told: queue.Queue[str | None] = queue.Queue()
    model = ModelProcess(embeddings=tmp_path / "file" / "model.gguf")
    with ModelKeeper(model, told.put, start_seconds=READY_WITHIN, first_pause=0) as keeper:
        model.prepare(free_port())
        keeper.start()
        reason = told.get(timeout=READY_WITHIN)
    assert reason is not None
    assert reason.startswith("The weights of the embedding model cannot be written to")
    assert not reason.endswith("again")
    assert told.empty()


@pytest.mark.parametrize("grace", [5.0, 0.0], ids=["politely", "by force"])
def test_nothing_is_told_of_a_stop(tmp_path: Path, grace: float) -> None:
    told: queue.Queue[str | None] = queue.Queue()
    model = ModelProcess(embeddings=tmp_path / "model.gguf")
    keeper = ModelKeeper(model, told.put, start_seconds=READY_WITHIN)
    model.start(free_port())
    keeper.start()
    keeper.stop(grace)
    assert told.empty()
    assert model.pid is None
