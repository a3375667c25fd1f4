"""Answers followed over graphql-transport-ws."""

from typing import Any

from tests.clients import Client
from tests.graphql.clients import data, subscribed
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, plain_error, text_stream

RUN_EVENTS = """
subscription ($runId: UUID!, $after: String) {
  runEvents(runId: $runId, after: $after) {
    __typename
    ... on RunSnapshot { cursor text status }
    ... on RunStatusChanged { cursor status }
    ... on RunDelta { cursor text }
    ... on RunEnded { cursor status error assistantMessageId }
  }
}
"""
SEND = """
mutation ($threadId: UUID!, $text: String!, $model: String) {
  sendMessage(input: {threadId: $threadId, text: $text, model: $model}) {
    message { id status text }
    run { id status }
  }
}
"""


def start_run(user: Client, model: str) -> str:
    thread_id = user.new_thread()["id"]
    sent = data(user, SEND, threadId=thread_id, text="Hi", model=model)["sendMessage"]
    run_id: str = sent["run"]["id"]
    return run_id


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["text"] for event in events if event["__typename"] == "RunDelta")


def test_a_subscriber_sees_the_answer_and_exactly_one_end(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Hello", " ", "world"))
    run_id = start_run(user, model)

    with subscribed(user, RUN_EVENTS, runId=run_id) as subscription:
        events = list(subscription.events("runEvents"))

    assert text_of(events) == "Hello world"
    ends = [event for event in events if event["__typename"] == "RunEnded"]
    assert ends == [events[-1]]
    assert ends[0]["status"] == "COMPLETED"
    assert ends[0]["assistantMessageId"] is not None


def test_deltas_arrive_while_the_answer_is_being_written(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("first", WaitFor(model), "second"))
    run_id = start_run(user, model)

    with subscribed(user, RUN_EVENTS, runId=run_id) as subscription:
        events = subscription.events("runEvents")
        assert next(event for event in events if event["__typename"] == "RunDelta")["text"] == "first"
        provider.open_gate(model)
        assert text_of(list(events)) == "second"


def test_a_subscriber_goes_on_behind_its_cursor(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("first", WaitFor(model), "second"))
    run_id = start_run(user, model)
    with subscribed(user, RUN_EVENTS, runId=run_id) as subscription:
        events = subscription.events("runEvents")
        cursor = next(event for event in events if event["__typename"] == "RunDelta")["cursor"]
    provider.open_gate(model)

    with subscribed(user, RUN_EVENTS, runId=run_id, after=cursor) as subscription:
        assert text_of(list(subscription.events("runEvents"))) == "second"


def test_a_failure_is_the_end_with_the_providers_words(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, plain_error("out of paper", 500))
    run_id = start_run(user, model)

    with subscribed(user, RUN_EVENTS, runId=run_id) as subscription:
        *_, end = subscription.events("runEvents")

    assert (end["status"], end["error"]) == ("FAILED", "out of paper")


def test_a_foreign_run_is_not_found(
    user: Client, new_user: Any, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("secret"))
    run_id = start_run(user, model)

    with subscribed(new_user(), RUN_EVENTS, runId=run_id) as subscription:
        payload = subscription.next()

    assert payload is not None
    assert payload["errors"][0]["extensions"]["code"] == "RUN_NOT_FOUND"
