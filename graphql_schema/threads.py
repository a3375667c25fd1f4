"""Threads in GraphQL."""

from datetime import datetime, timedelta
from typing import Annotated, Self
from urllib.parse import quote
from uuid import UUID

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from core.auth.permissions import scope_of
from core.db import records
from core.db.keyset import Window
from core.errors import CursorInvalid
from core.exports import ExportFormat
from core.resolvers import changes, threads
from core.resolvers.threads import Which
from core.runs.history import PROVIDER
from graphql_schema import connections
from graphql_schema.connections import PAGE, Connection, position_cursor, window
from graphql_schema.context import Info
from graphql_schema.errors import InvalidInput, NotAllowed, ThreadNotFound
from graphql_schema.inputs import given
from graphql_schema.messages import Message
from graphql_schema.nodes import Node
from graphql_schema.provider_threads import ProviderThread
from graphql_schema.runs import Run
from graphql_schema.scalars import Cursor, json_object


@strawberry.type(description="A conversation.")
class Thread(Node):
    title: str | None = strawberry.field(
        description="Its name; made from its first message if none was given."
    )
    summary: str | None = strawberry.field(description="A summary that somebody gave it.")
    metadata: JSON = strawberry.field(description="An object of the clients' own, with the model last used.")
    message_count: int = strawberry.field(description="How many messages it holds.")
    is_deleted: bool = strawberry.field(description="Whether it is deleted; `restoreThread` brings it back.")
    created_at: datetime = strawberry.field(description="When it was started.")
    updated_at: datetime = strawberry.field(description="When it, or a message of it, was last changed.")
    deleted_at: datetime | None = strawberry.field(description="When it was deleted.")
    awaits_secret: bool = strawberry.field(
        description="Whether an agent has asked for a password: the next message is kept by nobody."
    )
    record: strawberry.Private[records.Thread]

    @classmethod
    def of(cls, thread: records.Thread) -> Self:
        """The thread as clients see it."""
        return cls(
            id=strawberry.ID(str(thread.id)),
            title=thread.title,
            summary=thread.summary,
            metadata=JSON(thread.metadata),
            message_count=thread.message_count,
            is_deleted=thread.is_deleted,
            created_at=thread.created_at,
            updated_at=thread.updated_at,
            deleted_at=thread.deleted_at,
            awaits_secret=thread.awaits_secret,
            record=thread,
        )

    @strawberry.field(description="The product that `metadata` names; the caller's allow list decides on it.")
    def product(self) -> str | None:
        return next(iter(scope_of(self.record.metadata).products), None)

    @strawberry.field(description="The agent that `metadata` names; the caller's allow list decides on it.")
    def agent(self) -> str | None:
        return next(iter(scope_of(self.record.metadata).agents), None)

    @strawberry.field(description="The model that was last asked.")
    def model(self) -> str | None:
        model = self.record.metadata.get("model")
        return model if isinstance(model, str) else None

    @strawberry.field(description="Its messages, newest first.", directives=[PAGE])
    async def messages(
        self,
        info: Info,
        first: connections.First = UNSET,
        after: connections.After = UNSET,
        last: connections.Last = UNSET,
        before: connections.Before = UNSET,
    ) -> Connection[Message]:
        ctx, thread = info.context.core, self.record
        wanted = window(lambda cursor: _position(thread, cursor), first, after, last, before)
        found = await info.context.loaders.thread_messages.load((thread, wanted))

        async def count() -> int:
            return thread.message_count

        return Connection.of(
            found,
            [Message.of(ctx, item) for item in found.items],
            lambda item: position_cursor(thread.id, item.position),
            count,
        )

    @strawberry.field(description="Its newest message; null while it is empty.")
    async def last_message(self, info: Info) -> Message | None:
        found = await info.context.loaders.thread_messages.load((self.record, Window(first=1)))
        return Message.of(info.context.core, found.items[0]) if found.items else None

    @strawberry.field(description="The answer that is being written, or comes next; null if none is.")
    async def active_run(self, info: Info) -> Run | None:
        found = await info.context.loaders.active_runs.load(self.record.id)
        return Run.of(found) if found is not None else None

    @strawberry.field(
        description="What a provider wants to be told again with the next message; null if nothing."
    )
    async def provider_thread(
        self,
        info: Info,
        provider: Annotated[str, strawberry.argument(description="Which provider.")] = PROVIDER,
    ) -> ProviderThread | None:
        found = await info.context.loaders.provider_threads(provider).load(self.record.id)
        return ProviderThread.of(found) if found is not None else None

    @strawberry.field(description="Where the whole thread is as a file; send the access token there, too.")
    def export_url(
        self,
        info: Info,
        format: Annotated[ExportFormat, strawberry.argument(description="Which kind of file.")],  # noqa: A002
    ) -> str:
        prefix = info.context.core.settings.api_prefix
        return f"{prefix}/threads/{self.record.id}/export?format={quote(format.value)}"


@strawberry.type(description="A page of the caller's threads, newest first.")
class ThreadConnection(Connection[Thread]):
    changes_cursor: Cursor = strawberry.field(
        description="For `threadsChanged`: begin behind it to be told of all that this page does not show."
    )


@strawberry.input(description="A conversation to be started.")
class CreateThreadInput:
    title: str | None = strawberry.field(default=UNSET, description="A name, at most 255 characters.")
    summary: str | None = strawberry.field(default=UNSET, description="A summary, at most 1,024 characters.")
    metadata: JSON | None = strawberry.field(
        default=UNSET,
        description="An object; `product_id` and `agent_id` in it must be allowed to the caller.",
    )


@strawberry.input(description="What to change of a thread; what is null or left out stays.")
class UpdateThreadInput:
    thread_id: UUID = strawberry.field(description="The thread; a deleted one can be changed, too.")
    title: str | None = strawberry.field(default=UNSET, description="A name, at most 255 characters.")
    summary: str | None = strawberry.field(default=UNSET, description="A summary, at most 1,024 characters.")
    metadata: JSON | None = strawberry.field(default=UNSET, description="An object; replaces the whole one.")


@strawberry.input(description="The thread to be deleted.")
class DeleteThreadInput:
    thread_id: UUID = strawberry.field(description="The thread.")


@strawberry.input(description="The thread to be brought back.")
class RestoreThreadInput:
    thread_id: UUID = strawberry.field(description="The thread.")


@strawberry.type(description="The thread was started.")
class CreateThreadSuccess:
    thread: Thread = strawberry.field(description="The new thread.")


@strawberry.type(description="The thread was changed.")
class UpdateThreadSuccess:
    thread: Thread = strawberry.field(description="The thread as it is now.")


@strawberry.type(description="The thread is deleted; again is fine.")
class DeleteThreadSuccess:
    thread: Thread = strawberry.field(description="The thread as it is now.")


@strawberry.type(description="The thread is back.")
class RestoreThreadSuccess:
    thread: Thread = strawberry.field(description="The thread as it is now.")


CreateThreadResult = Annotated[
    CreateThreadSuccess | InvalidInput | NotAllowed,
    strawberry.union("CreateThreadResult", description="What `createThread` did."),
]
UpdateThreadResult = Annotated[
    UpdateThreadSuccess | InvalidInput | NotAllowed | ThreadNotFound,
    strawberry.union("UpdateThreadResult", description="What `updateThread` did."),
]
DeleteThreadResult = Annotated[
    DeleteThreadSuccess | NotAllowed | ThreadNotFound,
    strawberry.union("DeleteThreadResult", description="What `deleteThread` did."),
]
RestoreThreadResult = Annotated[
    RestoreThreadSuccess | NotAllowed | ThreadNotFound,
    strawberry.union("RestoreThreadResult", description="What `restoreThread` did."),
]


@strawberry.type
class ThreadQuery:
    @strawberry.field(description="The caller's threads, newest first.", directives=[PAGE])
    async def threads(
        self,
        info: Info,
        first: connections.First = UNSET,
        after: connections.After = UNSET,
        last: connections.Last = UNSET,
        before: connections.Before = UNSET,
        include_deleted: Annotated[
            bool, strawberry.argument(description="Also those that are deleted, untitled or empty.")
        ] = False,
        only_deleted: Annotated[
            bool, strawberry.argument(description="Those that are deleted, and no others.")
        ] = False,
    ) -> ThreadConnection:
        ctx = info.context.core
        wanted = window(_thread_key, first, after, last, before)
        # Read before the page: what changes in between is told twice rather than not at all.
        changes_cursor = await changes.threads_cursor(ctx)
        which = Which.DELETED if only_deleted else Which.ALL if include_deleted else Which.LISTED
        found = await threads.slice_threads(ctx, wanted, which)

        async def count() -> int:
            one = await threads.slice_threads(ctx, Window(first=1), which, with_total=True)
            return one.total or 0

        nodes = [Thread.of(item) for item in found.items]
        return ThreadConnection.of(found, nodes, _thread_cursor, count, changes_cursor=Cursor(changes_cursor))

    @strawberry.field(description="A thread of the caller's; null if there is none, or if it is deleted.")
    async def thread(
        self,
        info: Info,
        id: Annotated[UUID, strawberry.argument(description="The thread's id.")],  # noqa: A002
    ) -> Thread | None:
        found = await info.context.loaders.threads.load(id)
        return Thread.of(found) if found is not None else None


@strawberry.type
class ThreadMutation:
    @strawberry.mutation(description="Start a conversation.")
    async def create_thread(self, info: Info, input: CreateThreadInput) -> CreateThreadResult:  # noqa: A002
        thread = await threads.create_thread(
            info.context.core,
            title=given(input.title),
            summary=given(input.summary),
            metadata=json_object("metadata", input.metadata),
        )
        return CreateThreadSuccess(thread=Thread.of(thread))

    @strawberry.mutation(description="Change a thread.")
    async def update_thread(self, info: Info, input: UpdateThreadInput) -> UpdateThreadResult:  # noqa: A002
        thread = await threads.update_thread(
            info.context.core,
            input.thread_id,
            title=given(input.title),
            summary=given(input.summary),
            metadata=json_object("metadata", input.metadata),
        )
        return UpdateThreadSuccess(thread=Thread.of(thread))

    @strawberry.mutation(description="Delete a thread; it can be restored.")
    async def delete_thread(self, info: Info, input: DeleteThreadInput) -> DeleteThreadResult:  # noqa: A002
        thread = await threads.update_thread(info.context.core, input.thread_id, is_deleted=True)
        return DeleteThreadSuccess(thread=Thread.of(thread))

    @strawberry.mutation(description="Bring a deleted thread back.")
    async def restore_thread(self, info: Info, input: RestoreThreadInput) -> RestoreThreadResult:  # noqa: A002
        thread = await threads.update_thread(info.context.core, input.thread_id, is_deleted=False)
        return RestoreThreadSuccess(thread=Thread.of(thread))


def _thread_cursor(thread: records.Thread) -> Cursor:
    return connections.encode_cursor("t", thread.created_at.isoformat(), thread.id)


def _thread_key(cursor: str) -> threads.ThreadKey:
    created_at, thread_id = connections.decode_cursor("t", cursor, 2)
    instant = datetime.fromisoformat(created_at)
    if instant.utcoffset() != timedelta():
        raise CursorInvalid
    return threads.ThreadKey(instant, UUID(thread_id))


def _position(thread: records.Thread, cursor: str) -> int:
    tag, position = connections.decode_cursor("m", cursor, 2)
    if tag != thread.id.hex[-8:]:
        raise CursorInvalid
    return int(position)
