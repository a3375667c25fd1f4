"""One order of what meaning and texts found: how well a hit fits counts, and not its place in a list."""

from uuid import UUID

from core.search.matching import TextHit
from core.search.ranking import MatchedBy, Similar, ranked
from core.search.scope import Entry


def entry(id_: int, thread: int | None = None) -> Entry:
    return Entry(id_, UUID(int=thread or id_), UUID(int=1000 + id_))


def near(id_: int, closeness: float, thread: int | None = None) -> Similar:
    return Similar(entry(id_, thread), 0, 0.8 + closeness / 10, closeness)


def text(id_: int, fit: float, thread: int | None = None) -> TextHit:
    return TextHit(entry(id_, thread), fit * 10, fit)


def order(similar: list[Similar], texts: list[TextHit]) -> list[int]:
    return [found.entry.entry_id for thread in ranked(similar, texts) for found in thread.entries]


def test_a_text_that_has_all_the_words_comes_before_the_most_similar_one() -> None:
    assert order([near(1, 1.0), near(2, 0.9)], [text(3, 1.0)]) == [3, 1, 2]


def test_a_text_that_has_the_commonest_of_many_words_comes_behind_all_that_mean_the_same() -> None:
    assert order([near(1, 1.0), near(2, 0.6)], [text(3, 0.2), text(4, 0.1)]) == [1, 2, 3, 4]


def test_what_both_found_comes_before_what_one_found_as_well() -> None:
    assert order([near(1, 1.0), near(2, 0.7)], [text(3, 0.9), text(2, 0.9)]) == [2, 3, 1]


def test_texts_alone_and_meaning_alone_stay_in_their_order() -> None:
    newest_first = [text(1, 1.0), text(9, 1.0), text(5, 1.0)]
    assert order([], newest_first) == [1, 9, 5]
    assert order([near(2, 1.0), near(9, 0.7), near(5, 0.7)], []) == [2, 9, 5]


def test_of_equal_hits_the_newest_comes_first() -> None:
    assert order([near(1, 0.5), near(2, 0.5)], [text(3, 0.5), text(4, 0.5)]) == [4, 3, 2, 1]


def test_a_thread_stands_where_its_best_hit_does_and_each_hit_says_what_found_it() -> None:
    threads = ranked([near(1, 1.0, 7), near(2, 0.5, 8)], [text(3, 0.9, 8), text(2, 0.1, 8)])
    assert [thread.thread_id.int for thread in threads] == [8, 7]
    found = {each.entry.entry_id: each.matched_by for thread in threads for each in thread.entries}
    assert found == {
        1: (MatchedBy.MEANING,),
        2: (MatchedBy.MEANING, MatchedBy.TEXT),
        3: (MatchedBy.TEXT,),
    }
