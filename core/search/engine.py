"""RE2, the engine that matches in linear time; it lets other threads run while it does."""

from collections.abc import Iterator
from typing import Protocol, cast

import re2  # type: ignore[import-untyped]

PROBE_MEMORY = 300 * 2**10
"""What a pattern of about 15,000 steps needs: it compiles in some 10 ms, in which no other thread runs."""

MATCH_MEMORY = 8 * 2**20
"""How much memory a pattern may take for its states; with less, RE2 matches slower."""


class NotCompiled(Exception):
    """RE2 refuses the pattern, for this reason."""


class Match(Protocol):
    """A match in text or bytes."""

    def span(self) -> tuple[int, int]:
        """Where it begins and ends, in the units of what was searched."""

    def group(self) -> str:
        """What was matched in a text."""


class Compiled(Protocol):
    r"""A pattern; `^`, `$` and `\b` see what stands before `pos` and behind `endpos`."""

    def search(self, text: bytes, pos: int, endpos: int) -> Match | None:
        """The first match from `pos` on."""

    def match(self, text: bytes, pos: int, endpos: int) -> Match | None:
        """The match at `pos`."""

    def finditer(self, text: str) -> Iterator[Match]:
        """All matches, one behind the other."""


def compiled(source: str, *, fold: bool = True, memory: int = MATCH_MEMORY) -> Compiled:
    """The pattern in RE2's own terms, ready to match; NotCompiled.

    RE2's Python module would keep the last 128 patterns with all their states; this keeps none.
    """
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not fold
    options.max_mem = memory
    try:
        return cast(Compiled, re2.compile(source, options))
    except re2.error as error:
        reason = error.args[0]
        raise NotCompiled(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
    finally:
        re2.purge()
