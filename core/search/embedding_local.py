"""Vectors from sentence-transformers in this process, on a thread of its own."""

import asyncio
import importlib
import itertools
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.logs import get_logger
from core.search.embedding_errors import BatchRefused, EmbeddingUnavailable
from core.settings import Settings

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 15.0, 600.0
# A query does not wait for a model to be downloaded and loaded.
QUERY_PATIENCE_SECONDS = 10.0
_CLOSING_SECONDS = 5.0

_QUERY, _PASSAGES, _END = range(3)
_CLOSED = "The embedding model is closed, because the server stops"

_logger = get_logger(__name__)

Vectors = NDArray[np.float32]


@dataclass(order=True, slots=True)
class _Job:
    """Texts to embed, or the end of the thread; ordered by what goes first."""

    urgency: int
    number: int
    texts: list[str] = field(compare=False)
    answer: "asyncio.Future[Vectors] | None" = field(compare=False)


class LocalBackend:
    """One sentence-transformers model. It is loaded at the first use; importing the package alone is long."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._model_name = settings.embedding_model_name
        self._device = settings.embedding_device
        self._batch_size = settings.embedding_batch_size
        self._clock = clock
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False
        # Only the thread uses these.
        self._model: Any = None
        self._unavailable: EmbeddingUnavailable | None = None
        self._retry_at, self._retry_wait = 0.0, FIRST_RETRY_SECONDS

    async def embed(self, texts: Sequence[str], *, urgent: bool) -> Vectors:
        """A row for each text. Raises `EmbeddingUnavailable` and `BatchRefused`."""
        if self._closed:
            raise EmbeddingUnavailable(_CLOSED)
        if self._thread is None:
            # A daemon: a download under way must not hold the process at its end.
            self._thread = threading.Thread(target=self._work, name="embedding", daemon=True)
            self._thread.start()
        answer: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._put(_QUERY if urgent else _PASSAGES, list(texts), answer)
        if not urgent:
            return await answer
        try:
            return await asyncio.wait_for(answer, QUERY_PATIENCE_SECONDS)
        except TimeoutError:
            raise EmbeddingUnavailable(
                "The embedding model is still being loaded, or very busy; try again soon"
            ) from None

    async def close(self) -> None:
        """End the thread after what it is at; who still waits gets `EmbeddingUnavailable`."""
        self._closed = True
        if self._thread is not None:
            self._put(_END, [], None)
            await asyncio.to_thread(self._thread.join, _CLOSING_SECONDS)

    def _put(self, urgency: int, texts: list[str], answer: "asyncio.Future[Vectors] | None") -> None:
        self._jobs.put(_Job(urgency, next(self._numbers), texts, answer))

    def _work(self) -> None:
        while (answer := (job := self._jobs.get()).answer) is not None:
            if answer.cancelled():
                continue
            try:
                vectors = self._embed(job.texts)
            except (EmbeddingUnavailable, BatchRefused) as error:
                _deliver(answer, error)
            else:
                _deliver(answer, vectors)
        self._model = None

    def _embed(self, texts: list[str]) -> Vectors:
        if self._closed:
            raise EmbeddingUnavailable(_CLOSED)
        model = self._loaded()
        try:
            vectors = model.encode(
                texts,
                batch_size=self._batch_size,
                # The prefix is there already; what the model's own files may add would be a second one.
                prompt="",
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        except Exception as error:  # a foreign model's code: it may raise anything, out of memory included
            _logger.warning("sentence-transformers failed", texts=len(texts), error=type(error).__name__)
            raise BatchRefused from error
        return np.asarray(vectors, np.float32)

    def _loaded(self) -> Any:
        """The model; what went wrong when loading it is tried again only after a while."""
        if self._model is None:
            if self._unavailable is not None and self._clock() < self._retry_at:
                raise EmbeddingUnavailable(str(self._unavailable)) from self._unavailable
            try:
                self._model = _load(self._model_name, self._device)
            except EmbeddingUnavailable as error:
                self._unavailable = error
                self._retry_at = self._clock() + self._retry_wait
                self._retry_wait = min(2 * self._retry_wait, LAST_RETRY_SECONDS)
                raise
            self._unavailable, self._retry_wait = None, FIRST_RETRY_SECONDS
        return self._model


def _load(name: str, device: str | None) -> Any:
    try:
        package = importlib.import_module("sentence_transformers")  # takes eight CPU seconds
    except ImportError as error:
        _logger.warning("sentence-transformers cannot be imported", error=str(error))
        raise EmbeddingUnavailable(
            "The package sentence-transformers is not installed; run: pip install 'gwp-chat[embeddings]'"
            " or set CHAT_EMBEDDING_API_BASE"
        ) from error
    if (transformers := sys.modules.get("transformers")) is not None:
        transformers.utils.logging.disable_progress_bar()  # it would draw on the log
    began = time.monotonic()
    try:
        model = package.SentenceTransformer(name, device=device)
    except Exception as error:  # disk, network, device, the model's own files: anything
        _logger.warning("embedding model cannot be loaded", model=name, error=str(error))
        raise EmbeddingUnavailable(
            "The embedding model cannot be loaded; see CHAT_EMBEDDING_MODEL_NAME, CHAT_EMBEDDING_DEVICE"
            " and the server's log"
        ) from error
    _logger.info("embedding model loaded", model=name, seconds=round(time.monotonic() - began, 1))
    return model


def _deliver(answer: "asyncio.Future[Vectors]", outcome: "Vectors | Exception") -> None:
    """Give the outcome to whoever waits in the event loop, if somebody still does."""

    def settle() -> None:
        if answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    try:
        answer.get_loop().call_soon_threadsafe(settle)
    except RuntimeError:  # the loop was closed meanwhile
        _logger.debug("nobody waits for these vectors any more")
