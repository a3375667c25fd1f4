"""The two example streams of the document that clients were written against, byte for byte."""

from tests.clients import Client
from tests.provider.client import ProviderProcess
from tests.provider.script import json_body, sse

HELLO = (
    '{"id":"resp-1","object":"chat.completion.chunk","model":"theodor_agent","conversation_id":"conv-123",'
    '"agent_status":"streaming","choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},'
    '"finish_reason":null}]}'
)
WORLD = (
    '{"id":"resp-1","object":"chat.completion.chunk","model":"theodor_agent","conversation_id":"conv-123",'
    '"agent_status":"streaming","choices":[{"index":0,"delta":{"content":" world"},"finish_reason":null}]}'
)
END = (
    '{"id":"resp-1","object":"chat.completion.chunk","model":"theodor_agent","conversation_id":"conv-123",'
    '"agent_status":"completed","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],'
    '"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}'
)


def status_frame(thread_id: str, status: str, finish_reason: str = "null") -> str:
    return (
        f'data: {{"id":"{thread_id}","object":"chat.completion.chunk","agent_status":"{status}",'
        f'"choices":[{{"delta":{{}},"finish_reason":{finish_reason}}}]}}\n\n'
    )


def test_the_full_example_is_reproduced_byte_for_byte(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, sse(HELLO, WORLD, END))
    thread_id = user.new_thread()["id"]

    body = user.stream_text(thread_id, model=model)

    assert body == (
        status_frame(thread_id, "queued")
        + status_frame(thread_id, "running")
        + f"data: {HELLO}\n\ndata: {WORLD}\n\ndata: {END}\n\ndata: [DONE]\n\n"
    )


def test_the_failure_example_is_reproduced_byte_for_byte(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, json_body({"error": {"message": "LLM provider error"}}, status=500))
    thread_id = user.new_thread()["id"]

    body = user.stream_text(thread_id, model=model)

    assert body == (
        status_frame(thread_id, "queued")
        + status_frame(thread_id, "running")
        + status_frame(thread_id, "failed", '"error"')
        + 'data: {"error":{"message":"LLM provider error","type":"agent_error"}}\n\ndata: [DONE]\n\n'
    )


def test_the_example_answer_is_stored(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, sse(HELLO, WORLD, END))
    thread_id = user.new_thread()["id"]
    user.stream_text(thread_id, "Say hello", model=model)

    answer, question = user.messages(thread_id)

    assert (question["text"], question["status"], question["tokens_count"]) == ("Say hello", "ready", 12)
    assert (answer["text"], answer["status"], answer["tokens_count"]) == ("Hello world", "ready", 5)
    assert (answer["sender_id"], answer["sender_type"]) == ("assistant", "assistant")
    assert answer["correlation_id"] == question["correlation_id"] == "resp-1"
    kept = user.get(f"/api/provider-threads/{thread_id}").json()
    assert kept["conversation_id"] == "conv-123"
