"""How good a ranking is, as information retrieval measures it."""

from collections.abc import Mapping, Sequence
from math import log2


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], at: int) -> float:
    """Normalised discounted cumulative gain of the first `at`, from 0 to 1: gains are 2^grade - 1.

    https://doi.org/10.1145/1102351.1102363; what has no grade is worth nothing.
    """
    best = sorted(grades.values(), reverse=True)
    ideal = _gain(best[:at])
    return _gain([grades.get(each, 0) for each in ranking[:at]]) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], grades: Mapping[str, int], at: int) -> float:
    """The part of what is relevant that is among the first `at`."""
    relevant = {each for each, grade in grades.items() if grade > 0}
    return len(relevant & set(ranking[:at])) / len(relevant) if relevant else 0.0


def _gain(grades: Sequence[int]) -> float:
    return sum((2.0**grade - 1) / log2(rank + 1) for rank, grade in enumerate(grades, 1))
