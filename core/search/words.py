"""The words of a phrase that somebody looks for."""

import re
from functools import cache
from typing import ClassVar

from core.errors import InvalidQuery
from core.search.classes import Chars, Named, word_ranges, written
from core.search.engine import Compiled, compiled
from core.search.folding import composed, folded
from core.search.syntax import Node, Repeat, Sequence, Text

MAX_WORDS = 32
"""How many words of a phrase are looked for."""

_MAX_LENGTH = 64
_MAX_PHRASE = 10_000
_QUOTED = re.compile(r'"([^"]*)"|«([^»]*)»|“([^”]*)”|„([^“”]*)[“”]')
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_SPACE = Repeat(Chars((Named("s"),), negated=False, fold=True), 1, None, lazy=False)


class InvalidPhrase(InvalidQuery):
    """There is nothing in the phrase that could be looked for."""

    code: ClassVar[str] = "INVALID_PHRASE"

    def __init__(self, message: str) -> None:
        super().__init__("query", message)


def words_of(phrase: str) -> dict[str, Node]:
    """The different words and quoted phrases, each with the parts of its pattern; InvalidPhrase.

    Where a phrase has no letters and digits at all, such as "->", what stands between spaces is taken.
    """
    unusable = _UNUSABLE.search(phrase)
    if unusable:
        raise InvalidPhrase(f"No text holds U+{ord(unusable.group()):04X}; leave it out")
    phrase = composed(phrase[:_MAX_PHRASE])
    found: dict[str, str] = {}
    for word in _split(phrase) or phrase.split():
        found.setdefault(folded(word), word)
    if not found:
        raise InvalidPhrase("The search is empty; write a word to look for")
    return {word: _node(word) for word in list(found.values())[:MAX_WORDS]}


def _split(phrase: str) -> list[str]:
    words: list[str] = []
    at = 0
    for quoted in _QUOTED.finditer(phrase):
        words += _words(phrase[at : quoted.start()])
        words += filter(None, [" ".join(quoted.group(quoted.lastindex or 0).split())[:_MAX_LENGTH].strip()])
        at = quoted.end()
    return words + _words(phrase[at:])


def _words(text: str) -> list[str]:
    return [match.group()[:_MAX_LENGTH] for match in _word().finditer(text)]


def _node(word: str) -> Node:
    parts: list[Node] = []
    for part in word.split(" "):
        parts += [_SPACE, Text(part, fold=True)] if parts else [Text(part, fold=True)]
    return Sequence(tuple(parts))


@cache
def _word() -> Compiled:
    return compiled(f"[{written(word_ranges())}]+", fold=False)
