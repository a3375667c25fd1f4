"""Writing one answer: from the provider's chunks to the log, and to what is stored."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeVar

from core.db.models import now
from core.db.records import Run, RunStatus
from core.db.session import Database, DatabaseUnavailable
from core.errors import ProviderError
from core.files.store import FileStore
from core.logs import get_logger
from core.plain import storable
from core.provider.chunks import Chunk
from core.provider.client import ProviderClient
from core.runs import store
from core.runs.answer import Answer
from core.runs.checkpoints import Progress
from core.runs.events import INTERNAL_ERROR, SERVER_STOPPED, Event, EventKind
from core.runs.files import AnswerFiles
from core.runs.history import load_request
from core.runs.log import EventLog, Fenced
from core.runs.store import Outcome
from core.settings import Settings

STOPPED_SENTENCE = "The server stopped while this answer was being written; what had arrived was kept"
INTERNAL_SENTENCE = "Internal error"
RETRY_SECONDS = 0.5

Result = TypeVar("Result")

_logger = get_logger(__name__)


class Stop(Enum):
    """Why a run was stopped from outside."""

    CANCELLED = "cancelled"
    SHUTDOWN = "shutdown"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Tools:
    """What every writer of a process shares."""

    settings: Settings
    db: Database
    files: FileStore
    provider: ProviderClient
    log: EventLog


class AnswerWriter:
    """Writes the answer of one run; `stop` ends it early and keeps what has arrived."""

    def __init__(self, tools: Tools, run: Run, secret_text: str | None) -> None:
        self.run = run
        self._tools = tools
        self._secret_text = secret_text
        self._answer = Answer()
        self._files = AnswerFiles(tools.db, tools.files, tools.settings.api_prefix, run.thread_id, run.id)
        self._first_token_at: datetime | None = None
        self._last_seq = 1
        self._asked_for_secret = False
        self._stopped: Stop | None = None
        self._work: asyncio.Task[None] | None = None

    async def write(self) -> Outcome | None:
        """Write until the end, whatever it is; None if the run is another writer's by now."""
        self._work = asyncio.create_task(self._stream(), name=f"provider {self.run.id}")
        if self._stopped is not None:
            self._work.cancel()
        try:
            await self._work
        except asyncio.CancelledError:
            return self._stopped_outcome()
        except Fenced:
            return None
        except ProviderError as error:
            _logger.info("provider failed", code=error.code)
            return self._outcome(RunStatus.FAILED, error.code, str(error))
        except Exception:
            _logger.exception("run failed of an internal error")
            return self._outcome(RunStatus.FAILED, INTERNAL_ERROR, INTERNAL_SENTENCE)
        return self._outcome(self._answer.status)

    def stop(self, reason: Stop) -> None:
        """End the answer now; the connection to the provider is closed."""
        if self._stopped is None:
            self._stopped = reason
            if self._work is not None:
                self._work.cancel()

    def progress(self) -> Progress:
        """What a checkpoint should save now."""
        pieces, text = self._answer.unsaved()
        return Progress(self.run.id, self.run.epoch, pieces, text, self._last_seq, self._first_token_at)

    def saved(self, progress: Progress) -> None:
        """Note that a checkpoint saved this."""
        self._answer.mark_saved(progress.pieces)

    async def _stream(self) -> None:
        tools, run = self._tools, self.run
        self._append([Event(EventKind.RUNNING)])
        request = await patiently(lambda: load_request(tools.db, tools.files, run, self._secret_text))
        self._secret_text = None
        async with tools.provider.stream_chat(request) as stream:
            while chunks := await stream.next():
                for chunk in chunks:
                    if chunk.attachments:
                        await patiently(functools.partial(self._files.keep, chunk))
                await self._take(chunks)

    async def _take(self, chunks: list[Chunk]) -> None:
        events = [self._answer.take(chunk) for chunk in chunks]
        if self._first_token_at is None and self._answer.has_text:
            self._first_token_at = now()
        if self._answer.awaits_secret and not self._asked_for_secret:
            # Before anybody sees the question: an answer to it may come before this run has ended.
            run = self.run
            await patiently(
                lambda: self._tools.db.write(lambda session: store.expect_secret(session, run.id, run.epoch))
            )
            self._asked_for_secret = True
        self._append(events)

    def _append(self, events: list[Event]) -> None:
        self._last_seq = self._tools.log.append(self.run.id, self.run.epoch, events)

    def _stopped_outcome(self) -> Outcome | None:
        if self._stopped is Stop.LOST:
            return None
        if self._stopped is Stop.CANCELLED:
            return self._outcome(RunStatus.CANCELLED)
        return self._outcome(RunStatus.FAILED, SERVER_STOPPED, STOPPED_SENTENCE)

    def _outcome(self, status: RunStatus, error_code: str | None = None, error: str | None = None) -> Outcome:
        answer = self._answer
        ended_well = status in (RunStatus.COMPLETED, RunStatus.INTERRUPTED)
        return Outcome(
            status,
            text=answer.text,
            error_code=error_code,
            error=storable(error) if error else None,
            metadata=answer.metadata if ended_well else {},
            response_id=answer.response_id,
            conversation_id=answer.conversation_id,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            asked_for_secret=self._asked_for_secret,
            provider_said_so=answer.provider_said_so,
            last_seq=self._last_seq + 1,
            first_token_at=self._first_token_at,
        )


async def patiently(work: Callable[[], Awaitable[Result]]) -> Result:
    """The result of `work`, tried again for as long as the database is away."""
    while True:
        try:
            return await work()
        except DatabaseUnavailable:
            await asyncio.sleep(RETRY_SECONDS)
