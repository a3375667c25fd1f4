"""Runs in GraphQL: an answer, how far it is, and stopping it or having it written again."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self
from uuid import UUID

import strawberry
from strawberry import UNSET

from core.db import records
from core.db.records import RunStatus
from core.resolvers import regenerating, runs
from core.runs import events
from graphql_schema.context import Info
from graphql_schema.errors import (
    InvalidInput,
    MessageNotFound,
    ModelRequired,
    NotAllowed,
    NotLatest,
    QueueFull,
    RunNotFound,
)
from graphql_schema.inputs import given
from graphql_schema.nodes import Node
from graphql_schema.scalars import Cursor

if TYPE_CHECKING:
    from graphql_schema.messages import Message
    from graphql_schema.threads import Thread


@strawberry.type(description="Tokens, as the provider counted them; null where it did not say.")
class Usage:
    prompt_tokens: int | None = strawberry.field(description="What the provider read.")
    completion_tokens: int | None = strawberry.field(description="What the provider wrote.")


@strawberry.type(description="When an answer got how far.")
class RunTimings:
    created_at: datetime = strawberry.field(description="When the question was stored.")
    started_at: datetime | None = strawberry.field(description="When the provider was asked.")
    first_token_at: datetime | None = strawberry.field(description="When the first text came.")
    finished_at: datetime | None = strawberry.field(description="When it ended, however it did.")


@strawberry.type(description="Why an answer failed.")
class RunError:
    code: str = strawberry.field(description="The failure in one stable word, for programs.")
    message: str = strawberry.field(
        description="The failure in a sentence; the provider's own if it gave one."
    )

    @classmethod
    def of(cls, status: RunStatus, code: str | None, message: str | None) -> Self | None:
        """The error of a run that ended so; None unless it failed."""
        if status is not RunStatus.FAILED:
            return None
        return cls(code=code or "PROVIDER_ERROR", message=message or "LLM provider error")


@strawberry.type(description="One answer being written, or written. It needs no reader to go on.")
class Run(Node):
    status: RunStatus = strawberry.field(description="How far it is.")
    model: str = strawberry.field(description="The model that was asked.")
    model_label: str | None = strawberry.field(description="The model's name for people.")
    timings: RunTimings = strawberry.field(description="When it got how far.")
    usage: Usage = strawberry.field(description="The tokens that it cost.")
    error: RunError | None = strawberry.field(description="Why it failed; null unless it did.")
    cursor: Cursor = strawberry.field(
        description="The last saved place of its events; `runEvents` without `after` gives all text instead."
    )
    record: strawberry.Private[records.Run]

    @classmethod
    def of(cls, run: records.Run) -> Self:
        """The run as clients see it."""
        return cls(
            id=strawberry.ID(str(run.id)),
            status=run.status,
            model=run.model,
            model_label=run.model_label,
            timings=RunTimings(
                created_at=run.created_at,
                started_at=run.started_at,
                first_token_at=run.first_token_at,
                finished_at=run.finished_at,
            ),
            usage=Usage(prompt_tokens=run.prompt_tokens, completion_tokens=run.completion_tokens),
            error=RunError.of(run.status, run.error_code, run.error),
            cursor=Cursor(events.Cursor(run.epoch, run.last_seq).encode(run.id)),
            record=run,
        )

    @strawberry.field(description="The thread that it belongs to; null if it is deleted.")
    async def thread(
        self, info: Info
    ) -> Annotated["Thread", strawberry.lazy("graphql_schema.threads")] | None:
        from graphql_schema.threads import Thread  # noqa: PLC0415 - the two types name each other

        found = await info.context.loaders.threads.load(self.record.thread_id)
        return Thread.of(found) if found is not None else None

    @strawberry.field(description="The question that it answers.")
    async def user_message(
        self, info: Info
    ) -> Annotated["Message", strawberry.lazy("graphql_schema.messages")] | None:
        return await load_message(info, self.record.user_message_id)

    @strawberry.field(description="The answer; null until it is written, or if nothing was.")
    async def assistant_message(
        self, info: Info
    ) -> Annotated["Message", strawberry.lazy("graphql_schema.messages")] | None:
        return await load_message(info, self.record.assistant_message_id)


async def load_message(info: Info, message_id: UUID | None) -> "Message | None":
    """The message as clients see it, batched with its siblings."""
    from graphql_schema.messages import Message  # noqa: PLC0415 - the two types name each other

    if message_id is None:
        return None
    found = await info.context.loaders.messages.load(message_id)
    return Message.of(info.context.core, found) if found is not None else None


@strawberry.input(description="The answer to be stopped.")
class CancelRunInput:
    run_id: UUID = strawberry.field(description="The run.")


@strawberry.input(description="The question to be answered anew.")
class RegenerateInput:
    message_id: UUID = strawberry.field(description="The newest question of its thread, or its answer.")
    text: str | None = strawberry.field(
        default=UNSET, description="What the question says from now on; as before if left out."
    )
    model: str | None = strawberry.field(
        default=UNSET, description="Another model; remembered by the thread."
    )
    model_label: str | None = strawberry.field(default=UNSET, description="The model's name for people.")


@strawberry.type(description="The answer is over; a finished one stays as it was.")
class CancelRunSuccess:
    run: Run = strawberry.field(description="The run as it ended.")


@strawberry.type(description="The question is being answered anew.")
class RegenerateSuccess:
    run: Run = strawberry.field(description="The new answer; follow it by `runEvents`.")


CancelRunResult = Annotated[
    CancelRunSuccess | RunNotFound | NotAllowed,
    strawberry.union("CancelRunResult", description="What `cancelRun` did."),
]
RegenerateResult = Annotated[
    RegenerateSuccess | InvalidInput | MessageNotFound | NotAllowed | NotLatest | ModelRequired | QueueFull,
    strawberry.union("RegenerateResult", description="What `regenerate` did."),
]


@strawberry.type
class RunQuery:
    @strawberry.field(description="An answer of the caller's; null if there is none.")
    async def run(
        self,
        info: Info,
        id: Annotated[UUID, strawberry.argument(description="The run's id.")],  # noqa: A002
    ) -> Run | None:
        found = await info.context.loaders.runs.load(id)
        return Run.of(found) if found is not None else None


@strawberry.type
class RunMutation:
    @strawberry.mutation(description="Stop an answer, whoever reads it; what has arrived is kept.")
    async def cancel_run(self, info: Info, input: CancelRunInput) -> CancelRunResult:  # noqa: A002
        return CancelRunSuccess(run=Run.of(await runs.cancel_run(info.context.core, input.run_id)))

    @strawberry.mutation(
        description="Have the newest question answered anew. Earlier answers stay in the history, and the "
        "provider is shown the newest only."
    )
    async def regenerate(self, info: Info, input: RegenerateInput) -> RegenerateResult:  # noqa: A002
        run = await regenerating.regenerate(
            info.context.core,
            input.message_id,
            text=given(input.text),
            model=given(input.model),
            model_label=given(input.model_label),
        )
        return RegenerateSuccess(run=Run.of(run))
