"""A cache that is bounded by the size of what it holds."""

from graphql_schema.recently_used import RecentlyUsed


def test_what_was_not_used_for_longest_makes_room() -> None:
    cache: RecentlyUsed[int] = RecentlyUsed(10)
    cache.put("a", 1, size=4)
    cache.put("b", 2, size=4)
    assert cache.get("a") == 1
    cache.put("c", 3, size=4)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]


def test_a_replaced_value_counts_once() -> None:
    cache: RecentlyUsed[int] = RecentlyUsed(10)
    for number in range(5):
        cache.put("a", number, size=6)
    cache.put("b", 7, size=4)
    assert (cache.get("a"), cache.get("b")) == (4, 7)


def test_what_is_too_large_is_not_kept_and_drives_nothing_out() -> None:
    cache: RecentlyUsed[int] = RecentlyUsed(10)
    cache.put("a", 1, size=4)
    cache.put("b", 2, size=11)
    assert (cache.get("a"), cache.get("b")) == (1, None)
