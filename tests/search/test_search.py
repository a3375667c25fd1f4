"""Searching through both APIs of a real server, with vectors of a known model in a real index."""

from collections.abc import Callable, Iterator

import pytest

from tests.clients import Client
from tests.conftest import engines_of_this_run
from tests.graphql.clients import data, graphql
from tests.provider.client import ProviderProcess
from tests.search.embeddings import EmbeddingApi
from tests.search.searching import add_thread, search, titles, wait_until_indexed
from tests.servers import PASSWORD, ServerProcess


@pytest.fixture(scope="module")
def embeddings() -> Iterator[EmbeddingApi]:
    with EmbeddingApi() as api:
        yield api


@pytest.fixture(scope="module")
def server(
    embeddings: EmbeddingApi, provider: ProviderProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server with search by meaning."""
    directory = tmp_path_factory.mktemp("search")
    with (
        engines_of_this_run() as engines,
        ServerProcess(directory, f"{provider.base_url}/v1", embeddings.settings | engines) as process,
    ):
        yield process


@pytest.fixture(scope="module")
def admin(server: ServerProcess) -> Iterator[Client]:
    with server.admin() as client:
        yield client


def test_a_text_is_found_by_its_meaning_and_by_its_words(user: Client) -> None:
    add_thread(user, "pets", "my hound sleeps")
    add_thread(user, "travel", "an inn somewhere quiet")
    status = wait_until_indexed(user)
    assert (status["model"], status["healthy"]) == ("words", True)

    assert titles(user, "dog", "SEMANTIC") == ["pets"]
    assert titles(user, "собака", "SEMANTIC") == ["pets"]
    assert titles(user, "dog", "TEXT") == []
    assert titles(user, "HOUND", "TEXT") == ["pets"]
    assert titles(user, r"\bqui\w+t\b", "REGEX") == ["travel"]
    assert titles(user, "гостиница")[0] == "travel"


def test_a_hit_says_why_and_opens_its_thread_there(user: Client) -> None:
    thread_id = add_thread(user, "pets", "first words", "my hound sleeps", "last words")
    wait_until_indexed(user)
    (edge,) = search(user, "hound sleeps")["edges"]
    assert edge["matchedBy"] == ["MEANING", "TEXT"]
    assert 0.5 < edge["similarity"] <= 1
    match = next(match for match in edge["matches"] if match["message"]["text"] == "my hound sleeps")
    assert match["snippet"] == {
        "text": "my hound sleeps",
        "highlights": [{"start": 3, "end": 8}, {"start": 9, "end": 15}],
    }
    query = """query ($id: UUID!, $after: Cursor) { thread(id: $id) {
      messages(first: 1, after: $after) { nodes { id text } pageInfo { hasPreviousPage } } } }"""
    opened = data(user, query, id=thread_id, after=match["cursor"])["thread"]["messages"]
    assert [node["id"] for node in opened["nodes"]] == [match["message"]["id"]]


def test_titles_and_summaries_are_searched(user: Client) -> None:
    thread_id = add_thread(user, "Trip to Rome", "something else")
    user.patch(f"/api/threads/{thread_id}", json={"summary": "about zeppelins"})
    wait_until_indexed(user)
    for query, mode in (("рим", "SEMANTIC"), ("zeppelin", "TEXT"), ("^trip", "REGEX")):
        (edge,) = search(user, query, mode)["edges"]
        match = edge["matches"][0]
        assert (match["message"], match["cursor"]) == (None, None)
        assert match["snippet"]["text"] == "Trip to Rome about zeppelins"


def test_nobody_finds_what_is_anothers(user: Client, new_user: Callable[..., Client]) -> None:
    add_thread(user, "mine", "a hound of mine")
    wait_until_indexed(user)
    stranger = new_user()
    add_thread(stranger, "theirs", "nothing of the kind")
    assert wait_until_indexed(stranger)["pending"] == 0
    for query, mode in (("hound", "TEXT"), ("dog", "SEMANTIC"), ("hound", "REGEX"), ("hound", "HYBRID")):
        assert "mine" not in titles(stranger, query, mode)


def test_deletion_and_restoration_count_at_once(user: Client) -> None:
    thread_id = add_thread(user, "pets", "my hound sleeps")
    wait_until_indexed(user)
    for _ in range(2):
        user.delete(f"/api/threads/{thread_id}")
        assert [titles(user, "hound", mode) for mode in ("TEXT", "SEMANTIC", "REGEX")] == [[], [], []]
        user.patch(f"/api/threads/{thread_id}", json={"is_deleted": False})
        assert titles(user, "hound", "SEMANTIC") == titles(user, "hound", "REGEX") == ["pets"]


def test_allow_lists_hide_threads(admin: Client, user: Client) -> None:
    add_thread(user, "open", "my hound sleeps", product="a")
    add_thread(user, "closed", "my hound sleeps", product="b")
    wait_until_indexed(user)
    assert sorted(titles(user, "dog", "SEMANTIC")) == ["closed", "open"]
    me = user.get("/api/auth/me").json()
    change = "mutation ($i: UpdateUserInput!) { updateUser(input: $i) { __typename } }"
    data(admin, change, i={"userId": me["id"], "allowedProducts": ["a"]})
    again = Client(str(user.base_url), None).sign_in(me["username"], PASSWORD)
    for query, mode in (("dog", "SEMANTIC"), ("hound", "TEXT"), ("hound", "REGEX")):
        assert titles(again, query, mode) == ["open"]
    again.close()


def test_filters_narrow(user: Client) -> None:
    first = add_thread(user, "one", "my hound sleeps", model="m1", product="a", agent="x")
    add_thread(user, "two", "my hound barks", model="m2", product="b")
    wait_until_indexed(user)
    for mode in ("SEMANTIC", "TEXT", "REGEX", "HYBRID"):
        for wanted in (
            {"models": ["m1", "m3"]},
            {"products": ["a"]},
            {"agents": ["x"]},
            {"threadId": first},
        ):
            assert titles(user, "hound", mode, filter=wanted) == ["one"], (mode, wanted)
        assert titles(user, "hound", mode, filter={"since": "2100-01-01T00:00:00Z"}) == []
        assert titles(user, "hound", mode, filter={"until": "2000-01-01T00:00:00Z"}) == []
        assert sorted(titles(user, "hound", mode, filter={"sender": "USER"})) == ["one", "two"]


def test_pages_follow_each_other(user: Client) -> None:
    for number in range(5):
        add_thread(user, f"thread {number}", f"hound number {number}")
    wait_until_indexed(user)
    for mode in ("SEMANTIC", "TEXT", "REGEX"):
        whole = titles(user, "hound", mode)
        assert len(whole) == 5
        seen: list[str] = []
        after = None
        while True:
            page = search(user, "hound", mode, first=2, after=after)
            seen += [edge["node"]["title"] for edge in page["edges"]]
            assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        assert seen == whole
    query = '{ search(query: "hound", mode: TEXT, last: 2) { totalCount nodes { title } } }'
    found = data(user, query)["search"]
    assert found["totalCount"] == 5
    assert [node["title"] for node in found["nodes"]] == titles(user, "hound", "TEXT")[-2:]


def test_a_changed_text_is_found_by_what_it_says_now(user: Client) -> None:
    thread_id = add_thread(user, "pets", "my hound sleeps")
    wait_until_indexed(user)
    question = user.messages(thread_id)[-1]
    for message in user.messages(thread_id):
        changed = user.patch(
            f"/api/threads/{thread_id}/messages/{message['id']}", json={"text": "an inn by the sea"}
        )
        assert changed.status_code == 200
    assert titles(user, "hound", "TEXT") == []
    wait_until_indexed(user)
    assert titles(user, "dog", "SEMANTIC") == []
    (edge,) = search(user, "hotel", "SEMANTIC")["edges"]
    assert question["id"] in [match["message"]["id"] for match in edge["matches"]]


def test_rest_has_the_documented_shape(user: Client) -> None:
    add_thread(user, "pets", "my hound sleeps", model="m1")
    add_thread(user, "code", "error 42 in line 7", model="m2")
    wait_until_indexed(user)
    found = user.post("/api/search/threads", json={"phrase": "dog"}).json()
    assert set(found) == {
        *("items", "pagination", "best_similarity", "similarity_threshold", "best_distance"),
        *("distance_threshold", "min_similarity"),
    }
    assert found["items"][0]["thread"]["title"] == "pets"
    assert found["items"][0]["similarity"] == found["best_similarity"]
    assert found["best_distance"] == pytest.approx(1 - found["best_similarity"])
    regex = user.post("/api/search/threads", json={"phrase": r"error \d+", "limit": 1}).json()
    assert [item["thread"]["title"] for item in regex["items"]] == ["code"]
    assert regex["pagination"] == {"total": 1, "page": 1, "limit": 1, "has_more": False}
    other = user.post("/api/search/threads", json={"phrase": "dog", "model_id": "m2"}).json()
    assert "pets" not in [item["thread"]["title"] for item in other["items"]]


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("", "blank"),
        (" \n", "blank"),
        ("(", "Invalid regex: "),
        ("(?=x)", "Invalid regex: "),
        (r"(a)\1", "Invalid regex: "),
        ("x" * 10_001, "10000"),
        ("a{1001}", "Invalid regex: "),
        ("\x00", "Invalid regex: "),
    ],
)
def test_what_cannot_be_searched_for_is_400(user: Client, phrase: str, said: str) -> None:
    response = user.post("/api/search/threads", json={"phrase": phrase})
    assert response.status_code == 400
    assert said in response.json()["detail"]
    query = "query ($q: String!) { search(query: $q, mode: REGEX) { isPartial } }"
    (error,) = graphql(user, query, q=phrase)["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "phrase", ["(a+)+$", "|".join(f"word{n}" for n in range(100)), "x" * 1000, ".*", "😀"]
)
def test_odd_patterns_are_answered(user: Client, phrase: str) -> None:
    add_thread(user, "long", "a" * 50_000 + "!")
    wait_until_indexed(user)
    assert user.post("/api/search/threads", json={"phrase": phrase}).status_code == 200


def test_half_a_surrogate_pair_is_refused(user: Client) -> None:
    response = user.post(
        "/api/search/threads",
        content=b'{"phrase": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code in (400, 422)
