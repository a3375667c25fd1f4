"""Runs in GraphQL: an answer, and what happens in it."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

import strawberry

from core.db import records
from core.db.records import RunStatus
from core.resolvers import runs
from core.runs.events import Batch, Cursor, EventKind
from core.runs.events import Snapshot as LogSnapshot
from graphql_schema.context import Info

strawberry.enum(RunStatus, description="How far an answer is.")


@strawberry.type(description="One answer being written, or written.")
class Run:
    id: UUID
    thread_id: UUID
    user_message_id: UUID
    assistant_message_id: UUID | None
    status: RunStatus
    model: str
    model_label: str | None
    error_code: str | None
    error: str | None = strawberry.field(description="What went wrong, in a sentence for people.")
    prompt_tokens: int | None
    completion_tokens: int | None
    created_at: datetime
    started_at: datetime | None
    first_token_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, run: records.Run) -> Self:
        """The run as clients see it."""
        return cls(
            id=run.id,
            thread_id=run.thread_id,
            user_message_id=run.user_message_id,
            assistant_message_id=run.assistant_message_id,
            status=run.status,
            model=run.model,
            model_label=run.model_label,
            error_code=run.error_code,
            error=run.error,
            prompt_tokens=run.prompt_tokens,
            completion_tokens=run.completion_tokens,
            created_at=run.created_at,
            started_at=run.started_at,
            first_token_at=run.first_token_at,
            finished_at=run.finished_at,
        )


@strawberry.type(description="All text so far, in place of deltas that are no longer kept.")
class RunSnapshot:
    cursor: str = strawberry.field(description="Give it as `after` to go on from here.")
    text: str
    status: RunStatus


@strawberry.type(description="The run went on to another status.")
class RunStatusChanged:
    cursor: str
    status: RunStatus


@strawberry.type(description="Text that the answer grew by.")
class RunDelta:
    cursor: str
    text: str


@strawberry.type(description="The run is over: the last event of every subscription.")
class RunEnded:
    cursor: str
    status: RunStatus
    error: str | None
    assistant_message_id: UUID | None


RunEvent = Annotated[
    RunSnapshot | RunStatusChanged | RunDelta | RunEnded,
    strawberry.union("RunEvent", description="What happens in a run, in order."),
]


@strawberry.type
class RunQuery:
    @strawberry.field(description="An answer of the caller's, and how far it is.")
    async def run(self, info: Info, run_id: UUID) -> Run:
        return Run.of(await runs.get_run(await info.context.core(), run_id))


@strawberry.type
class RunMutation:
    @strawberry.mutation(description="Stop an answer; what has arrived is kept.")
    async def cancel_run(self, info: Info, run_id: UUID) -> Run:
        return Run.of(await runs.cancel_run(await info.context.core(), run_id))


@strawberry.type
class RunSubscription:
    @strawberry.subscription(
        description="An answer from its start, or from behind the cursor `after`: what was missed, then "
        "live, then exactly one `RunEnded`."
    )
    async def run_events(
        self, info: Info, run_id: UUID, after: str | None = None
    ) -> AsyncGenerator[RunEvent, None]:
        reader = await runs.follow_run(await info.context.core(), run_id, after)
        while not reader.done:
            update = await reader.next()
            if update is None:
                continue
            for event in _events(update, reader.cursor.epoch, run_id):
                yield event


def _events(
    update: Batch | LogSnapshot, epoch: int, run_id: UUID
) -> list[RunSnapshot | RunStatusChanged | RunDelta | RunEnded]:
    """The update as GraphQL events; deltas that waited together become one."""
    if isinstance(update, LogSnapshot):
        cursor = Cursor(epoch, update.seq).encode(run_id)
        return [RunSnapshot(cursor=cursor, text=update.text, status=update.status)]
    told: list[RunSnapshot | RunStatusChanged | RunDelta | RunEnded] = []
    for seq, event in enumerate(update.events, update.first_seq):
        cursor = Cursor(epoch, seq).encode(run_id)
        if event.end is not None:
            end = event.end
            told.append(
                RunEnded(
                    cursor=cursor,
                    status=end.status,
                    error=end.error,
                    assistant_message_id=end.assistant_message_id,
                )
            )
        elif event.kind is not EventKind.CHUNK:
            told.append(RunStatusChanged(cursor=cursor, status=RunStatus(event.kind.value)))
        elif told and isinstance(told[-1], RunDelta):
            told[-1] = RunDelta(cursor=cursor, text=told[-1].text + event.text)
        else:
            told.append(RunDelta(cursor=cursor, text=event.text))
    return told
