"""Asking the other processes to end a run: one of them writes it."""

from collections.abc import Callable
from uuid import UUID

from core.broker.broker import PREFIX, UNREACHABLE, Broker, Subscriber

CHANNEL = PREFIX + "cancel"


class SharedCancels:
    """Asks the other processes, and hears what they ask."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def listen(self, asked: Callable[[UUID], None]) -> None:
        """Have `asked` told of every run that somebody wants to end."""
        broker = self._broker
        broker.subscribe(CHANNEL, Subscriber(lambda message: asked(UUID(message.decode())), lambda: None))

    async def ask(self, run_id: UUID) -> bool:
        """Ask whoever writes this run to end it; whether the question got away."""
        try:
            await self._broker.client.publish(CHANNEL, str(run_id))
        except UNREACHABLE:
            return False
        return True
