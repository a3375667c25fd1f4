"""Signals: whoever listens is woken, and nothing that was published between two waits is lost."""

import asyncio

from core.ids import new_id
from core.signals import Signals, threads_topic, user_topic

PATIENCE = 10.0


async def test_a_waiting_listener_is_woken() -> None:
    signals = Signals()
    with signals.listen("a") as listener:
        waiting = asyncio.create_task(listener.wait(PATIENCE))
        await asyncio.sleep(0)
        assert not waiting.done()
        signals.publish("a")
        assert await waiting


async def test_what_was_published_before_the_wait_ends_it_at_once_and_many_count_as_one() -> None:
    signals = Signals()
    with signals.listen("a") as listener:
        for _ in range(3):
            signals.publish("a")
        assert await listener.wait(0)
        assert not await listener.wait(0)


async def test_a_wait_that_runs_out_loses_nothing() -> None:
    signals = Signals()
    with signals.listen("a") as listener:
        assert not await listener.wait(0)
        signals.publish("a")
        assert await listener.wait(0)


async def test_a_wait_that_is_cancelled_just_as_it_is_woken_loses_nothing() -> None:
    signals = Signals()
    with signals.listen("a") as listener:
        waiting = asyncio.create_task(listener.wait())
        await asyncio.sleep(0)
        signals.publish("a")
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert await listener.wait(0)


async def test_each_listener_of_a_topic_is_told_and_no_other() -> None:
    signals = Signals()
    with signals.listen("a") as one, signals.listen("a") as two, signals.listen("b") as other:
        signals.publish("a")
        assert [await listener.wait(0) for listener in (one, two, other)] == [True, True, False]


async def test_a_listener_that_left_is_forgotten_and_the_others_stay() -> None:
    signals = Signals()
    with signals.listen("a") as stays:
        with signals.listen("a") as leaves:
            pass
        signals.publish("a")
        assert await stays.wait(0)
        assert not await leaves.wait(0)
    signals.publish("a")


def test_topics_of_different_owners_and_kinds_differ() -> None:
    one, two = new_id(), new_id()
    assert len({threads_topic(one), threads_topic(two), user_topic(one), user_topic(two)}) == 4
