"""Threads, their messages and answers in GraphQL: the same as in REST, on the same core."""

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.clients import Client
from tests.graphql.clients import data, error_code, graphql
from tests.graphql.operations import ERROR, INVALID, send, start_run
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, chunk, sse, text_stream

THREAD = "thread { id title summary metadata isDeleted messageCount }"
NOWHERE = "00000000-0000-7000-8000-000000000000"


def mutate(user: Client, name: str, fields: str = THREAD, **values: Any) -> dict[str, Any]:
    """What a mutation of threads answers."""
    kind = name[0].upper() + name[1:]
    document = f"""mutation ($input: {kind}Input!) {{ {name}(input: $input) {{
      ... on {kind}Success {{ {fields} }} {ERROR} }} }}"""
    answer: dict[str, Any] = data(user, document, input=values)[name]
    return answer


def test_a_thread_is_made_changed_deleted_and_restored(user: Client) -> None:
    made = mutate(user, "createThread", title="Rome", metadata={"a": [1]})["thread"]
    assert made == {
        "id": made["id"],
        "title": "Rome",
        "summary": None,
        "metadata": {"a": [1]},
        "isDeleted": False,
        "messageCount": 0,
    }
    thread_id = made["id"]
    assert mutate(user, "updateThread", threadId=thread_id, title="Oslo")["thread"]["title"] == "Oslo"
    assert mutate(user, "deleteThread", threadId=thread_id)["thread"]["isDeleted"] is True
    show = f'query ($id: UUID!) {{ thread(id: $id) {{ title }} node(id: "{thread_id}") {{ id }} }}'
    assert data(user, show, id=thread_id) == {"thread": None, "node": None}
    assert mutate(user, "restoreThread", threadId=thread_id)["thread"]["isDeleted"] is False
    assert data(user, show, id=thread_id) == {"thread": {"title": "Oslo"}, "node": {"id": thread_id}}
    assert user.get(f"/api/threads/{thread_id}").json()["title"] == "Oslo"


def test_an_empty_object_empties_the_metadata(user: Client) -> None:
    thread_id = user.new_thread(metadata={"colour": "red"})["id"]
    changed = mutate(user, "updateThread", "thread { metadata }", threadId=thread_id, metadata={})
    assert changed["thread"]["metadata"] == {}


def test_a_key_of_metadata_that_is_wrong_is_named_as_the_caller_wrote_it(user: Client) -> None:
    document = f"""mutation ($input: CreateThreadInput!) {{ createThread(input: $input) {{
      {ERROR} {INVALID} }} }}"""
    refused = data(user, document, input={"metadata": {"product_id": [1]}})["createThread"]
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "metadata.product_id")


def test_null_leaves_a_field_as_it_is(user: Client) -> None:
    thread_id = mutate(user, "createThread", title="Rome", summary="Trip")["thread"]["id"]
    kept = mutate(user, "updateThread", threadId=thread_id, title=None, summary="Tour", metadata=None)[
        "thread"
    ]
    assert (kept["title"], kept["summary"], kept["metadata"]) == ("Rome", "Tour", {})


def test_a_thread_tells_what_its_metadata_names(user: Client) -> None:
    metadata = {"product_id": "p1", "agent": {"id": "a1"}, "model": "m1"}
    fields = "thread { product agent model }"
    thread = mutate(user, "createThread", fields, metadata=metadata)["thread"]
    assert thread == {"product": "p1", "agent": "a1", "model": "m1"}


def test_failures_are_types_of_the_result(user: Client, new_user: Callable[..., Client]) -> None:
    assert mutate(user, "updateThread", threadId=NOWHERE)["__typename"] == "ThreadNotFound"
    foreign = mutate(new_user(), "createThread", title="Mine")["thread"]["id"]
    assert mutate(user, "deleteThread", threadId=foreign)["__typename"] == "ThreadNotFound"
    assert mutate(user, "createThread", metadata=[1])["__typename"] == "InvalidInput"
    limited = new_user(allowed_products=["p1"])
    assert mutate(limited, "createThread", metadata={"product": "p2"})["__typename"] == "NotAllowed"
    thread_id = user.new_thread()["id"]
    assert send(user, thread_id)["__typename"] == "ModelRequired"
    assert send(user, thread_id, model="m", text="")["field"] == "text"
    assert send(user, NOWHERE, model="m")["__typename"] == "ThreadNotFound"
    wrong = [{"filename": "a.txt", "dataBase64": "%%%"}]
    assert send(user, thread_id, model="m", attachments=wrong)["__typename"] == "InvalidAttachment"
    without = [{"filename": "a.txt"}]
    assert send(user, thread_id, model="m", attachments=without)["__typename"] == "InvalidAttachment"


def test_messages_are_shown_with_all_that_belongs_to_them(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("Buongiorno"))
    thread_id = user.new_thread()["id"]
    attachment = {"filename": "a.txt", "dataBase64": base64.b64encode(b"hello").decode()}
    user.send_message(
        thread_id,
        "Ciao",
        model=model,
        attachments=[{"filename": "a.txt", "data_base64": attachment["dataBase64"]}],
    )

    query = """query ($id: UUID!) { thread(id: $id) { messageCount lastMessage { text } activeRun { id }
      messages { totalCount nodes { sender status text error
        usage { promptTokens completionTokens } attachments { filename sizeBytes downloadUrl }
        parent { text } thread { id }
        run { status model userMessage { text } assistantMessage { text } } } } } }"""
    thread = data(user, query, id=thread_id)["thread"]

    assert thread["messageCount"] == thread["messages"]["totalCount"] == 2
    assert thread["lastMessage"] == {"text": "Buongiorno"}
    assert thread["activeRun"] is None
    answer, question = thread["messages"]["nodes"]
    run = {
        "status": "COMPLETED",
        "model": model,
        "userMessage": {"text": "Ciao"},
        "assistantMessage": {"text": "Buongiorno"},
    }
    assert answer | {"usage": None} == {
        "sender": "ASSISTANT",
        "status": "READY",
        "text": "Buongiorno",
        "error": None,
        "usage": None,
        "attachments": [],
        "parent": {"text": "Ciao"},
        "thread": {"id": thread_id},
        "run": run,
    }
    assert (question["sender"], question["parent"], question["run"]) == ("USER", None, run)
    (file,) = question["attachments"]
    assert (file["filename"], file["sizeBytes"]) == ("a.txt", 5)
    assert user.get(file["downloadUrl"]).content == b"hello"


def test_a_file_comes_as_a_part_of_the_request_for_one_place_or_more(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("seen"))
    thread_id = user.new_thread()["id"]
    document = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
      ... on SendMessageSuccess { userMessage { attachments { filename contentType sizeBytes downloadUrl } } }
      ... on Error { code message } } }"""
    variables = {"threadId": thread_id, "text": "", "model": model, "attachments": [{"file": None}] * 2}
    response = user.post(
        "/graphql",
        headers={"GraphQL-Require-Preflight": "1"},
        data={
            "operations": json.dumps({"query": document, "variables": {"input": variables}}),
            "map": json.dumps({"0": [f"variables.input.attachments.{place}.file" for place in (0, 1)]}),
        },
        files={"0": ("räksmörgås.bin", b"\x00\xff" * 50_000, "application/x-odd")},
    )
    files = response.json()["data"]["sendMessage"]["userMessage"]["attachments"]
    assert len(files) == 2
    for file in files:
        assert (file["filename"], file["contentType"]) == ("räksmörgås.bin", "application/x-odd")
        assert user.get(file["downloadUrl"]).content == b"\x00\xff" * 50_000


def test_a_repeated_send_stores_nothing(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("once"))
    thread_id = user.new_thread()["id"]
    first = send(user, thread_id, model=model, idempotencyKey="k")
    assert send(user, thread_id, model=model, idempotencyKey="k")["run"]["id"] == first["run"]["id"]
    other = send(user, thread_id, model=model, idempotencyKey="k", text="Other")
    assert other["__typename"] == "IdempotencyMismatch"
    other = send(user, thread_id, model=model, idempotencyKey="k", correlationId="another")
    assert other["__typename"] == "IdempotencyMismatch"


def test_a_message_is_changed(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("answer"))
    thread_id = user.new_thread()["id"]
    message = user.send_message(thread_id, "Hi", model=model).json()
    values = {"threadId": thread_id, "messageId": message["id"]}
    fields = "updatedMessage { text status usage { promptTokens } }"
    changed = mutate(user, "updateMessage", fields, **values, text="Hello", tokens=3, status="QUEUED")
    assert changed["updatedMessage"] == {"text": "Hello", "status": "QUEUED", "usage": {"promptTokens": 3}}
    assert user.messages(thread_id)[1]["text"] == "Hello"
    document = f"""mutation ($input: UpdateMessageInput!) {{ updateMessage(input: $input) {{
      {ERROR} {INVALID} }} }}"""
    refused = data(user, document, input={**values, "tokens": -1})["updateMessage"]
    assert (refused["__typename"], refused["field"]) == ("InvalidInput", "tokens")
    assert "tokens_count" not in refused["message"]


def test_a_run_is_cancelled(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("begun", WaitFor(model), "never"))
    run_id = start_run(user, model)
    provider.wait_until_held(model)

    fields = "run { status timings { finishedAt } assistantMessage { text } }"
    run = mutate(user, "cancelRun", fields, runId=run_id)["run"]

    assert (run["status"], run["assistantMessage"]) == ("CANCELLED", {"text": "begun"})
    assert run["timings"]["finishedAt"] is not None
    assert provider.wait_for_close(model, timeout=5)
    assert mutate(user, "cancelRun", fields, runId=NOWHERE)["__typename"] == "RunNotFound"


def test_the_run_of_a_deleted_thread_can_be_cancelled(
    user: Client, provider: ProviderProcess, model: str, new_user: Callable[..., Client]
) -> None:
    provider.script(model, text_stream("begun", WaitFor(model), "never"))
    thread_id = user.new_thread()["id"]
    run_id = send(user, thread_id, model=model)["run"]["id"]
    provider.wait_until_held(model)
    user.delete(f"/api/threads/{thread_id}")

    fields = "run { status thread { id } assistantMessage { text } }"
    assert mutate(new_user(), "cancelRun", fields, runId=run_id)["__typename"] == "RunNotFound"
    run = mutate(user, "cancelRun", fields, runId=run_id)["run"]

    assert run == {"status": "CANCELLED", "thread": None, "assistantMessage": None}
    assert provider.wait_for_close(model, timeout=5)


def test_the_newest_question_is_answered_anew(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("first try"))
    thread_id = user.new_thread()["id"]
    question = user.send_message(thread_id, "Hi", model=model).json()
    provider.script(model, text_stream("second try"))

    run = mutate(user, "regenerate", "run { id userMessage { id } }", messageId=question["id"])["run"]

    assert run["userMessage"] == {"id": question["id"]}
    user.get(f"/api/runs/{run['id']}/events").read()  # until it is over
    texts = [message["text"] for message in user.messages(thread_id)]
    assert texts == ["second try", "first try", "Hi"]
    assert mutate(user, "regenerate", "run { id }", messageId=NOWHERE)["__typename"] == "MessageNotFound"
    provider.script(model, text_stream("and on"))
    user.send_message(thread_id, "More", model=model)
    assert mutate(user, "regenerate", "run { id }", messageId=question["id"])["__typename"] == "NotLatest"


def test_the_newest_question_is_changed_and_answered_anew_in_one_step(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("yes"))
    thread_id = user.new_thread()["id"]
    question = user.send_message(thread_id, "Wat", model=model).json()

    refused = mutate(user, "regenerate", "run { id }", messageId=question["id"], text=" ")
    run = mutate(user, "regenerate", "run { id }", messageId=question["id"], text="What?")["run"]

    assert refused["__typename"] == "InvalidInput"
    user.get(f"/api/runs/{run['id']}/events").read()  # until it is over
    assert [message["text"] for message in user.messages(thread_id)] == ["yes", "yes", "What?"]
    asked = [request.json["messages"][-1]["content"] for request in provider.requests(model)]
    assert asked == ["Wat", "What?"]
    user.send_message(thread_id, "More", model=model)
    late = mutate(user, "regenerate", "run { id }", messageId=question["id"], text="Too late")
    assert late["__typename"] == "NotLatest"
    assert user.messages(thread_id)[-1]["text"] == "What?"


def test_a_thread_says_whether_its_next_message_is_a_secret(
    user: Client, provider: ProviderProcess, model: str
) -> None:
    asks = chunk(agent_status="interrupted", interrupt_payload={"format": "password"})
    provider.script(model, sse(asks), text_stream("thanks"))
    thread_id = user.new_thread()["id"]
    query = "query ($id: UUID!) { thread(id: $id) { awaitsSecret } }"
    said = []
    for text in ("Log in", "hunter2"):
        said.append(data(user, query, id=thread_id)["thread"]["awaitsSecret"])
        user.send_message(thread_id, text, model=model)
        said.append(data(user, query, id=thread_id)["thread"]["awaitsSecret"])
    assert said == [False, True, True, False]


def test_deleted_threads_are_listed_alone(user: Client) -> None:
    _, deleted = (user.new_thread(title=title)["id"] for title in ("kept", "deleted"))
    user.delete(f"/api/threads/{deleted}")
    found = data(user, "{ threads(onlyDeleted: true) { totalCount nodes { id } } }")["threads"]
    assert found == {"totalCount": 1, "nodes": [{"id": deleted}]}


def test_models_are_those_of_the_provider(user: Client) -> None:
    assert data(user, "{ models { id } }")["models"] == [{"id": "echo"}]


def test_provider_state_is_kept(user: Client) -> None:
    thread_id = user.new_thread()["id"]
    values = {"threadId": thread_id, "conversationId": "c-1", "payload": {"a": 1}}
    kept = mutate(user, "setProviderThread", "providerThread { conversationId payload }", **values)
    assert kept == {"providerThread": {"conversationId": "c-1", "payload": {"a": 1}}}
    show = """query ($id: UUID!) { thread(id: $id) { providerThread { conversationId payload }
      other: providerThread(provider: "other") { id } } }"""
    assert data(user, show, id=thread_id)["thread"] == kept | {"other": None}


def test_an_export_is_behind_its_url(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("An answer"))
    thread_id = user.new_thread()["id"]
    user.send_message(thread_id, "A question", model=model)
    url = data(user, "query ($id: UUID!) { thread(id: $id) { exportUrl(format: MARKDOWN) } }", id=thread_id)
    text = user.get(url["thread"]["exportUrl"]).text
    assert "A question" in text
    assert "An answer" in text


def test_anything_is_read_again_by_its_id(user: Client, provider: ProviderProcess, model: str) -> None:
    provider.script(model, text_stream("answer"))
    thread_id = user.new_thread()["id"]
    user.send_message(thread_id, "Hi", model=model)
    show = """query ($id: UUID!) { viewer { user { id } } thread(id: $id) {
      id messages { nodes { id run { id } } } } }"""
    found = data(user, show, id=thread_id)
    message = found["thread"]["messages"]["nodes"][0]
    ids = [thread_id, message["id"], message["run"]["id"], found["viewer"]["user"]["id"], NOWHERE]
    nodes = data(user, "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", ids=ids)["nodes"]
    kinds = ["Thread", "Message", "Run", "User"]
    assert nodes == [
        *({"__typename": kind, "id": key} for kind, key in zip(kinds, ids, strict=False)),
        None,
    ]
    assert error_code(user, '{ node(id: "no uuid") { id } }') == "BAD_USER_INPUT"
    assert (
        error_code(user, "query ($i: [ID!]!) { nodes(ids: $i) { id } }", i=[NOWHERE] * 101)
        == "BAD_USER_INPUT"
    )


def test_what_is_anothers_is_nothing(
    user: Client, new_user: Callable[..., Client], provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("secret"))
    thread_id = user.new_thread(title="Mine")["id"]
    user.send_message(thread_id, "Hi", model=model)
    show = "query ($id: UUID!) { thread(id: $id) { lastMessage { id run { id } } } }"
    message = data(user, show, id=thread_id)["thread"]["lastMessage"]
    stranger = new_user()
    ids = {"t": thread_id, "m": message["id"], "r": message["run"]["id"]}
    query = """query ($t: UUID!, $m: UUID!, $r: UUID!) {
      thread(id: $t) { id } message(id: $m) { id } run(id: $r) { id } }"""
    assert data(stranger, query, **ids) == {"thread": None, "message": None, "run": None}
    nodes = data(stranger, "query ($i: [ID!]!) { nodes(ids: $i) { id } }", i=list(ids.values()))["nodes"]
    assert nodes == [None, None, None]


def test_bad_input_is_told_without_the_servers_words(user: Client) -> None:
    for query, variables in (
        ('{ thread(id: "no uuid") { id } }', {}),
        ("query ($id: UUID!) { thread(id: $id) { id } }", {"id": 7}),
        ('{ threads(after: "no cursor") { nodes { id } } }', {}),
        ("{ threads(first: 0) { nodes { id } } }", {}),
        ("{ threads(first: 1, last: 1) { nodes { id } } }", {}),
        ("query ($f: ExportFormat!) { threads { nodes { exportUrl(format: $f) } } }", {"f": "ODT"}),
        ("{ threads { nodes { exportUrl(format: ODT) } } }", {}),
    ):
        answer = graphql(user, query, **variables)
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}, answer
        assert "hexadecimal" not in str(answer)
        assert "Traceback" not in str(answer)


def test_text_that_is_no_text_is_refused(user: Client) -> None:
    document = "mutation ($i: CreateThreadInput!) { createThread(input: $i) { __typename } }"
    response = user.post(
        "/graphql",
        content=json.dumps({"query": document, "variables": {"i": {"title": "\ud800"}}}),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
