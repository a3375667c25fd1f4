"""Threads in GraphQL."""

from datetime import datetime
from typing import Self
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from core.db import records
from core.resolvers import threads
from graphql_schema.context import Info
from graphql_schema.messages import MessagePage, page_of_messages
from graphql_schema.pages import PageInfo
from graphql_schema.scalars import json_object


@strawberry.type(description="A conversation.")
class Thread:
    id: UUID
    owner_id: UUID
    title: str | None
    summary: str | None
    metadata: JSON
    is_deleted: bool
    message_count: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None

    @strawberry.field(description="The messages of this thread, newest first.")
    async def messages(self, info: Info, page: int = 1, limit: int = 20) -> MessagePage:
        return await page_of_messages(await info.context.core(), self.id, page, limit)

    @classmethod
    def of(cls, thread: records.Thread) -> Self:
        """The thread as clients see it."""
        return cls(
            id=thread.id,
            owner_id=thread.owner_id,
            title=thread.title,
            summary=thread.summary,
            metadata=JSON(thread.metadata),
            is_deleted=thread.is_deleted,
            message_count=thread.message_count,
            created_at=thread.created_at,
            updated_at=thread.updated_at,
            deleted_at=thread.deleted_at,
        )


@strawberry.type(description="One page of the caller's threads, newest first.")
class ThreadPage:
    items: list[Thread]
    page_info: PageInfo


@strawberry.input(description="A conversation to be started.")
class CreateThreadInput:
    title: str | None = None
    summary: str | None = None
    metadata: JSON | None = None


@strawberry.input(description="What to change of a thread; null leaves a field as it is.")
class UpdateThreadInput:
    thread_id: UUID
    title: str | None = None
    summary: str | None = None
    metadata: JSON | None = strawberry.field(default=None, description="Replaces the whole object.")


@strawberry.type
class ThreadQuery:
    @strawberry.field(description="The caller's threads, newest first.")
    async def threads(
        self, info: Info, page: int = 1, limit: int = 20, include_deleted: bool = False
    ) -> ThreadPage:
        found = await threads.list_threads(
            await info.context.core(), page=max(page, 1), limit=max(limit, 1), include_deleted=include_deleted
        )
        return ThreadPage(items=[Thread.of(item) for item in found.items], page_info=PageInfo.of(found))

    @strawberry.field(description="A thread of the caller's.")
    async def thread(self, info: Info, thread_id: UUID) -> Thread:
        detail = await threads.get_thread(await info.context.core(), thread_id, messages_limit=0)
        return Thread.of(detail.thread)


@strawberry.type
class ThreadMutation:
    @strawberry.mutation(description="Start a conversation.")
    async def create_thread(self, info: Info, input: CreateThreadInput | None = None) -> Thread:  # noqa: A002
        new = input or CreateThreadInput()
        thread = await threads.create_thread(
            await info.context.core(),
            title=new.title,
            summary=new.summary,
            metadata=json_object("metadata", new.metadata),
        )
        return Thread.of(thread)

    @strawberry.mutation(description="Change a thread.")
    async def update_thread(self, info: Info, input: UpdateThreadInput) -> Thread:  # noqa: A002
        thread = await threads.update_thread(
            await info.context.core(),
            input.thread_id,
            title=input.title,
            summary=input.summary,
            metadata=json_object("metadata", input.metadata),
        )
        return Thread.of(thread)

    @strawberry.mutation(description="Delete a thread; it can be restored.")
    async def delete_thread(self, info: Info, thread_id: UUID) -> Thread:
        ctx = await info.context.core()
        return Thread.of(await threads.update_thread(ctx, thread_id, is_deleted=True))

    @strawberry.mutation(description="Bring a deleted thread back.")
    async def restore_thread(self, info: Info, thread_id: UUID) -> Thread:
        ctx = await info.context.core()
        return Thread.of(await threads.update_thread(ctx, thread_id, is_deleted=False))
