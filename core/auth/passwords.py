"""Password hashes: argon2id for new ones, bcrypt of older systems verified and replaced."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from passlib.context import CryptContext
from passlib.exc import PasswordValueError, UnknownHashError

from core.settings import Settings

LONGEST_PASSWORD = 4096
# What bcrypt ever looked at; older systems cut silently, so their hashes are of the cut password.
BCRYPT_BYTES = 72
HASHES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password is right, and a better hash to store in place of the old one."""

    is_right: bool
    new_hash: str | None = None


class Passwords:
    """Hashing and verifying off the event loop, a few at once: each takes 64 MiB and 0.1 s of a core.

    That is, if the settings say nothing else. Hashes that were cheaper are replaced at the next login.
    """

    def __init__(self, settings: Settings) -> None:
        self._context = CryptContext(
            schemes=["argon2", "bcrypt"],
            deprecated="auto",
            argon2__type="ID",
            argon2__memory_cost=settings.argon2_memory_kib,
            argon2__rounds=settings.argon2_iterations,
        )
        self._threads = ThreadPoolExecutor(HASHES_AT_ONCE, thread_name_prefix="password")
        self._dummy_hash: str | None = None

    async def hash(self, password: str) -> str:
        """An argon2id hash of the whole password, however long."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._context.hash, password)

    async def verify(self, password: str, stored_hash: str | None) -> Verdict:
        """Check a password; without a stored hash, the answer is no and takes as long."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._verify, password, stored_hash)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    def _verify(self, password: str, stored_hash: str | None) -> Verdict:
        try:
            if stored_hash is None:
                self._dummy_hash = self._dummy_hash or self._context.hash("nobody")
                self._context.verify(password, self._dummy_hash)
                return Verdict(is_right=False)
            if stored_hash.startswith("$2"):
                return self._verify_bcrypt(password, stored_hash)
            is_right, new_hash = self._context.verify_and_update(password, stored_hash)
        except (UnknownHashError, PasswordValueError, UnicodeEncodeError):
            return Verdict(is_right=False)
        return Verdict(is_right, new_hash)

    def _verify_bcrypt(self, password: str, stored_hash: str) -> Verdict:
        if not self._context.verify(password.encode()[:BCRYPT_BYTES], stored_hash):
            return Verdict(is_right=False)
        return Verdict(is_right=True, new_hash=self._context.hash(password))
