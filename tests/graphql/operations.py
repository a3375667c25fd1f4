"""The operations that many tests start with."""

from typing import Any

from tests.clients import Client
from tests.graphql.clients import data

ERROR = "... on Error { __typename code message }"
INVALID = "... on InvalidInput { field }"

SEND = """
mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) {
    ... on SendMessageSuccess { userMessage { id status text } run { id status } }
    ... on Error { __typename code message }
    ... on InvalidInput { field }
  }
}
"""
RUN_EVENTS = """
subscription Follow($runId: UUID!, $after: Cursor) {
  runEvents(runId: $runId, after: $after) {
    __typename
    ... on Event { cursor }
    ... on RunSnapshot { text status }
    ... on RunStatusChanged { status }
    ... on RunDelta { text }
    ... on RunEnded { status error { code message } assistantMessage { id text } }
    ... on CursorExpired { earliest snapshot { cursor text status } }
  }
}
"""
THREADS_CHANGED = """
subscription Changes($after: Cursor) {
  threadsChanged(after: $after) {
    __typename
    ... on Event { cursor }
    ... on ThreadUpdated { thread { id title messageCount lastMessage { text } activeRun { status } } }
    ... on ThreadRemoved { threadId }
  }
}
"""


def send(user: Client, thread_id: str, **values: Any) -> dict[str, Any]:
    """What `sendMessage` answers."""
    answer: dict[str, Any] = data(user, SEND, input={"threadId": thread_id, "text": "Hi", **values})[
        "sendMessage"
    ]
    return answer


def start_run(user: Client, model: str) -> str:
    """The id of a run in a thread of its own."""
    run_id: str = send(user, user.new_thread()["id"], model=model)["run"]["id"]
    return run_id


def text_of(events: list[dict[str, Any]]) -> str:
    """All that the deltas among these events say."""
    return "".join(event["text"] for event in events if event["__typename"] == "RunDelta")
