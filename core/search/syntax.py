"""The parts of a regular expression, and what is wrong with one."""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from core.errors import InvalidQuery
from core.search.classes import Chars


class InvalidPattern(InvalidQuery):
    """The regular expression cannot be used; `reason` says why and where, without any prefix."""

    code: ClassVar[str] = "INVALID_PATTERN"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Invalid regex: {reason}")
        self.reason = reason


class Edge(Enum):
    """A place between two characters."""

    TEXT_START = r"\A"
    TEXT_END = r"\z"
    LAST_LINE_END = r"(?:\n?\z)"
    LINE_START = "(?m:^)"
    LINE_END = "(?m:$)"
    WORD = r"\b"
    NO_WORD = r"\B"


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that stand for themselves, composed; `fold` makes their case count for nothing."""

    text: str
    fold: bool


@dataclass(frozen=True, slots=True)
class AnyChar:
    """Any character, with or without the newline."""

    newline: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    """The first option that leads to a match."""

    options: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part so many times; `most` is None where there is no end, `lazy` prefers few."""

    part: "Node"
    least: int
    most: int | None
    lazy: bool


Node = Text | Chars | AnyChar | Edge | Sequence | Choice | Repeat
