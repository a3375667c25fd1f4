"""What counts as a change of a thread: all that its owner sees in lists, and each once a transaction."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core.context import Context
from core.db.changes import touch
from core.db.models import ThreadRow, UserRow
from core.db.records import MessageStatus, RunStatus
from core.ids import new_id
from core.resolvers.changes import threads_cursor
from core.resolvers.messages import update_message
from core.resolvers.provider_threads import set_provider_thread
from core.resolvers.threads import delete_thread, update_thread
from core.runs import ending, store
from core.runs.checkpoints import Progress, checkpoint
from core.runs.reaper import reap
from core.runs.store import Outcome
from tests.core.chats import Chat, add_chat, add_question
from tests.core.feeds import changed, missed, number


def claim(chat: Chat) -> Callable[[Session], Any]:
    return lambda session: store.claim_next(session, chat.thread, new_id())


def finish(chat: Chat, status: RunStatus) -> Callable[[Session], Any]:
    return lambda session: ending.finish(session, chat.waiting_run, 1, Outcome(status, last_seq=2))


def ask(chat: Chat) -> Callable[[Session], Any]:
    def work(session: Session) -> None:
        thread = session.get_one(ThreadRow, chat.thread, with_for_update=True)
        add_question(session, thread, RunStatus.QUEUED)
        touch(session, thread)
        touch(session, thread)

    return work


def save(chat: Chat) -> Callable[[Session], Any]:
    progress = Progress(chat.waiting_run, 1, 1, "So", 2, None)
    return lambda session: checkpoint(session, [progress])


Change = Callable[[Context, Chat], Awaitable[Any]]
VISIBLE: dict[str, Change] = {
    "change": lambda ctx, chat: update_thread(ctx, chat.thread, title="New"),
    "deletion": lambda ctx, chat: delete_thread(ctx, chat.thread),
    "change of a message": lambda ctx, chat: update_message(
        ctx, chat.thread, chat.answer, status=MessageStatus.ERROR
    ),
    "question": lambda ctx, chat: ctx.db.write(ask(chat)),
    "start": lambda ctx, chat: ctx.db.write(claim(chat)),
    "answer": lambda ctx, chat: ctx.db.write(finish(chat, RunStatus.COMPLETED)),
    "provider thread": lambda ctx, chat: set_provider_thread(ctx, chat.thread, conversation_id="c"),
    "cancellation": lambda ctx, chat: ctx.db.write(finish(chat, RunStatus.CANCELLED)),
}
INVISIBLE: dict[str, Change] = {
    "checkpoint": lambda ctx, chat: ctx.db.write(save(chat)),
}


@pytest.mark.parametrize("change", VISIBLE.values(), ids=VISIBLE)
async def test_each_visible_change_of_a_thread_gets_one_number(ctx: Context, change: Change) -> None:
    chat = await add_chat(ctx)
    before = await threads_cursor(ctx)
    await change(ctx, chat)
    (item, _) = await missed(ctx, before)
    assert changed([item]) == [chat.thread]
    assert number(item.cursor) == number(before) + 1


@pytest.mark.parametrize("change", INVISIBLE.values(), ids=INVISIBLE)
async def test_what_nobody_sees_is_no_change(ctx: Context, change: Change) -> None:
    chat = await add_chat(ctx)
    before = await threads_cursor(ctx)
    await change(ctx, chat)
    assert await threads_cursor(ctx) == before


async def test_answers_that_a_dead_process_left_are_told_to_all_their_owners(
    ctx: Context, stranger: Context
) -> None:
    chats = [(owner, await add_chat(owner)) for owner in (ctx, stranger, ctx)]
    for _, chat in chats:
        await ctx.db.write(claim(chat))
    cursors = {owner.user.id: await threads_cursor(owner) for owner in (ctx, stranger)}
    await reap(ctx.db, new_id(), lease_counts=False)
    for owner in (ctx, stranger):
        own = {chat.thread for chat_owner, chat in chats if chat_owner is owner}
        told = changed(await missed(owner, cursors[owner.user.id]))
        assert set(told) == own
        assert len(told) == len(own)


async def test_numbers_are_the_owners_own(ctx: Context, stranger: Context) -> None:
    def numbers(session: Session) -> list[int]:
        owners = [session.get_one(UserRow, owner.user.id) for owner in (ctx, stranger)]
        return [owner.change_seq for owner in owners]

    chat = await add_chat(ctx)
    before = await ctx.db.read(numbers)
    await ctx.db.write(claim(chat))
    assert await ctx.db.read(numbers) == [before[0] + 1, before[1]]
