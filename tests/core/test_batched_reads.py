"""Batched reads: as many statements for fifty things as for one, and only what the caller may see."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from core.context import Context, Services
from core.db.keyset import Window
from core.db.migrate import migrate
from core.db.models import AttachmentRow, MessageRow, RunRow, ThreadRow, now
from core.db.records import RunStatus
from core.errors import InvalidInput
from core.ids import new_id
from core.resolvers import messages, nodes, provider_threads, runs, threads
from core.resolvers.provider_threads import set_provider_thread
from tests.core.chats import Chat, add_answer, add_chat, add_question, add_run
from tests.core.parts import new_caller, open_services
from tests.core.plans import explained
from tests.postgresql import postgresql

Read = Callable[[Context, list[Chat]], Awaitable[Any]]


async def _slices(ctx: Context, chats: list[Chat]) -> Any:
    found = await threads.threads_by_id(ctx, [chat.thread for chat in chats])
    return await messages.slice_messages(ctx, [(thread, Window(first=2)) for thread in found.values()])


async def _runs_of_messages(ctx: Context, chats: list[Chat]) -> Any:
    found = await messages.messages_by_id(
        ctx, [id_ for chat in chats for id_ in (chat.question, chat.answer)]
    )
    return await runs.runs_of_messages(ctx, list(found.values()))


READS: dict[str, Read] = {
    "threads": lambda ctx, chats: threads.threads_by_id(ctx, [chat.thread for chat in chats]),
    "messages": lambda ctx, chats: messages.messages_by_id(ctx, [chat.question for chat in chats]),
    "runs": lambda ctx, chats: runs.runs_by_id(ctx, [chat.run for chat in chats]),
    "active runs": lambda ctx, chats: runs.active_runs(ctx, [chat.thread for chat in chats]),
    "runs of messages": _runs_of_messages,
    "slices of messages": _slices,
    "provider threads": lambda ctx, chats: provider_threads.provider_threads_of(
        ctx, [chat.thread for chat in chats]
    ),
    "nodes": lambda ctx, chats: nodes.find_nodes(
        ctx, [id_ for chat in chats for id_ in (chat.thread, chat.answer)]
    ),
}


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that run meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != "BEGIN":
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("allowed", [(), ("p",)], ids=["everything", "one product"])
async def test_fifty_take_as_many_statements_as_one(
    ctx: Context, services: Services, allowed: tuple[str, ...]
) -> None:
    caller = services.context(replace(ctx.user, allowed_products=allowed))
    chats = [await add_chat(ctx, {"product": "p"}) for _ in range(50)]
    for name, read in READS.items():
        with counted() as for_one:
            assert await read(caller, chats[:1])
        with counted() as for_fifty:
            assert len(await read(caller, chats)) >= (1 if name == "users" else 50)
        assert len(for_fifty) == len(for_one) <= (12 if name == "nodes" else 5), name


async def test_what_is_asked_for_is_found_by_its_ids_and_not_among_all_that_the_owner_has(
    ctx: Context,
) -> None:
    chats = [await add_chat(ctx) for _ in range(30)]
    for name, read in READS.items():
        with explained() as steps:
            await read(ctx, chats)
        assert steps
        assert not [step for step in steps if "owner" in step], (name, steps)
        assert {step for step in steps if "SCAN" in step} <= {"SCAN ranges", "SCAN 32 CONSTANT ROWS"}, name


async def test_an_empty_batch_is_empty(ctx: Context) -> None:
    for read in READS.values():
        assert len(await read(ctx, [])) == 0


def ids_of(chat: Chat) -> list[UUID]:
    return list(astuple(chat))


async def seen(ctx: Context, chat: Chat) -> list[Mapping[UUID, Any]]:
    """All that a caller gets of a chat, by whatever way."""
    found = [await read(ctx, [chat]) for name, read in READS.items() if name != "nodes"]
    by_id = await nodes.find_nodes(ctx, ids_of(chat))
    return [part for part in (*found, by_id) if part]


async def test_every_kind_is_found_by_its_id_alone(ctx: Context) -> None:
    chat = await add_chat(ctx)
    unknown = new_id()
    found = await nodes.find_nodes(ctx, [*ids_of(chat), ctx.user.id, unknown])
    kinds = {node_id: type(node).__name__ for node_id, node in found.items()}
    assert kinds == {
        chat.thread: "Thread",
        chat.question: "Message",
        chat.answer: "Message",
        chat.run: "Run",
        chat.waiting_question: "Message",
        chat.waiting_run: "Run",
        chat.attachment: "Attachment",
        chat.provider_thread: "ProviderThread",
        ctx.user.id: "User",
    }
    assert all(node.id == node_id for node_id, node in found.items())


async def test_postgresql_gives_the_same(tmp_path: Path) -> None:
    with postgresql() as url:
        migrate(url)
        async with open_services(url, tmp_path) as services:
            owner, other = [await new_caller(services, allowed_products=["p"]) for _ in range(2)]
            chat = await add_chat(owner, {"product": "p"})
            assert len(await seen(owner, chat)) == len(READS)
            assert await seen(other, chat) == []
            assert len(await nodes.find_nodes(owner, [*ids_of(chat), owner.user.id])) == len(ids_of(chat)) + 1


async def test_an_answer_s_file_is_no_node_while_it_is_being_written(ctx: Context) -> None:
    chat = await add_chat(ctx)

    def unfinish(session: Session) -> None:
        session.get_one(AttachmentRow, chat.attachment).message_id = None

    await ctx.db.write(unfinish)
    assert await nodes.find_nodes(ctx, [chat.attachment]) == {}


async def test_nothing_of_a_stranger_s_chat_is_seen(ctx: Context, stranger: Context) -> None:
    chat = await add_chat(ctx)
    assert await seen(ctx, chat)
    assert await seen(stranger, chat) == []
    (own,) = (await threads.threads_by_id(ctx, [chat.thread])).values()
    (foreign,) = await messages.slice_messages(stranger, [(own, Window())])
    assert foreign.items == ()
    asked = await messages.messages_by_id(ctx, [chat.question, chat.answer])
    assert await runs.runs_of_messages(stranger, list(asked.values())) == {}


async def test_an_administrator_sees_accounts_of_others_and_nothing_else(
    ctx: Context, admin_ctx: Context
) -> None:
    chat = await add_chat(ctx)
    assert await seen(admin_ctx, chat) == []
    assert await nodes.find_nodes(admin_ctx, [ctx.user.id]) == {ctx.user.id: ctx.user}
    assert await nodes.find_nodes(ctx, [admin_ctx.user.id]) == {}


@pytest.mark.parametrize("lists", [{"allowed_products": ("other",)}, {"allowed_agents": ("other",)}])
async def test_nothing_outside_the_allow_lists_is_seen(
    ctx: Context, services: Services, lists: dict[str, tuple[str, ...]]
) -> None:
    chat = await add_chat(ctx, {"product": "p", "agent": {"id": "a"}})
    assert await seen(services.context(replace(ctx.user, **lists)), chat) == []  # type: ignore[arg-type]


async def test_nothing_of_a_deleted_thread_is_seen(ctx: Context) -> None:
    chat = await add_chat(ctx)
    await threads.delete_thread(ctx, chat.thread)
    assert await seen(ctx, chat) == []


async def test_more_than_a_hundred_nodes_at_once_are_refused(ctx: Context) -> None:
    assert await nodes.find_nodes(ctx, [new_id() for _ in range(100)]) == {}
    with pytest.raises(InvalidInput) as caught:
        await nodes.find_nodes(ctx, [new_id() for _ in range(101)])
    assert caught.value.field == "ids"


async def test_messages_come_with_their_attachments(ctx: Context) -> None:
    chats = [await add_chat(ctx) for _ in range(3)]
    by_id = await messages.messages_by_id(ctx, [chat.question for chat in chats])
    for part, chat in zip(await _slices(ctx, chats), chats, strict=True):
        assert [item.id for item in by_id[chat.question].attachments] == [chat.attachment]
        assert [message.id for message in part.items] == [chat.waiting_question, chat.answer]
    (thread,) = (await threads.threads_by_id(ctx, [chats[0].thread])).values()
    (whole,) = await messages.slice_messages(ctx, [(thread, Window())])
    assert whole.items == (await messages.list_messages(ctx, thread.id)).items


async def test_the_active_run_is_the_one_at_work_then_the_longest_waiting(ctx: Context) -> None:
    chat, idle = await add_chat(ctx), await add_chat(ctx)

    def go_on(session: Session) -> UUID:
        thread = session.get_one(ThreadRow, chat.thread, with_for_update=True)
        question, started = add_question(session, thread, RunStatus.QUEUED)
        add_run(session, question, thread.owner_id, RunStatus.QUEUED)
        _finish(session, chat.waiting_run)
        _finish(session, idle.waiting_run)
        started.status, started.started_at = RunStatus.RUNNING, now()
        return started.id

    started = await ctx.db.write(go_on)
    found = await runs.active_runs(ctx, [chat.thread, idle.thread])
    assert {thread_id: run.id for thread_id, run in found.items()} == {chat.thread: started}


async def test_a_question_has_its_newest_run_and_an_answer_the_one_that_wrote_it(ctx: Context) -> None:
    chat = await add_chat(ctx)

    def answer_again(session: Session) -> tuple[UUID, UUID, UUID]:
        thread = session.get_one(ThreadRow, chat.thread, with_for_update=True)
        question = session.get_one(MessageRow, chat.question)
        second = add_run(session, question, thread.owner_id, RunStatus.FAILED)
        answer = add_answer(session, thread, second)
        newest = add_run(session, question, thread.owner_id, RunStatus.QUEUED)
        return second.id, answer.id, newest.id

    second, answer, newest = await ctx.db.write(answer_again)
    asked = await messages.messages_by_id(ctx, [chat.question, chat.answer, answer, chat.waiting_question])
    found = await runs.runs_of_messages(ctx, list(asked.values()))
    assert {message_id: run.id for message_id, run in found.items()} == {
        chat.question: newest,
        chat.answer: chat.run,
        answer: second,
        chat.waiting_question: chat.waiting_run,
    }


async def test_only_the_state_of_the_provider_that_is_asked_for_is_given(ctx: Context) -> None:
    chat = await add_chat(ctx)
    await set_provider_thread(ctx, chat.thread, provider="other", conversation_id="o")
    ours = await provider_threads.provider_threads_of(ctx, [chat.thread])
    others = await provider_threads.provider_threads_of(ctx, [chat.thread], "other")
    assert [ours[chat.thread].conversation_id, others[chat.thread].conversation_id] == ["c", "o"]


def _finish(session: Session, run_id: UUID) -> None:
    run = session.get_one(RunRow, run_id)
    run.status, run.finished_at = RunStatus.CANCELLED, now()
