"""Bearers: who holds a token; and those of the last requests, so that each is not looked up again."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from core.db.records import User
from core.signals import Listener, Signals, user_topic

# Signals tell at once; should one be lost, this is how long a dead token may go on.
POLL_SECONDS: Final = 15.0
_MOST_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True)
class Bearer:
    """The holder of a token, as the account was when the token was presented."""

    token: str = field(repr=False)
    user: User
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Known:
    bearer: Bearer
    listener: Listener
    listening: ExitStack
    until: float


class KnownBearers:
    """The bearers of the access tokens that came last.

    One is known until the token expires, anything is announced about the account, or `POLL_SECONDS` are over.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def get(self, token: str) -> Bearer | None:
        """Who holds this access token, if that is known and still true."""
        known = self._known.get(token)
        if known is None:
            return None
        if (
            known.listener.has_news
            or known.until <= time.monotonic()
            or known.bearer.expires_at <= datetime.now(UTC)
        ):
            self._forget(token)
            return None
        self._known.move_to_end(token)
        return known.bearer

    async def learn(self, token: str, user_id: UUID, read: Callable[[], Awaitable[Bearer]]) -> Bearer:
        """What `read` tells of this token, whose user is `user_id`. Raises what `read` raises."""
        with ExitStack() as listening:
            # From before the account is read: what changes meanwhile is not known any more.
            listener = listening.enter_context(self._signals.listen(user_topic(user_id)))
            until = time.monotonic() + POLL_SECONDS
            bearer = await read()
            self._forget(token)
            self._known[token] = _Known(bearer, listener, listening.pop_all(), until)
        if len(self._known) > _MOST_KNOWN:
            self._forget(next(iter(self._known)))
        return bearer

    def _forget(self, token: str) -> None:
        known = self._known.pop(token, None)
        if known is not None:
            known.listening.close()
