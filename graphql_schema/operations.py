"""Operations: from a client's request to what is sent back, whatever the transport."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
)
from graphql.execution import Executor

from core.settings import Settings
from graphql_schema.context import GraphQLContext
from graphql_schema.documents import Document, Documents, InvalidDocument, digest
from graphql_schema.errors import BAD_USER_INPUT, refusal, told
from graphql_schema.executor import AttributeExecutor
from graphql_schema.limits import QUERY_TOO_COMPLEX
from graphql_schema.variables import has_more_values

TIMEOUT = "TIMEOUT"
FORBIDDEN = "INTROSPECTION_NOT_ALLOWED"
NOT_LISTED = "PERSISTED_QUERY_ONLY"
NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
APQ_VERSION = 1

Payload = dict[str, Any]

# How graphql-core ends its words on a value of a wrong type.
_SHOWN_VALUE = re.compile(r"(, but encountered error |[.,]? [Ff]ound: |(?<= value): ).*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """What a client asks for, as it came in."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)
    document_id: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that may be executed: valid, allowed, and within the limits."""

    document: Document
    node: OperationDefinitionNode
    request: OperationRequest
    cost: int

    @property
    def kind(self) -> OperationType:
        """Whether it is a query, a mutation or a subscription."""
        return self.node.operation


class Rejected(Exception):
    """The request cannot be executed, and nothing of it was."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(*errors)
        self.payload: Payload = {"errors": told(errors)}


class Event(NamedTuple):
    """One event of a subscription, and the cursor behind it if it has one."""

    payload: Payload
    cursor: str | None


class Operations:
    """Prepares and executes operations on one schema."""

    def __init__(self, schema: GraphQLSchema, documents: Documents, settings: Settings) -> None:
        self._schema = schema
        self._documents = documents
        self._settings = settings

    def prepare(self, request: OperationRequest, context: GraphQLContext) -> Operation:
        """The operation that is asked for. Raises `Rejected`."""
        text = self._text(request)
        try:
            document = self._documents.get(text)
        except InvalidDocument as error:
            raise Rejected(*error.errors) from None
        if "persistedQuery" in request.extensions:
            self._documents.persist(text)
        if document.asks_for_schema and not self._may_introspect(context):
            raise Rejected(refusal("Introspection is not allowed here; see schema.graphql", FORBIDDEN))
        node = _operation(document, request.operation_name)
        if has_more_values(request.variables, self._settings.graphql_max_variables):
            most = self._settings.graphql_max_variables
            raise Rejected(
                refusal(f"The variables hold more than {most} values", QUERY_TOO_COMPLEX, limit="variables")
            )
        cost = document.cost.of(node, request.variables)
        self.check_cost(cost)
        return Operation(document, node, request, cost)

    def check_cost(self, cost: int) -> None:
        """Raise `Rejected` if an operation, or a batch, of this cost is too much for one request."""
        most = self._settings.graphql_max_cost
        if cost > most:
            message = (
                f"This costs {cost}, and at most {most} is allowed; ask for fewer fields or shorter lists"
            )
            raise Rejected(refusal(message, QUERY_TOO_COMPLEX, limit="cost", cost=self._cost(cost)))

    async def execute(self, operation: Operation, context: GraphQLContext) -> Payload:
        """The response to a query or a mutation. Raises `Rejected` for variables of wrong types."""
        context.renew_loaders(cache=operation.kind is not OperationType.MUTATION)
        executor = self._executor(operation, context)
        try:
            async with asyncio.timeout(self._settings.graphql_timeout_seconds):
                result = executor.execute_operation()
                if executor.is_awaitable(result):
                    result = await result
        except TimeoutError:
            seconds = self._settings.graphql_timeout_seconds
            error = refusal(f"This took longer than {seconds:g} seconds; ask for less", TIMEOUT)
            result = ExecutionResult(None, [error])
        payload = _payload(cast("ExecutionResult", result))
        payload["extensions"] = {"cost": self._cost(operation.cost)}
        return payload

    async def subscribe(self, operation: Operation, context: GraphQLContext) -> AsyncGenerator[Event, None]:
        """The events of a subscription, begun. Raises `Rejected` if it cannot begin."""
        executor = self._executor(operation, context)
        begun: Any = create_source_event_stream(executor)
        source = await begun if executor.is_awaitable(begun) else begun
        if isinstance(source, ExecutionResult):
            raise Rejected(*(source.errors or ()))
        return self._events(executor, source, context)

    async def _events(
        self, executor: Executor[Any], source: AsyncGenerator[Any, None], context: GraphQLContext
    ) -> AsyncGenerator[Event, None]:
        async with aclosing(source):
            try:
                async for item in source:
                    context.renew_loaders()
                    result = executor.build_per_event_executor(item).execute_operation(serially=False)
                    if executor.is_awaitable(result):
                        result = await result
                    yield Event(_payload(cast("ExecutionResult", result)), getattr(item, "cursor", None))
            except Exception as error:  # noqa: BLE001 - the subscription ends here, and says so
                yield Event({"data": None, **unexpected(error)}, None)

    def _text(self, request: OperationRequest) -> str:
        """The document that the request means, in full or by its hash. Raises `Rejected`."""
        text, key = request.query, request.document_id
        persisted = request.extensions.get("persistedQuery")
        if persisted is not None:
            key = _apq_hash(persisted)
            if text is not None and digest(text) != key:
                raise Rejected(refusal("sha256Hash is not that of the query", BAD_USER_INPUT))
        if text is None and key is not None:
            text = self._documents.persisted(key) or self._documents.persisted(key.removeprefix("sha256:"))
            if text is None:
                # Apollo's word for "send it in full".
                raise Rejected(refusal("PersistedQueryNotFound", NOT_FOUND))
        if text is None:
            raise Rejected(refusal("`query` must be a GraphQL document", BAD_USER_INPUT))
        if not self._documents.is_allowed(text):
            raise Rejected(refusal("Only the operations of this deployment's list are executed", NOT_LISTED))
        return text

    def _may_introspect(self, context: GraphQLContext) -> bool:
        policy = self._settings.graphql_introspection
        return policy == "everyone" or (policy == "users" and context.bearer is not None)

    def _executor(self, operation: Operation, context: GraphQLContext) -> Executor[Any]:
        built = AttributeExecutor.build(
            self._schema,
            operation.document.ast,
            context_value=context,
            raw_variable_values=operation.request.variables,
            operation_name=operation.request.operation_name,
            hide_suggestions=not self._settings.graphql_suggestions,
            plans=operation.document.plans,
        )
        if isinstance(built, list):
            raise Rejected(*map(_in_plain_words, built))
        return built

    def _cost(self, cost: int) -> dict[str, int]:
        return {"requested": cost, "limit": self._settings.graphql_max_cost}


def _operation(document: Document, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.ast.definitions if isinstance(node, OperationDefinitionNode)]
    found = [node for node in operations if name is None or (node.name and node.name.value == name)]
    if not operations:
        raise Rejected(refusal("The document holds no operation", BAD_USER_INPUT))
    if not found:
        raise Rejected(refusal("The document holds no operation of this operationName", BAD_USER_INPUT))
    if len(found) > 1:
        raise Rejected(refusal("The document holds several operations; say operationName", BAD_USER_INPUT))
    return found[0]


def _in_plain_words(error: GraphQLError) -> GraphQLError:
    """An error of a variable without the value: written as Python would, and maybe a password."""
    message = error.message
    if isinstance(error.original_error, GraphQLError):
        inner = error.original_error.message
        message = message.removesuffix(inner) + _SHOWN_VALUE.sub("", inner)
    message = message.replace("not to be None", "not to be null")
    return GraphQLError(message, error.nodes, extensions={"code": BAD_USER_INPUT})


def _apq_hash(persisted: object) -> str:
    version = persisted.get("version") if isinstance(persisted, dict) else None
    key = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if version != APQ_VERSION or not isinstance(key, str):
        message = "persistedQuery must be {version: 1, sha256Hash: …}"
        raise Rejected(refusal(message, "PERSISTED_QUERY_NOT_SUPPORTED"))
    return key


def unexpected(error: Exception) -> Payload:
    """The response when an operation failed where no field can tell; logged, unless it is one of core's."""
    return {"errors": told([GraphQLError(str(error), original_error=error)])}


def _payload(result: ExecutionResult) -> Payload:
    payload: Payload = {"data": result.data}
    if result.errors:
        payload["errors"] = told(result.errors)
    return payload
