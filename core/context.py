"""What a resolver needs: the parts of this process, and who is asking."""

from dataclasses import dataclass

from core.auth.passwords import Passwords
from core.auth.tokens import Tokens
from core.db.records import User
from core.db.session import Database
from core.errors import Unauthenticated
from core.files.store import FileStore
from core.provider.client import ProviderClient
from core.runs.engine import RunEngine
from core.settings import Settings


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

    def context(self, caller: User | None) -> "Context":
        """The context of one call."""
        return Context(
            caller,
            self.settings,
            self.db,
            self.files,
            self.provider,
            self.runs,
            self.passwords,
            self.tokens,
        )


@dataclass(frozen=True, slots=True)
class Context:
    """One call: the caller, if somebody is signed in, and the parts."""

    caller: User | None
    settings: Settings
    db: Database
    files: FileStore
    provider: ProviderClient
    runs: RunEngine
    passwords: Passwords
    tokens: Tokens

    @property
    def user(self) -> User:
        """The caller. Raises `Unauthenticated` if nobody is signed in."""
        if self.caller is None:
            raise Unauthenticated("Not authenticated")
        return self.caller
