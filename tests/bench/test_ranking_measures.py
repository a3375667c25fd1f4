"""What is measured by is known to be right."""

from math import log2

import pytest

from bench.ranking_measures import ndcg, recall

GRADES = {"a": 2, "b": 1}


def test_a_perfect_ranking_has_one() -> None:
    assert ndcg(["a", "b", "c"], GRADES, 10) == 1
    assert recall(["c", "b", "a"], GRADES, 20) == 1


def test_gains_are_discounted_by_rank() -> None:
    ideal = 3 + 1 / log2(3)
    assert ndcg(["b", "c", "a"], GRADES, 10) == pytest.approx((1 + 3 / 2) / ideal)
    assert ndcg(["c", "d"], GRADES, 10) == 0


def test_what_comes_later_does_not_count() -> None:
    assert ndcg(["c", "a"], GRADES, 1) == 0
    assert recall(["a", "c", "b"], GRADES, 2) == 0.5
