"""Readers that leave and come back: every event once and in order, or one snapshot in place of the lost."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import httpx
import pytest

from tests.clients import DONE, Client, payloads
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, chunk, sse, text_stream
from tests.runs.following import (
    Frame,
    cancel,
    events,
    following,
    run_id_of,
    start,
    statuses,
    text_of,
)

TURNS = 200
LINE = "A line of an answer that is longer than what the log may hold. " * 8


class Wanderer:
    """A client that keeps what it has seen, and checks what it is told against it."""

    def __init__(self, client: Client, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self.seen: list[Frame] = []
        self.done = False

    def read_on(self, place: int, news: int, *, by_header: bool) -> None:
        """Come back behind the first `place` frames and stay until there were `news` new ones."""
        cursor = self.seen[place - 1].cursor if place else None
        asked = {"last_event_id": cursor} if by_header else {"after": cursor}
        leave_at = len(self.seen) + news
        with following(self.client, self.run_id, **asked) as frames:
            for frame in frames:
                if frame.cursor is None:
                    assert frame.status in ("running", "completed")  # a heartbeat, or the word before [DONE]
                    continue
                if place < len(self.seen):
                    assert frame == self.seen[place]
                else:
                    self.seen.append(frame)
                place += 1
                self.done = frame.data == DONE
                if len(self.seen) == leave_at:
                    break


def test_a_reader_that_comes_back_200_times_gets_every_event_once_and_in_order(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    told = [chunk(f"{number} ", number=number) for number in range(TURNS * 2)]
    gates = [WaitFor(f"{model} {turn}") for turn in range(TURNS)]
    provider.script(
        model,
        sse(
            *(part for turn, gate in enumerate(gates) for part in (told[turn * 2], told[turn * 2 + 1], gate))
        ),
    )
    random = Random(200)
    wanderer = Wanderer(user, start(user, user.new_thread()["id"], model=model))

    for gate in gates:
        everything = len(wanderer.seen)
        place = everything if random.random() < 0.5 else random.randint(0, everything)
        wanderer.read_on(place, random.randint(1, 2), by_header=random.random() < 0.5)
        provider.open_gate(gate.gate)
    wanderer.read_on(len(wanderer.seen), TURNS * 3, by_header=True)

    assert wanderer.done
    assert [frame.data for frame in wanderer.seen[2:-1]] == told
    log = [frame for frame in events(user, wanderer.run_id) if frame.cursor is not None]
    assert wanderer.seen == log
    assert len({frame.cursor for frame in log}) == len(log)


def test_the_frames_are_those_of_the_chat_stream(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("Hello", " world", usage=(3, 2)))
    with user.streaming(user.new_thread()["id"], model=model) as response:
        run_id, body = run_id_of(response), response.read().decode()

    assert [frame.data for frame in events(user, run_id)] == payloads(body)


def test_many_readers_of_one_run_see_the_same(user: Client, provider: ProviderProcess, model: str) -> None:
    gates = [f"{model} {number}" for number in range(8)]
    parts = [part for gate in gates for part in (chunk(gate), WaitFor(gate))]
    provider.script(model, sse(*parts))
    run_id = start(user, user.new_thread()["id"], model=model)

    with ThreadPoolExecutor(len(gates)) as pool:
        readers = []
        for gate in gates:
            readers.append(pool.submit(events, user, run_id))
            provider.wait_until_held(gate)
            provider.open_gate(gate)
        told = [reader.result() for reader in readers]

    assert all(frames == told[0] for frames in told)
    assert text_of(told[0]) == "".join(gates)


def test_a_cursor_at_the_end_gives_the_end_mark_only(user: Client) -> None:
    run_id = start(user, user.new_thread()["id"], model="echo")
    last = events(user, run_id)[-1]

    assert events(user, run_id, after=last.cursor) == [Frame(None, "message", DONE)]


def test_a_reader_cut_off_before_the_end_mark_is_told_the_end_again(user: Client) -> None:
    run_id = start(user, user.new_thread()["id"], model="echo")
    told = events(user, run_id)

    rest = events(user, run_id, after=told[-3].cursor)

    assert rest == told[-2:]
    assert statuses(rest) == ["completed"]


def test_the_header_of_an_event_source_wins_over_the_address_that_it_repeats(user: Client) -> None:
    run_id = start(user, user.new_thread()["id"], model="echo")
    told = events(user, run_id)

    with following(user, run_id, after=told[0].cursor, last_event_id=told[3].cursor) as frames:
        assert list(frames) == told[4:]


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (".+", "nonsense"),
        ("$", "0" * 30),
        ("^", " "),
        ("-", ""),
        ("-[0-9]+$", ""),
        ("[0-9]+$", "-1"),
        ("[0-9]+$", "x"),
    ],
)
def test_a_malformed_cursor_is_refused(user: Client, pattern: str, replacement: str) -> None:
    run_id = start(user, user.new_thread()["id"], model="echo")
    cursor = re.sub(pattern, replacement, events(user, run_id)[1].cursor or "", count=1)

    response = user.get(f"/api/runs/{run_id}/events", params={"after": cursor})

    assert response.status_code == 400
    assert "cursor" in response.json()["detail"]


def test_the_cursor_of_another_run_is_refused(user: Client) -> None:
    thread_id = user.new_thread()["id"]
    runs = [start(user, thread_id, model="echo") for _ in range(2)]
    cursor = events(user, runs[0])[1].cursor or ""
    url = f"/api/runs/{runs[1]}/events"

    answers = [user.get(url, params={"after": cursor}), user.get(url, headers={"Last-Event-ID": cursor})]

    assert [answer.status_code for answer in answers] == [400, 400]


def test_a_cursor_of_the_future_is_answered_with_a_snapshot_or_the_end(user: Client) -> None:
    run_id = start(user, user.new_thread()["id"], "All of it", model="echo")
    cursor = (events(user, run_id)[1].cursor or "").rpartition("-")[0] + "-999999"

    assert text_of(events(user, run_id, after=cursor)) == "All of it"


def test_the_run_of_another_user_is_not_found(new_user: Callable[..., Client]) -> None:
    owner, stranger = new_user(), new_user()
    run_id = start(owner, owner.new_thread()["id"], model="echo")
    events(owner, run_id)
    unknown = f"/api/runs/{owner.new_thread()['id']}/events"

    foreign, none = stranger.get(f"/api/runs/{run_id}/events"), stranger.get(unknown)

    assert (foreign.status_code, foreign.json()) == (none.status_code, none.json())
    assert foreign.status_code == 404
    assert httpx.get(str(owner.base_url.join(f"/api/runs/{run_id}/events"))).status_code == 401


def test_a_run_of_a_deleted_thread_is_not_found(user: Client) -> None:
    thread_id = user.new_thread()["id"]
    run_id = start(user, thread_id, model="echo")
    events(user, run_id)
    assert user.delete(f"/api/threads/{thread_id}").status_code == 204

    answers = [user.get(f"/api/runs/{run_id}/events"), user.get(f"/api/runs/{run_id}")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert cancel(user, run_id).status_code == 200  # it may go on while the thread can be restored


DEACTIVATE = "mutation ($id: UUID!) { deactivateUser(input: {userId: $id}) { __typename } }"


@pytest.mark.parametrize("what", ["signed out", "deactivated"])
def test_who_is_locked_out_reads_no_further(
    user: Client, admin: Client, provider: ProviderProcess, model: str, what: str
) -> None:
    provider.script(model, text_stream("Some", WaitFor(model), " more"))
    user_id = user.get("/api/auth/me").json()["id"]
    run_id = start(user, user.new_thread()["id"], model=model)
    with following(user, run_id) as frames:
        seen = [next(frame for frame in frames if text_of([frame]) == "Some")]
        if what == "signed out":
            assert user.post("/api/auth/logout").status_code == 204
        else:
            query = {"query": DEACTIVATE, "variables": {"id": user_id}}
            assert "errors" not in admin.post("/graphql", json=query).json()
        seen += frames
    provider.open_gate(model)
    assert text_of(seen) == "Some"
    assert DONE not in [frame.data for frame in seen]
