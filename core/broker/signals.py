"""Signals that cross processes: what one publishes, the listeners of all others hear as well."""

import asyncio

from core.broker.broker import LONGEST_WAIT_SECONDS, PREFIX, UNREACHABLE, Broker, Subscriber
from core.ids import new_id
from core.signals import Signals

CHANNEL = PREFIX + "signals"
# Signals of one moment go together.
GATHER_SECONDS = 0.005


class SharedSignals:
    """Carries the signals of this process to the others, and theirs to its listeners.

    What cannot be told while the broker is away is told on its return; what others said meanwhile may be
    lost, so every listener then looks for itself.
    """

    def __init__(self, broker: Broker, signals: Signals) -> None:
        self._broker = broker
        self._signals = signals
        self._process = new_id().hex
        self._topics: set[str] = set()
        self._has_topics = asyncio.Event()
        signals.forward = self._forward
        broker.subscribe(CHANNEL, Subscriber(self._heard, signals.publish_all))
        self._task = asyncio.create_task(self._tell(), name="shared signals")

    async def close(self) -> None:
        """Tell nobody any more."""
        self._signals.forward = None
        self._broker.unsubscribe(CHANNEL)
        self._task.cancel()
        await asyncio.wait([self._task])

    def _forward(self, topic: str) -> None:
        self._topics.add(topic)
        self._has_topics.set()

    def _heard(self, message: bytes) -> None:
        process, *topics = message.decode().split("\n")
        if process != self._process:
            for topic in topics:
                self._signals.hear(topic)

    async def _tell(self) -> None:
        while self._signals.forward is not None:
            await self._has_topics.wait()
            await asyncio.sleep(GATHER_SECONDS)
            topics, self._topics = self._topics, set()
            self._has_topics.clear()
            try:
                await self._broker.client.publish(CHANNEL, "\n".join((self._process, *topics)))
            except UNREACHABLE:
                self._topics |= topics
                self._has_topics.set()
                await asyncio.sleep(LONGEST_WAIT_SECONDS)
