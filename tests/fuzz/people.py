"""Users with something of every kind, each of it marked as theirs."""

from dataclasses import dataclass
from typing import Any

from tests.clients import Client
from tests.conftest import unique
from tests.fuzz.knowledge import Ids
from tests.graphql.clients import data
from tests.servers import PASSWORD, ServerProcess

THREADS = 2

_CURSORS = """
query Cursors($run: UUID!) {
  threads(first: 3) { changesCursor edges { cursor node { messages(first: 1) { edges { cursor } } } } }
  run(id: $run) { cursor }
}
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A user, and the ids of the user's data by kind.

    `marker` is in all of it, the account included; `said` in all of it but the account.
    """

    token: str
    marker: str
    said: str
    ids: Ids


def settle(server: ServerProcess, operator: Client) -> Person:
    """A new user with threads, messages, files, runs and providers' states; the last thread is deleted."""
    marker = f"{unique('marker')}."
    said = f"{marker}said"
    ids: dict[str, list[str]] = {}
    with enrol(server, operator, full_name=marker) as client:
        ids["user"] = [client.get("/api/auth/me").json()["id"]]
        for _ in range(THREADS):
            _talk(client, said, ids)
        found = data(client, _CURSORS, run=ids["run"][0])
        client.delete(f"/api/threads/{ids['thread'][-1]}").raise_for_status()
    ids["cursor"] = [found["run"]["cursor"], found["threads"]["changesCursor"]]
    for edge in found["threads"]["edges"]:
        ids["cursor"] += [edge["cursor"], edge["node"]["messages"]["edges"][0]["cursor"]]
    return Person(token_of(client), marker, said, ids)


def enrol(server: ServerProcess, operator: Client, **account: Any) -> Client:
    """A client of a new user."""
    username = unique("person")
    body = {"username": username, "password": PASSWORD, **account}
    operator.post("/api/auth/register", json=body).raise_for_status()
    return server.client().sign_in(username, PASSWORD)


def token_of(client: Client) -> str:
    """The token that a client sends."""
    return client.headers["Authorization"].removeprefix("Bearer ")


def belongings(server: ServerProcess, person: Person) -> list[Any]:
    """All that the person sees, to be compared with what it was."""
    paths = ["/api/auth/me", "/api/threads?include_deleted=true"]
    for thread_id in person.ids["thread"][:-1]:
        paths += [f"/api/threads/{thread_id}/messages", f"/api/provider-threads/{thread_id}"]
    with server.client(person.token) as client:
        return [client.get(path).raise_for_status().json() for path in paths]


def errors_logged(server: ServerProcess) -> list[dict[str, Any]]:
    """What the server says of its own failures."""
    return [line for line in server.log_lines() if line["level"] == "error"]


def all_ids(*people: Person) -> Ids:
    """The ids of them all by kind."""
    return {kind: [value for person in people for value in person.ids[kind]] for kind in people[0].ids}


def _talk(client: Client, said: str, ids: dict[str, list[str]]) -> None:
    metadata = {"model": "echo", "note": said}
    thread = client.new_thread(title=f"About {said}", summary=said, metadata=metadata)
    file = {"filename": f"{said}.txt", "content_type": "text/plain", "data_base64": "aGk="}
    sent = client.send_message(thread["id"], f"I say {said}", metadata=metadata, attachments=[file])
    state = {"conversation_id": said, "payload": metadata}
    kept = client.put(f"/api/provider-threads/{thread['id']}", json=state).raise_for_status().json()
    for message in client.messages(thread["id"]):
        ids.setdefault("message", []).append(message["id"])
        for attachment in message["attachments"]:
            ids.setdefault("attachment", []).append(attachment["id"])
            ids.setdefault("file", []).append(attachment["download_url"].rpartition("/")[2])
    ids.setdefault("thread", []).append(thread["id"])
    ids.setdefault("run", []).append(sent.headers["X-Run-Id"])
    ids.setdefault("providerThread", []).append(kept["id"])
