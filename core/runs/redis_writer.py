"""Pushing what is written here to Redis or Valkey, for the readers of other processes.

The log in memory comes first: readers here are told at once, and while the broker is away the run goes on.
Redis gets what it lacks whenever it answers, from the number on that it says it has: so an append whose
answer was lost, a restart and a long absence are all the same to it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from redis.exceptions import NoScriptError

from core.broker.broker import LONGEST_WAIT_SECONDS, SHORTEST_WAIT_SECONDS, UNREACHABLE, Broker
from core.logs import get_logger
from core.runs.events import Event, EventKind, RunEnd
from core.runs.redis_scripts import APPEND, FENCED, RESTORE, TRIM, channel, keys
from core.runs.run_log import MOST_EVENTS_IN_A_BATCH, RunLog

# How long a run's events are gathered after a push of it; its first text does not wait at all.
BATCH_SECONDS = 0.04
# How often runs are looked for whose time has come: few at once, so that readers wait less for the last.
TICK_SECONDS = 0.02
MOST_RUNS_AT_ONCE = 256

_logger = get_logger(__name__)
_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class _Batch:
    last_seq: int
    size: int
    characters: int


@dataclass(slots=True)
class _Written:
    """A run that is written here, and how much of it Redis has."""

    run_id: UUID
    epoch: int
    log: RunLog
    acknowledged: int = 0
    is_due: bool = False
    next_at: float = 0.0
    has_shown_text: bool = False
    # What Redis keeps, and where its text before that ends.
    kept: deque[_Batch] = field(default_factory=deque)
    kept_size: int = 0
    trimmed: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    """One script for one run, and what Redis has of it if the answer is `last_seq`."""

    run: _Written
    last_seq: int
    sha: str
    arguments: tuple[str | bytes | int, ...]
    batch: _Batch | None = None
    text_size: int = 0


class RedisWriter:
    """Brings the events of all runs that are written here to Redis, those of many runs in one go."""

    def __init__(self, broker: Broker, *, run_bytes: int, fenced: Callable[[UUID], None]) -> None:
        """`fenced` is told of runs that another process has taken over."""
        self._broker = broker
        self._run_bytes = run_bytes
        self._fenced = fenced
        self._written: dict[UUID, _Written] = {}
        self._due: deque[_Written] = deque()
        self._has_due, self._is_urgent = asyncio.Event(), asyncio.Event()
        self._shas: dict[str, str] = {}
        self._is_closing = False
        self._others: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._push_for_ever(), name="event log: push")

    async def close(self) -> None:
        """Push what is left, if Redis answers; then end."""
        self._is_closing = True
        self._task.cancel()
        await asyncio.wait([self._task, *self._others])
        with contextlib.suppress(*UNREACHABLE):
            while self._due:
                await self._push()

    def writes(self, run_id: UUID) -> bool:
        """Whether this run is written here."""
        return run_id in self._written

    def push(self, run_id: UUID, log: RunLog, events: Sequence[Event]) -> None:
        """Have the events that were just added to `log` pushed, with all that Redis lacks."""
        run = self._written.get(run_id)
        if run is None:
            run = self._written[run_id] = _Written(run_id, log.epoch, log)
        if not run.has_shown_text and any(event.text for event in events):
            run.has_shown_text, run.next_at = True, 0.0
            self._is_urgent.set()
        self._plan(run)

    def push_all(self) -> None:
        """Ask Redis of every run what it has, and push the rest: it may have lost everything."""
        for run in self._written.values():
            run.acknowledged = 0
            self._plan(run)

    def forget(self, run_id: UUID) -> None:
        """Drop what Redis has of this run."""
        if self._written.pop(run_id, None) is not None:
            self._spawn(self._drop(run_id))

    def push_end(self, run_id: UUID, epoch: int, end: RunEnd) -> None:
        """Add the end of a run whose writer died."""
        self._spawn(self._push_end(run_id, epoch, end))

    async def call(self, script: str, run_id: UUID, *arguments: str | bytes | int) -> Any:
        """The answer of a script that is asked alone. Raises what `UNREACHABLE` names."""
        try:
            return await self._broker.client.evalsha(await self._sha(script), 3, *keys(run_id), *arguments)
        except NoScriptError:
            self._shas.clear()
            return await self._broker.client.evalsha(await self._sha(script), 3, *keys(run_id), *arguments)

    # --- pushing ---------------------------------------------------------------------------

    def _plan(self, run: _Written) -> None:
        if not run.is_due:
            run.is_due = True
            self._due.append(run)
            self._has_due.set()

    async def _push_for_ever(self) -> None:
        wait, loop = SHORTEST_WAIT_SECONDS, asyncio.get_running_loop()
        next_at = 0.0
        while not self._is_closing:
            await self._has_due.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(next_at):
                    await self._is_urgent.wait()
            next_at = loop.time() + TICK_SECONDS
            try:
                await self._push()
            except UNREACHABLE as error:
                _logger.warning("events not pushed yet", error=type(error).__name__, next_try_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
            else:
                wait = SHORTEST_WAIT_SECONDS

    async def _push(self) -> None:
        """One script for each run whose time has come, in one go. Raises what `UNREACHABLE` names."""
        self._is_urgent.clear()
        due = self._take_due()
        try:
            calls = [call for run in due if (call := await self._next_call(run)) is not None]
            if not calls:
                return
            pipeline = self._broker.client.pipeline(transaction=False)
            for call in calls:
                pipeline.evalsha(call.sha, 3, *keys(call.run.run_id), call.run.epoch, *call.arguments)
            answers = await pipeline.execute(raise_on_error=False)
        except BaseException:  # cancelled by `close`, too, which pushes what is left
            for run in due:
                self._plan(run)
            raise
        for call, answer in zip(calls, answers, strict=True):
            self._settle(call, answer)
        faults = [answer for answer in answers if isinstance(answer, Exception)]
        if faults:
            raise faults[0]

    def _take_due(self) -> list[_Written]:
        now = asyncio.get_running_loop().time()
        taken: list[_Written] = []
        left: deque[_Written] = deque()
        for run in self._due:
            if len(taken) < MOST_RUNS_AT_ONCE and (run.next_at <= now or self._is_closing):
                run.is_due, run.next_at = False, now + BATCH_SECONDS
                taken.append(run)
            else:
                left.append(run)
        self._due = left
        if not left:
            self._has_due.clear()
        elif len(taken) == MOST_RUNS_AT_ONCE:
            self._is_urgent.set()
        return taken

    async def _next_call(self, run: _Written) -> _Call | None:
        log, first = run.log, run.acknowledged + 1
        if self._written.get(run.run_id) is not run or first > log.last_seq:
            return None
        if first < log.base:
            text = log.text_before(log.base)
            last = log.base - 1
            return _Call(run, last, await self._sha(RESTORE), (last, text), text_size=len(text))
        start = first - log.base
        events = log.events[start : start + MOST_EVENTS_IN_A_BATCH]
        payload, last = _encode(events), run.acknowledged + len(events)
        batch = _Batch(last, len(payload), sum(len(event.text) for event in events))
        arguments = (first, last, payload, channel(run.run_id))
        return _Call(run, last, await self._sha(APPEND), arguments, batch)

    def _settle(self, call: _Call, answer: object) -> None:
        run = call.run
        if isinstance(answer, NoScriptError):
            self._shas.clear()
        if not isinstance(answer, int):
            self._plan(run)
            return
        if answer == FENCED:
            self._written.pop(run.run_id, None)
            self._fenced(run.run_id)
            return
        if answer == call.last_seq:
            self._note(run, call)
        run.acknowledged = answer
        if answer < run.log.last_seq:
            run.next_at = 0.0
            self._plan(run)

    def _note(self, run: _Written, call: _Call) -> None:
        """Keep account of what Redis keeps, and have the oldest dropped when it is too much."""
        if call.batch is None:
            run.kept.clear()
            run.kept_size, run.trimmed = 0, call.text_size
            return
        run.kept.append(call.batch)
        run.kept_size += call.batch.size
        if run.kept_size <= self._run_bytes:
            return
        dropped, characters = call.batch, 0
        while run.kept_size > self._run_bytes // 2 and len(run.kept) > 1:
            dropped = run.kept.popleft()
            run.kept_size -= dropped.size
            characters += dropped.characters
        run.trimmed += characters
        text = "".join(run.log.texts)[: run.trimmed]
        self._spawn(self._trim(run, dropped.last_seq, text))

    # --- what is asked alone ---------------------------------------------------------------

    async def _trim(self, run: _Written, last_seq: int, text: str) -> None:
        with contextlib.suppress(*UNREACHABLE):
            await self.call(TRIM, run.run_id, run.epoch, last_seq, text)

    async def _drop(self, run_id: UUID) -> None:
        with contextlib.suppress(*UNREACHABLE):  # it expires by itself
            await self._broker.client.unlink(*keys(run_id))

    async def _push_end(self, run_id: UUID, epoch: int, end: RunEnd) -> None:
        payload = _encode([Event(EventKind.END, end=end)])
        with contextlib.suppress(*UNREACHABLE):  # readers elsewhere will look it up
            await self.call(APPEND, run_id, epoch, 0, 0, payload, channel(run_id))

    async def _sha(self, script: str) -> str:
        sha = self._shas.get(script)
        if sha is None:
            sha = self._shas[script] = await self._broker.client.script_load(script)
        return sha

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)
