"""Work in the background goes on, whatever it raises, ever more slowly, and tells how it is."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from core.search.retries import Pauses, RetriedWork
from core.search.vectors import VectorStoreUnavailable

DEADLINE = 20


class Work:
    """Raises what it is given, one after the other, and works then; notes how it was at each try."""

    def __init__(self, *raised: BaseException) -> None:
        self._raised = list(raised)
        self.troubles: list[str | None] = []
        self.tried_at: list[float] = []
        self.retried = RetriedWork("the work", self._do, 0.02)

    async def _do(self) -> bool:
        self.troubles.append(self.retried.trouble)
        self.tried_at.append(asyncio.get_running_loop().time())
        if self._raised:
            raise self._raised.pop(0)
        return False

    async def catch_up(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.retried.catch_up()


@pytest.mark.parametrize(
    "fault",
    [lambda: KeyError("nobody named it"), lambda: asyncio.CancelledError("of somebody else's future")],
    ids=["an exception", "a stray cancellation"],
)
async def test_an_unnamed_fault_is_logged_and_tried_again_ever_more_slowly(
    fault: Callable[[], BaseException],
) -> None:
    work = Work(*(fault() for _ in range(4)))
    with capture_logs() as logged:
        await work.catch_up()
    faults = [line for line in logged if line["log_level"] == "error"]
    assert len(work.tried_at) == 5
    assert [line["again_in_seconds"] for line in faults] == [0.02, 0.04, 0.08, 0.16]
    assert all(line["exc_info"] for line in faults)
    for line, (before, after) in zip(faults, pairwise(work.tried_at), strict=True):
        assert after - before >= line["again_in_seconds"]
    assert logged[-1]["event"] == "search index works again"


async def test_a_fault_is_trouble_until_the_work_is_done() -> None:
    work = Work(KeyError("nobody named it"), VectorStoreUnavailable("unreachable"))
    await work.catch_up()
    before, fault, outage = work.troubles
    assert before is None
    assert fault is not None
    assert "internal error" in fault
    assert "nobody named it" not in fault
    assert outage == str(VectorStoreUnavailable("unreachable"))
    assert work.retried.trouble is None


async def test_a_short_outage_is_not_logged() -> None:
    with capture_logs() as logged:
        await Work(VectorStoreUnavailable("unreachable")).catch_up()
    assert logged == []


async def test_a_cancellation_ends_it() -> None:
    begun = asyncio.Event()

    async def work() -> bool:
        begun.set()
        await asyncio.Event().wait()
        return True

    task = asyncio.create_task(RetriedWork("the work", work).catch_up())
    async with asyncio.timeout(DEADLINE):
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_pauses_grow_up_to_the_longest_and_begin_anew() -> None:
    pauses = Pauses(first=1)
    assert [pauses.take(5) for _ in range(4)] == [1, 2, 4, 5]
    pauses.begin_anew()
    assert pauses.take(5) == 1
