"""How often the database is asked: a query on any list does as many statements for one item as for fifty."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event, insert
from sqlalchemy.orm import Session

from core.auth.bearers import Bearer
from core.context import Context
from core.db.migrate import migrate
from core.db.models import MessageRow, RunRow, ThreadRow
from core.resolvers import threads
from core.search.entries import index_texts
from graphql_schema.context import GraphQLContext
from graphql_schema.operations import OperationRequest, Operations
from graphql_schema.schema import core_schema
from graphql_schema.transports.router import documents
from tests.core.parts import new_caller, open_services

MESSAGE = """id text sender usage { promptTokens } attachments { filename }
  parent { id thread { title } } thread { title }
  run { status userMessage { id } assistantMessage { text } }"""
QUERIES = {
    "threads": f"""query ($n: Int) {{ threads(first: $n, includeDeleted: true) {{ totalCount nodes {{
      title product lastMessage {{ {MESSAGE} }} activeRun {{ id }} providerThread {{ payload }}
      messages(first: 2) {{ totalCount nodes {{ {MESSAGE} }} }} }} }} }}""",
    "messages": f"""query ($n: Int) {{ threads(last: 1, includeDeleted: true) {{ nodes {{
      messages(first: $n) {{ nodes {{ {MESSAGE} }} }} }} }} }}""",
    "search": f"""query ($n: Int) {{ search(query: "special", mode: TEXT, first: $n) {{ edges {{
      node {{ title lastMessage {{ text }} }} matches {{
      message {{ {MESSAGE} }} snippet {{ text }} }} }} }} }}""",
    "users": "query ($n: Int) { users(first: $n) { totalCount nodes { username } } }",
}


@pytest.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[Context]:
    """An administrator with fifty threads of fifty messages."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    migrate(url)
    async with open_services(url, tmp_path, search_deadline_seconds=60) as services:
        ctx = await new_caller(services, roles=["admin"])
        made = [(await threads.create_thread(ctx, title=str(number))).id for number in range(50)]
        await ctx.db.write(lambda session: fill(session, ctx, made))
        while await ctx.db.write(index_texts):
            pass
        for _ in range(50):
            await new_caller(services)
        yield ctx


def fill(session: Session, ctx: Context, thread_ids: list[UUID]) -> None:
    """Twenty-five questions with their answers and finished runs in each, written past the product."""
    for thread_id in thread_ids:
        fill_thread(session, ctx, thread_id)


def fill_thread(session: Session, ctx: Context, thread_id: UUID) -> None:
    thread = session.get_one(ThreadRow, thread_id)
    for number in range(1, 51, 2):
        question, answer = (
            MessageRow(
                thread_id=thread_id,
                position=number + is_answer,
                sender_id="x",
                sender_type="assistant" if is_answer else "user",
                status="ready",
                text=f"{number} special" if number == 1 else str(number),
            )
            for is_answer in (False, True)
        )
        session.add(question)
        session.flush()
        answer.parent_id = question.id
        session.add(answer)
        session.flush()
        session.execute(
            insert(RunRow).values(
                thread_id=thread_id,
                owner_id=ctx.user.id,
                user_message_id=question.id,
                assistant_message_id=answer.id,
                position=number,
                status="completed",
                model="m",
                finished_at=thread.created_at,
            )
        )
    thread.message_count = 50


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that is sent meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("name", QUERIES)
async def test_fifty_items_take_as_many_statements_as_one(
    ctx: Context, statements: list[str], name: str
) -> None:
    operations = Operations(core_schema, documents(ctx.settings), ctx.settings)
    counts: list[int] = []
    for number in (1, 2, 50):
        context = GraphQLContext(ctx, Bearer("unused", ctx.user, datetime.max.replace(tzinfo=UTC)))
        asked = OperationRequest(query=QUERIES[name], variables={"n": number})
        statements.clear()
        answer = await operations.execute(operations.prepare(asked, context), context)
        assert "errors" not in answer, answer
        assert sum(str(answer).count(key) for key in ("'id'", "'username'")) >= number
        counts.append(len(statements))
    assert counts[1] == counts[2], statements
    assert counts[0] <= counts[1]
