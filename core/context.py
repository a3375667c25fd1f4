"""What a resolver needs: the parts of this process, and who is asking."""

import threading
from dataclasses import dataclass, fields

from core.auth.bearers import KnownBearers
from core.auth.passwords import Passwords
from core.auth.tokens import Tokens
from core.db.records import User
from core.db.session import Database
from core.errors import Unauthenticated
from core.files.store import FileStore
from core.places import Places
from core.provider.client import ProviderClient
from core.runs.engine import RunEngine
from core.search.index import SearchIndex
from core.settings import Settings
from core.signals import Signals


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one process, put together once at its start."""

    settings: Settings
    db: Database
    files: FileStore
    provider: ProviderClient
    runs: RunEngine
    passwords: Passwords
    tokens: Tokens
    bearers: KnownBearers
    signals: Signals
    search: SearchIndex
    places: Places
    # Set once this process is about to end: it still serves, but should be given nothing more.
    leaving: threading.Event

    def context(self, caller: User | None) -> "Context":
        """The context of one call."""
        return Context(**{part.name: getattr(self, part.name) for part in fields(Services)}, caller=caller)


@dataclass(frozen=True, slots=True)
class Context(Services):
    """One call: the parts, and the caller if somebody is signed in."""

    caller: User | None

    @property
    def user(self) -> User:
        """The caller. Raises `Unauthenticated` if nobody is signed in."""
        if self.caller is None:
            raise Unauthenticated("Not authenticated")
        return self.caller
