"""Following runs over REST: frames with their cursors, and what they add up to."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from tests.clients import DONE, Client

PATIENCE = 20.0


class Frame(NamedTuple):
    """One server-sent event: its `id`, its name, its data."""

    cursor: str | None
    event: str
    data: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.data)
        return value

    @property
    def status(self) -> str | None:
        """The `agent_status`, where there is one."""
        return None if self.data == DONE else self.json.get("agent_status")


def read_frames(lines: Iterable[str]) -> Iterator[Frame]:
    """The frames of an open stream as they come; anything but `id`, `event` and `data` lines is an error."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            assert name in ("id", "event", "data"), line
            assert name not in fields, line
            fields[name] = value
        else:
            yield Frame(fields.get("id"), fields.get("event", "message"), fields["data"])
            fields = {}
    assert not fields, "the stream was cut within a frame"


@contextmanager
def following(
    client: Client, run_id: str, *, after: str | None = None, last_event_id: str | None = None
) -> Iterator[Iterator[Frame]]:
    """The frames of GET /api/runs/{run_id}/events; leaving the block hangs up."""
    query = {"after": after} if after is not None else {}
    headers = {"Last-Event-ID": last_event_id} if last_event_id is not None else {}
    url = f"/api/runs/{run_id}/events"
    with client.stream("GET", url, params=query, headers=headers) as response:
        if response.status_code != 200:
            response.read()
        assert response.status_code == 200, response.text
        yield read_frames(response.iter_lines())


def events(client: Client, run_id: str, after: str | None = None) -> list[Frame]:
    """All frames up to the end of the run, which must be there once and last."""
    with following(client, run_id, after=after) as frames:
        told = list(frames)
    assert [frame.data for frame in told].count(DONE) == 1
    assert told[-1].data == DONE
    return told


def ended(client: Client, run_id: str) -> dict[str, Any]:
    """The run once it has ended."""
    events(client, run_id)
    return run(client, run_id)


def run(client: Client, run_id: str) -> dict[str, Any]:
    """The run as it is now."""
    response = client.get(f"/api/runs/{run_id}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def text_of(frames: Iterable[Frame]) -> str:
    """The text that a client shows: deltas added up, a snapshot in place of all before it."""
    text = ""
    for frame in frames:
        if frame.event == "snapshot":
            text = frame.json["text"]
        elif frame.data != DONE:
            choices = frame.json.get("choices") or [{"delta": {}}]
            text += choices[0]["delta"].get("content", "")
    return text


def numbered(frames: Iterable[Frame]) -> list[Frame]:
    """All that are events; the others are heartbeats."""
    return [frame for frame in frames if frame.cursor is not None]


def statuses(frames: Iterable[Frame]) -> list[str]:
    """The statuses that the server told of itself, in order, without heartbeats that repeat one."""
    told: list[str] = []
    for frame in frames:
        if frame.status is not None and (not told or told[-1] != frame.status):
            told.append(frame.status)
    return told


def start(client: Client, thread_id: str, text: str = "Hi", **body: Any) -> str:
    """Send a message, and leave as soon as it is stored; the id of its run."""
    with client.streaming(thread_id, text, **body) as response:
        return run_id_of(response)


def run_id_of(response: httpx.Response) -> str:
    """The id of the run that a response belongs to."""
    assert "X-Run-Id" in response.headers, response.read()
    return response.headers["X-Run-Id"]


def cancel(client: Client, run_id: str) -> httpx.Response:
    return client.post(f"/api/runs/{run_id}/cancel")


def poll(holds: Callable[[], bool], what: str, timeout: float = PATIENCE) -> None:
    """Look until `holds`; for what no gate can tell. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)
