"""Places that are counted over all processes.

`gwp-chat:{places}:<key>` is a hash: how many each process has taken. `gwp-chat:{places}:process:<id>` is
there while that process lives, so what a killed one had taken is free soon.
"""

import asyncio
import contextlib
from typing import Final

from core.broker.broker import PREFIX, UNREACHABLE, Broker
from core.ids import new_id
from core.logs import get_logger
from core.places import Places

# How often a process says that it lives, and how long it is believed.
BEAT_SECONDS = 5.0
LIFETIME_MS = 15_000
# What has changed within so long is told together.
GATHER_SECONDS = 0.02
# Counts outlive their process's death no longer; they are told anew well before.
COUNTS_LIFETIME_MS: Final = 60 * 60 * 1000
_BEATS_BEFORE_ALL_IS_TOLD: Final = 240

_PLACES: Final = PREFIX + "{places}:"
_PROCESS: Final = _PLACES + "process:"

# ARGV: this process, what it has taken with the place it asks for, the most of all, prefix, lifetimes.
_TAKE: Final = """
local me = ARGV[4] .. ARGV[1]
local is_known = redis.call('EXISTS', me)
redis.call('SET', me, 1, 'PX', ARGV[6])
local others, counts = 0, redis.call('HGETALL', KEYS[1])
for i = 1, #counts, 2 do
  if counts[i] ~= ARGV[1] then
    if redis.call('EXISTS', ARGV[4] .. counts[i]) == 1 then
      others = others + tonumber(counts[i + 1])
    else
      redis.call('HDEL', KEYS[1], counts[i])
    end
  end
end
if others + tonumber(ARGV[2]) > tonumber(ARGV[3]) then return {0, is_known} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {1, is_known}
"""


_logger = get_logger(__name__)


class SharedPlaces(Places):
    """While the broker is away each process counts for itself; on its return it learns what was taken."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker
        self._process = new_id().hex
        self._take_in_redis = broker.client.register_script(_TAKE)
        # Counts are told as they are, not what changed: so one at a time, lest an older one comes last.
        self._telling = asyncio.Lock()
        self._changed: set[str] = set()
        self._has_changed = asyncio.Event()
        self._is_away = False
        self._is_closing = False
        self._task = asyncio.create_task(self._tell_for_ever(), name="shared places")

    async def close(self) -> None:
        """Give back everything that this process has taken."""
        self._is_closing = True
        # Redis's client may lose one cancellation; then the next command is the last.
        self._task.cancel()
        await asyncio.wait([self._task])
        with contextlib.suppress(*UNREACHABLE):
            await self._broker.client.unlink(_PROCESS + self._process)

    async def take(self, key: str, most: int) -> bool:
        """As in one process, and over all of them."""
        if self._is_away:
            return await self._take_here(key, most)
        async with self._telling:
            if self._is_away:  # by now
                return await self._take_here(key, most)
            if not await super().take(key, most):
                return False
            try:
                is_free, is_known = await self._take_in_redis(
                    keys=[_PLACES + key],
                    args=[self._process, self._taken[key], most, _PROCESS, COUNTS_LIFETIME_MS, LIFETIME_MS],
                )
            except UNREACHABLE as error:
                self._note_absence(error)
                self._note(key)
                return True
            except BaseException:
                self.release(key)
                raise
            if not is_free:
                super().release(key)
            if not is_known:
                self._note(*self._taken)
            return bool(is_free)

    async def _take_here(self, key: str, most: int) -> bool:
        is_free = await super().take(key, most)
        if is_free:
            self._note(key)
        return is_free

    def _note_absence(self, error: BaseException) -> None:
        if not self._is_away:
            _logger.warning("connections are counted by each process for itself", error=type(error).__name__)
        self._is_away = True

    def release(self, key: str) -> None:
        """As in one process; the others learn of it soon."""
        super().release(key)
        self._note(key)

    def _note(self, *keys: str) -> None:
        self._changed.update(keys)
        self._has_changed.set()

    async def _tell_for_ever(self) -> None:
        beats, loop = 0, asyncio.get_running_loop()
        beat_at = 0.0
        while not self._is_closing:
            is_beat = loop.time() >= beat_at
            if is_beat:
                beats, beat_at = beats + 1, loop.time() + BEAT_SECONDS
                if beats % _BEATS_BEFORE_ALL_IS_TOLD == 0:
                    self._changed |= set(self._taken)
            try:
                async with self._telling:
                    await self._tell(is_beat=is_beat)
                self._is_away = False
            except UNREACHABLE as error:
                self._note_absence(error)
                await asyncio.sleep(BEAT_SECONDS)
                beat_at = 0.0
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(beat_at):
                    await self._has_changed.wait()
                    await asyncio.sleep(GATHER_SECONDS)

    async def _tell(self, *, is_beat: bool) -> None:
        """Tell what has changed; everything if this process was taken for dead, or Redis lost its data."""
        client = self._broker.client
        if is_beat and not await client.set(_PROCESS + self._process, 1, px=LIFETIME_MS, get=True):
            self._changed |= set(self._taken)
        changed, self._changed = self._changed, set()
        self._has_changed.clear()
        if not changed:
            return
        pipeline = client.pipeline(transaction=False)
        for key in changed:
            if count := self._taken[key]:
                pipeline.hset(_PLACES + key, self._process, str(count))
                pipeline.pexpire(_PLACES + key, COUNTS_LIFETIME_MS)
            else:
                pipeline.hdel(_PLACES + key, self._process)
        try:
            await pipeline.execute()
        except BaseException:
            self._changed |= changed
            raise
