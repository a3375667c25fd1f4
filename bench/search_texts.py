"""Histories for `bench.search`: made-up words with the frequencies of real ones, the same in every run.

Each thread keeps to a few subjects, so its messages have rare words in common, as those of people have.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

WORDS: Final = 20_000
MESSAGES_OF_A_THREAD: Final = 20
_TOPIC_WORDS: Final = 12
_ABOUT_THE_TOPIC: Final = 0.25
# A number that only a pattern without letters looks for.
_NUMBERED: Final = 0.05
_ENDINGS: Final = np.array([" ", " ", " ", " ", " ", " ", ", ", ". ", "? ", "\n"])


@dataclass(frozen=True, slots=True)
class ThreadTexts:
    """The words that a thread is about, and its messages."""

    topic: tuple[str, ...]
    texts: tuple[str, ...]


@cache
def vocabulary() -> tuple[str, ...]:
    """Words, the commonest first; every second one in Cyrillic."""
    latin = _syllables("bcdfghklmnprstvz", "aeiou")
    cyrillic = _syllables("бвгдзклмнпрстфхч", "аеиоу")
    rng = np.random.default_rng(1)
    words: dict[str, None] = {}
    while len(words) < WORDS:
        syllables = cyrillic if len(words) % 2 else latin
        # Common words are short, as in every language.
        length = 1 + min(len(words) // 40, 1) + int(rng.integers(0, 3))
        words["".join(rng.choice(syllables, length))] = None
    return tuple(words)


def threads(seed: int, messages: int) -> Iterator[ThreadTexts]:
    """Threads with so many messages together, of about 60 words each."""
    rng = np.random.default_rng((7, seed))
    words = np.array(vocabulary())
    weights = 1 / np.arange(1, len(words) + 1)
    cumulated = np.cumsum(weights / weights.sum())
    for start in range(0, messages, MESSAGES_OF_A_THREAD):
        # Not of the few hundred commonest words: nobody's subject is "and".
        topic = words[rng.integers(300, len(words), _TOPIC_WORDS)]
        count = min(MESSAGES_OF_A_THREAD, messages - start)
        texts = tuple(_text(rng, words, cumulated, topic) for _ in range(count))
        yield ThreadTexts(tuple(topic.tolist()), texts)


def _syllables(consonants: str, vowels: str) -> NDArray[np.str_]:
    return np.array([first + second for first in consonants for second in vowels])


def _text(
    rng: np.random.Generator,
    words: NDArray[np.str_],
    cumulated: NDArray[np.float64],
    topic: NDArray[np.str_],
) -> str:
    length = int(np.clip(rng.lognormal(4, 0.6), 3, 600))
    chosen = words[np.minimum(np.searchsorted(cumulated, rng.random(length)), len(words) - 1)]
    about = rng.random(length) < _ABOUT_THE_TOPIC
    chosen[about] = rng.choice(topic, int(about.sum()))
    pieces = np.char.add(chosen, rng.choice(_ENDINGS, length)).tolist()
    if rng.random() < _NUMBERED:
        pieces.append(f"N-{rng.integers(10_000, 99_999)}")
    return "".join(pieces).strip()
