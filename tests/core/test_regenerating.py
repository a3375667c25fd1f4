"""Regenerating: the newest question gets another answer, and of its answers one counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from api.services import running_services
from core.context import Context, Services
from core.db.records import Message, MessageStatus, Run, RunStatus
from core.errors import (
    InvalidInput,
    MessageNotFound,
    ModelRequired,
    NotAllowed,
    NotLatest,
    QueueFull,
    Unavailable,
)
from core.ids import new_id
from core.resolvers import runs
from core.resolvers.changes import threads_cursor
from core.resolvers.messages import get_message, list_messages
from core.resolvers.regenerating import regenerate
from core.resolvers.sending import BULLETS, NewMessage, SentMessage, send_message
from core.resolvers.threads import create_thread, delete_thread, threads_by_id, update_thread
from core.settings import Settings
from tests.core.parts import new_caller
from tests.provider.client import ProviderProcess
from tests.provider.script import Cut, Script, WaitFor, chunk, plain_error, sse, text_stream
from tests.servers import SECRET

PATIENCE = 10.0
ASKING = sse(
    chunk(
        agent_status="interrupted",
        interrupt_id="i",
        interrupt_payload={"question": "?", "format": "password"},
    )
)
CUT = sse(chunk("Half an ans"), Cut(), done=False)


def settings_of(provider: ProviderProcess, directory: Path, **values: Any) -> Settings:
    return Settings(
        _env_file=None,
        database_url=f"sqlite:///{directory / 'app.db'}",
        attachments_storage_dir=directory / "storage",
        chroma_persist_directory=directory / "chroma",
        llm_api_base=f"{provider.base_url}/v1",
        jwt_secret_key=SECRET,
        thread_queue_limit=2,
        shutdown_grace_seconds=0,
        **values,
    )


@pytest.fixture
async def services(provider: ProviderProcess, tmp_path: Path) -> AsyncIterator[Services]:
    async with running_services(settings_of(provider, tmp_path)) as parts:
        yield parts


async def end_of(ctx: Context, run: Run | None) -> Run:
    """The run once it has ended."""
    assert run is not None
    await asyncio.wait_for(runs.wait_for_end(ctx, run.id), PATIENCE)
    return await runs.get_run(ctx, run.id)


async def ask(ctx: Context, thread_id: UUID, text: str, model: str) -> SentMessage:
    """Send a question and wait for the end of its answer."""
    sent = await send_message(ctx, thread_id, NewMessage(text, model=model))
    await end_of(ctx, sent.run)
    return sent


async def history(ctx: Context, thread_id: UUID) -> list[Message]:
    """The messages, oldest first."""
    return list((await list_messages(ctx, thread_id)).items)[::-1]


def prompt(provider: ProviderProcess, model: str) -> list[str]:
    """What the provider was told last."""
    return [message["content"] for message in provider.requests(model)[-1].json["messages"]]


@pytest.fixture
async def thread_id(ctx: Context) -> UUID:
    return (await create_thread(ctx)).id


@pytest.mark.parametrize("of", ["question", "answer"])
async def test_another_answer_is_written_beside_the_first_which_the_provider_is_not_shown(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str, of: str
) -> None:
    provider.script(model, text_stream("First"), text_stream("Second", usage=(3, 2)))
    sent = await ask(ctx, thread_id, "Why?", model)
    question, first = await history(ctx, thread_id)

    run = await regenerate(ctx, question.id if of == "question" else first.id)
    ended = await end_of(ctx, run)

    assert sent.run is not None
    assert run.id != sent.run.id
    assert (ended.user_message_id, ended.status, ended.model) == (question.id, RunStatus.COMPLETED, model)
    again, same, second = await history(ctx, thread_id)
    assert (same, second.text) == (first, "Second")
    assert (second.id, second.parent_id) == (ended.assistant_message_id, question.id)
    assert (again.id, again.status, again.tokens_count) == (question.id, MessageStatus.READY, 3)
    assert [message.position for message in (again, same, second)] == [1, 2, 3]
    assert prompt(provider, model) == ["Why?"]
    assert (await runs.get_run(ctx, sent.run.id)).assistant_message_id == first.id


OUTCOMES: dict[str, tuple[list[Script], str | None]] = {
    "the newest of several": ([text_stream("1"), text_stream("2"), text_stream("3")], "3"),
    "the good one before a broken one": ([text_stream("1"), CUT], "1"),
    "the good one before one without any text": ([text_stream("1"), plain_error("no", 500)], "1"),
    "the good one behind a broken one": ([CUT, text_stream("2")], "2"),
    "the last of broken ones": ([CUT, sse(chunk("Other"), Cut(), done=False)], "Other"),
    "none": ([plain_error("no", 500), plain_error("no", 500)], None),
}


@pytest.mark.parametrize(("scripts", "counts"), OUTCOMES.values(), ids=OUTCOMES)
async def test_one_answer_is_shown_to_the_provider_later(
    ctx: Context,
    thread_id: UUID,
    provider: ProviderProcess,
    model: str,
    *,
    scripts: list[Script],
    counts: str | None,
) -> None:
    provider.script(model, *scripts, text_stream("Next"))
    question = (await ask(ctx, thread_id, "Why?", model)).message
    for _ in scripts[1:]:
        await end_of(ctx, await regenerate(ctx, question.id))
    await ask(ctx, thread_id, "And then?", model)
    assert prompt(provider, model) == ["Why?", *([counts] if counts else []), "And then?"]


async def test_the_question_s_status_follows_the_new_run(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str
) -> None:
    gate = f"{model} gate"
    provider.script(model, plain_error("Out of luck", 500), text_stream("A", WaitFor(gate)), CUT)
    question = (await ask(ctx, thread_id, "Why?", model)).message

    async def status() -> tuple[MessageStatus, bool]:
        found = await get_message(ctx, thread_id, question.id)
        return found.status, found.error_code is not None

    assert await status() == (MessageStatus.ERROR, True)
    second = await regenerate(ctx, question.id)
    assert await status() == (MessageStatus.PROCESSING, False)
    assert (await runs.active_runs(ctx, [thread_id]))[thread_id].id == second.id
    third = await regenerate(ctx, question.id)
    assert (second.status, third.status) == (RunStatus.RUNNING, RunStatus.QUEUED)
    assert await status() == (MessageStatus.PROCESSING, False)
    assert (await runs.active_runs(ctx, [thread_id]))[thread_id].id == second.id
    await asyncio.to_thread(provider.wait_until_held, gate)
    assert len(provider.requests(model)) == 2
    provider.open_gate(gate)
    await end_of(ctx, second)
    await end_of(ctx, third)
    assert await status() == (MessageStatus.ERROR, True)
    assert await runs.active_runs(ctx, [thread_id]) == {}
    assert [message.text for message in await history(ctx, thread_id)] == ["Why?", "A", "Half an ans"]


async def test_a_new_answer_is_news_for_other_devices(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str
) -> None:
    gate = f"{model} gate"
    provider.script(model, text_stream("1"), text_stream("2", WaitFor(gate)))
    question = (await ask(ctx, thread_id, "Why?", model)).message
    cursors = [await threads_cursor(ctx)]
    run = await regenerate(ctx, question.id)
    cursors.append(await threads_cursor(ctx))
    await asyncio.to_thread(provider.wait_until_held, gate)
    provider.open_gate(gate)
    await end_of(ctx, run)
    cursors.append(await threads_cursor(ctx))
    assert len(set(cursors)) == 3


async def test_another_model_is_asked_and_remembered(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("1"))
    provider.script(f"{model}-b", text_stream("2"))
    question = (await ask(ctx, thread_id, "Why?", model)).message
    run = await end_of(ctx, await regenerate(ctx, question.id, model=f"{model}-b", model_label="B"))
    assert (run.status, run.model, run.model_label) == (RunStatus.COMPLETED, f"{model}-b", "B")
    (thread,) = (await threads_by_id(ctx, [thread_id])).values()
    assert (thread.metadata["model"], thread.metadata["model_label"]) == (f"{model}-b", "B")
    again = await end_of(ctx, await regenerate(ctx, question.id))
    assert (again.model, again.model_label) == (f"{model}-b", "B")


async def test_only_the_newest_question_is_answered_again(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("1"))
    await ask(ctx, thread_id, "Why?", model)
    await ask(ctx, thread_id, "And then?", model)
    before = await history(ctx, thread_id)
    for message in before[:2]:
        with pytest.raises(NotLatest):
            await regenerate(ctx, message.id)
    assert await history(ctx, thread_id) == before
    await end_of(ctx, await regenerate(ctx, before[3].id))
    assert prompt(provider, model) == ["Why?", "1", "And then?"]


async def test_what_the_caller_may_not_see_is_not_found(
    ctx: Context, stranger: Context, thread_id: UUID, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("1"))
    question = (await ask(ctx, thread_id, "Why?", model)).message
    with pytest.raises(MessageNotFound):
        await regenerate(stranger, question.id)
    with pytest.raises(MessageNotFound):
        await regenerate(ctx, new_id())
    await delete_thread(ctx, thread_id)
    with pytest.raises(MessageNotFound):
        await regenerate(ctx, question.id)
    assert len(provider.requests(model)) == 1


async def test_allow_lists_hold(
    ctx: Context, services: Services, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("1"))
    thread = await create_thread(ctx, metadata={"product": "p"})
    question = (await ask(ctx, thread.id, "Why?", model)).message
    for lists in ({"allowed_products": ("q",)}, {"allowed_agents": ("a",)}):
        limited = services.context(replace(ctx.user, **lists))  # type: ignore[arg-type]
        with pytest.raises(NotAllowed):
            await regenerate(limited, question.id)
    limited = services.context(replace(ctx.user, allowed_agents=(model,)))
    with pytest.raises(NotAllowed):
        await regenerate(limited, question.id, model=f"{model}-b")
    await end_of(limited, await regenerate(limited, question.id))


async def test_a_thread_that_has_forgotten_its_model_must_be_told_one(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, text_stream("1"))
    question = (await ask(ctx, thread_id, "Why?", model)).message
    await update_thread(ctx, thread_id, metadata={})
    with pytest.raises(ModelRequired):
        await regenerate(ctx, question.id)
    with pytest.raises(InvalidInput):
        await regenerate(ctx, question.id, model="x" * 256)
    assert (await get_message(ctx, thread_id, question.id)).status is MessageStatus.READY
    await end_of(ctx, await regenerate(ctx, question.id, model=model))


async def test_a_full_queue_refuses_and_stores_nothing(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str
) -> None:
    gate = f"{model} gate"
    provider.script(model, text_stream("1"), text_stream(WaitFor(gate)), text_stream("3"))
    question = (await ask(ctx, thread_id, "Why?", model)).message
    waiting = [await regenerate(ctx, question.id) for _ in range(2)]
    with pytest.raises(QueueFull):
        await regenerate(ctx, question.id)
    await asyncio.to_thread(provider.wait_until_held, gate)
    provider.open_gate(gate)
    assert [(await end_of(ctx, run)).status for run in waiting] == [RunStatus.COMPLETED] * 2
    assert len(provider.requests(model)) == 3


async def test_a_switched_off_provider_is_told(provider: ProviderProcess, model: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        settings = settings_of(provider, tmp_path, llm_enabled=False)
        ctx = await new_caller(await stack.enter_async_context(running_services(settings)))
        thread = await create_thread(ctx)
        sent = await send_message(ctx, thread.id, NewMessage("Why?", model=model))
        with pytest.raises(Unavailable, match="switched off"):
            await regenerate(ctx, sent.message.id)
        assert (await get_message(ctx, thread.id, sent.message.id)).status is MessageStatus.QUEUED


async def test_a_secret_cannot_be_asked_again_because_nobody_knows_it(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str
) -> None:
    provider.script(model, ASKING, text_stream("Thank you"))
    await ask(ctx, thread_id, "Log in", model)
    secret = (await ask(ctx, thread_id, "sesame", model)).message
    assert secret.text == BULLETS
    with pytest.raises(InvalidInput) as caught:
        await regenerate(ctx, secret.id)
    assert caught.value.field == "message_id"
    assert len(provider.requests(model)) == 2


@pytest.mark.parametrize(
    ("script", "is_secret"), [(text_stream("Never mind"), False), (CUT, True), (ASKING, True)]
)
async def test_the_next_message_is_a_secret_if_the_answer_that_counts_asks_for_one(
    ctx: Context, thread_id: UUID, provider: ProviderProcess, model: str, *, script: Script, is_secret: bool
) -> None:
    provider.script(model, ASKING, script, text_stream("Next"))
    question = (await ask(ctx, thread_id, "Log in", model)).message
    await end_of(ctx, await regenerate(ctx, question.id))
    following = (await ask(ctx, thread_id, "sesame", model)).message
    assert following.text == (BULLETS if is_secret else "sesame")
    assert prompt(provider, model)[-1] == "sesame"
