"""Answers and threads followed over graphql-transport-ws."""

from collections.abc import Callable

from tests.clients import Client
from tests.graphql.clients import subscribed
from tests.graphql.operations import RUN_EVENTS, THREADS_CHANGED, send, start_run, text_of
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, plain_error, text_stream


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
    assert (ends[0]["status"], ends[0]["error"]) == ("COMPLETED", None)
    assert ends[0]["assistantMessage"]["text"] == "Hello world"


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


def test_a_cursor_behind_the_end_has_nothing_more_to_come(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("all"))
    run_id = start_run(user, model)
    with subscribed(user, RUN_EVENTS, runId=run_id) as subscription:
        *_, end = subscription.events("runEvents")
    with subscribed(user, RUN_EVENTS, runId=run_id, after=end["cursor"]) as subscription:
        assert list(subscription.events("runEvents")) == []


def test_a_failure_is_the_end_with_the_providers_words(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, plain_error("out of paper", 500))
    run_id = start_run(user, model)

    with subscribed(user, RUN_EVENTS, runId=run_id) as subscription:
        *_, end = subscription.events("runEvents")

    assert end["status"] == "FAILED"
    assert end["error"]["message"] == "out of paper"
    assert end["assistantMessage"] is None


def test_a_foreign_run_cannot_be_followed(
    user: Client, new_user: Callable[..., Client], provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("secret"))
    run_id = start_run(user, model)

    with subscribed(new_user(), RUN_EVENTS, runId=run_id) as subscription:
        assert subscription.error()["extensions"]["code"] == "RUN_NOT_FOUND"


def test_a_foreign_cursor_is_told_before_any_event(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("text"))
    run_id = start_run(user, model)
    for query, variables in ((RUN_EVENTS, {"runId": run_id}), (THREADS_CHANGED, {})):
        with subscribed(user, query, **variables, after="no cursor") as subscription:
            assert subscription.error()["extensions"]["code"] == "BAD_USER_INPUT"


def test_changes_of_threads_are_told_live(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("answer"))
    with subscribed(user, THREADS_CHANGED) as subscription:
        events = subscription.events("threadsChanged")
        assert next(events)["__typename"] == "ThreadsCaughtUp"
        thread_id = user.new_thread(title="Rome")["id"]
        made = next(events)
        assert (made["__typename"], made["thread"]["id"]) == ("ThreadUpdated", thread_id)
        send(user, thread_id, model=model)
        last = next(event for event in events if event["thread"]["lastMessage"] == {"text": "answer"})
        assert (last["thread"]["messageCount"], last["thread"]["activeRun"]) == (2, None)
        assert user.delete(f"/api/threads/{thread_id}").status_code == 204
        gone = next(event for event in events if event["__typename"] != "ThreadUpdated")
        assert (gone["__typename"], gone["threadId"]) == ("ThreadRemoved", thread_id)


def test_a_client_that_was_away_catches_up(user: Client) -> None:
    with subscribed(user, THREADS_CHANGED) as subscription:
        cursor = next(subscription.events("threadsChanged"))["cursor"]
    kept = user.new_thread(title="Kept")["id"]
    gone = user.new_thread(title="Gone")["id"]
    user.patch(f"/api/threads/{kept}", json={"title": "Kept twice"})
    user.delete(f"/api/threads/{gone}")

    with subscribed(user, THREADS_CHANGED, after=cursor) as subscription:
        events = subscription.events("threadsChanged")
        missed = [next(events), next(events), next(events)]

    assert [event["__typename"] for event in missed] == ["ThreadUpdated", "ThreadRemoved", "ThreadsCaughtUp"]
    assert missed[0]["thread"]["title"] == "Kept twice"
    assert missed[1]["threadId"] == gone


def test_one_user_hears_nothing_of_anothers_threads(user: Client, new_user: Callable[..., Client]) -> None:
    with subscribed(new_user(), THREADS_CHANGED) as subscription:
        events = subscription.events("threadsChanged")
        cursor = next(events)["cursor"]
    user.new_thread(title="Mine")
    with subscribed(new_user(), THREADS_CHANGED, after=cursor) as subscription:
        assert subscription.error()["extensions"]["code"] == "BAD_USER_INPUT"
