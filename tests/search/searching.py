"""Searching a server, as tests do it."""

from typing import Any

from tests.clients import Client
from tests.graphql.clients import data
from tests.runs.following import poll

SEARCH = """query ($q: String!, $mode: SearchMode! = HYBRID, $filter: SearchFilterInput, $first: Int,
                   $after: Cursor) {
  search(query: $q, mode: $mode, filter: $filter, first: $first, after: $after) {
    isPartial
    pageInfo { hasNextPage hasPreviousPage endCursor }
    edges { cursor node { id title } similarity matchedBy
      matches { message { id text } similarity matchedBy cursor snippet { text highlights { start end } } }
    }
  }
}"""
PATIENCE_SECONDS = 20


def search(client: Client, query: str, mode: str = "HYBRID", **arguments: Any) -> dict[str, Any]:
    """A page of hits."""
    page: dict[str, Any] = data(client, SEARCH, q=query, mode=mode, **arguments)["search"]
    return page


def titles(client: Client, query: str, mode: str = "HYBRID", **arguments: Any) -> list[str]:
    """The titles of the hits, best first."""
    edges = search(client, query, mode, **arguments)["edges"]
    return [edge["node"]["title"] for edge in edges]


def status(client: Client) -> dict[str, Any]:
    """How far the index is."""
    query = "{ searchStatus { indexedThrough pending model healthy } }"
    found: dict[str, Any] = data(client, query)["searchStatus"]
    return found


def wait_until_indexed(client: Client) -> dict[str, Any]:
    """The status once nothing of the caller's waits any more."""
    poll(lambda: not status(client)["pending"], "nothing waits", PATIENCE_SECONDS)
    return status(client)


def add_thread(client: Client, title: str | None, *texts: str, **metadata: Any) -> str:
    """A thread with these questions, whose answers repeat them backwards; its id."""
    thread_id: str = client.new_thread(title=title, metadata=metadata or None)["id"]
    for text in texts:
        response = client.send_message(thread_id, text, model=metadata.get("model", "echo"))
        assert response.status_code == 201, response.text
    return thread_id
