"""The connection to Redis or Valkey: commands, and one subscription for the whole process."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from core.errors import SettingsError
from core.logs import get_logger

TIMEOUT_SECONDS = 5.0
# A connection that says nothing for so long is asked whether it lives, and given up after as long again.
SILENCE_SECONDS = 5.0
SHORTEST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 2.0
PREFIX = "gwp-chat:"
UNREACHABLE = (RedisError, OSError, TimeoutError)

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who listens on a channel. Neither function may raise."""

    message: Callable[[bytes], None]
    begun: Callable[[], None]
    """Called whenever the subscription begins, and again after each loss of the connection."""


class Broker:
    """What the processes of one installation tell each other through."""

    def __init__(self, url: str) -> None:
        """Raises `SettingsError` if this is no URL of Redis."""
        self.client: Redis = _client(url)
        self._subscribers: dict[bytes, Subscriber] = {}
        self._changes: asyncio.Queue[bytes] = asyncio.Queue()
        self._pubsub: PubSub | None = None
        # Redis's client makes an error of its own out of a cancellation that meets it in mid-command.
        self._is_closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect. Raises `SettingsError` if nobody answers."""
        try:
            await self.client.ping()
        except UNREACHABLE as error:
            await self.client.aclose()
            # Without a password, the client's first word is refused in words of the protocol.
            wants_password = isinstance(error, AuthenticationError) or "authenticated" in str(error)
            reason = "it wants a password: redis://:password@host:6379/0" if wants_password else error
            raise SettingsError(f"CHAT_REDIS_URL: cannot be used: {reason}") from None
        self._tasks = [
            asyncio.create_task(self._listen(), name="broker: listen"),
            asyncio.create_task(self._change(), name="broker: subscribe"),
        ]

    async def close(self) -> None:
        """Close every connection."""
        self._is_closing = True
        # Again and again: Redis's client may lose a cancellation, and then nothing else would end the tasks.
        while pending := [task for task in self._tasks if not task.done()]:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=SHORTEST_WAIT_SECONDS)
        await self.client.aclose()

    def subscribe(self, channel: str, subscriber: Subscriber) -> None:
        """Tell `subscriber` what comes on `channel`, from the moment of its `begun` on."""
        self._subscribers[channel.encode()] = subscriber
        self._changes.put_nowait(channel.encode())

    def unsubscribe(self, channel: str) -> None:
        """Tell nobody any more."""
        if self._subscribers.pop(channel.encode(), None) is not None:
            self._changes.put_nowait(channel.encode())

    async def _change(self) -> None:
        """Bring the subscription in line; what fails here, the next connection begins with."""
        while not self._is_closing:
            channel = await self._changes.get()
            connection = self._pubsub.connection if self._pubsub is not None else None
            if connection is None or not connection.is_connected:
                continue
            command = "SUBSCRIBE" if channel in self._subscribers else "UNSUBSCRIBE"
            with contextlib.suppress(*UNREACHABLE):
                # Past the client's own methods: those connect anew, and read, while `_take` reads.
                await connection.send_command(command, channel, check_health=False)

    async def _listen(self) -> None:
        wait = SHORTEST_WAIT_SECONDS
        while not self._is_closing:
            try:
                async with self.client.pubsub() as pubsub:
                    asked = set(self._subscribers)
                    # One channel at least: who has subscribed to nothing cannot wait.
                    await pubsub.subscribe(PREFIX + "hello", *asked)
                    self._pubsub = pubsub
                    for channel in asked ^ set(self._subscribers):  # changed while that was under way
                        self._changes.put_nowait(channel)
                    wait = SHORTEST_WAIT_SECONDS
                    await self._take(pubsub)
            except UNREACHABLE as error:
                _logger.warning("broker lost", error=type(error).__name__, next_try_seconds=wait)
            except Exception:
                # Without a subscription this process would be deaf for ever.
                _logger.exception("broker's message not understood", next_try_seconds=wait)
            finally:
                self._pubsub = None
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def _take(self, pubsub: PubSub) -> None:
        is_asked = False
        while not self._is_closing:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
            if message is not None:
                is_asked = False
                self._tell(message)
            elif is_asked:
                raise RedisConnectionError("the broker does not answer")
            else:
                await pubsub.ping()
                is_asked = True

    def _tell(self, message: dict[str, Any]) -> None:
        subscriber = self._subscribers.get(message["channel"] or b"")
        if subscriber is None:
            return
        if message["type"] == "message":
            subscriber.message(message["data"])
        elif message["type"] == "subscribe":
            subscriber.begun()


def _client(url: str) -> Redis:
    try:
        return Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # Who asks decides what is tried again: an append may have arrived although its answer did not.
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise SettingsError(f"CHAT_REDIS_URL: {error}; it must be like redis://host:6379/0") from None
