"""What one API can do, the other can: every door of core is called by both, but for those named here."""

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import core.resolvers
from core.context import Context

ROOT = Path(__file__).parents[1]

# REST keeps the contract that its clients speak; what is new is GraphQL's.
GRAPHQL_ONLY = {
    "changes.follow_threads": "REST has no stream of threads",
    "changes.threads_cursor": "goes with it",
    "search_status.search_status": "the contract has no such route",
    "auth.has_accounts": "the contract has no such route",
    "server_status.server_status": "the contract has no such route",
    "users.list_users": "the contract has no management of accounts beyond registering",
    "users.get_user": "as above",
    "users.update_user": "as above",
    "nodes.find_nodes": "Relay's own",
    "regenerating.regenerate": "the contract sends a question again instead",
    "threads.slice_threads": "REST lists by page numbers",
    "threads.threads_by_id": "a batched read",
    "messages.slice_messages": "REST lists by page numbers",
    "messages.messages_by_id": "a batched read",
    "runs.runs_by_id": "a batched read",
    "runs.active_runs": "a batched read",
    "runs.runs_of_messages": "a batched read",
    "provider_threads.provider_threads_of": "a batched read",
    "bearers.authenticate_bearer": "subscriptions outlive the look at their token; requests do not",
    "bearers.until_revoked": "as above",
}
REST_ONLY = {
    "bearers.until_locked_out": "subscriptions end with their token, too: `until_revoked`",
    "attachments.open_attachment": "bytes go by HTTP: `Attachment.downloadUrl`",
    "exports.export_thread": "bytes go by HTTP: `Thread.exportUrl`",
    "threads.get_thread": "the field `thread` is a batched read",
    "threads.list_threads": "connections instead of page numbers",
    "threads.delete_thread": "the mutation `deleteThread` updates, to show what became of the thread",
    "messages.list_messages": "connections instead of page numbers",
    "messages.get_message": "the field `message` is a batched read",
    "runs.get_run": "the field `run` is a batched read",
    "runs.follow_sent": "the stream of an answer is the answer to its send",
    "runs.wait_for_end": "the contract's sends answer when the answer is there",
    "provider_threads.get_provider_thread": "`Thread.providerThread` is a batched read",
}

# Steps that doors take; neither API goes through them itself.
INNER = {"bearers.bearer_of", "uploads.keep_files"}


def doors() -> Iterator[str]:
    """`module.function` of each function of core's resolvers that takes a context."""
    for info in pkgutil.iter_modules(core.resolvers.__path__):
        module = import_module(f"core.resolvers.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if not name.startswith("_") and is_door(module, function):
                yield f"{info.name}.{name}"


def is_door(module: ModuleType, function: object) -> bool:
    assert inspect.isfunction(function)
    if function.__module__ != module.__name__:
        return False
    first = next(iter(inspect.signature(function, eval_str=True).parameters.values()), None)
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    return is_async and first is not None and first.annotation is Context


def called_by(package: str) -> set[str]:
    """`module.function` of whatever of core's resolvers a package mentions."""
    found: set[str] = set()
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                found.add(f"{node.value.id}.{node.attr}")
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("core.resolvers."):
                module = (node.module or "").removeprefix("core.resolvers.")
                found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


DOORS = sorted(set(doors()) - INNER)
IN_GRAPHQL, IN_REST = called_by("graphql_schema"), called_by("rest_compat")


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_open_to_both_apis_or_is_an_exception_with_a_reason(door: str) -> None:
    assert (door in IN_GRAPHQL) is (door not in REST_ONLY)
    assert (door in IN_REST) is (door not in GRAPHQL_ONLY)


def test_the_exceptions_are_doors() -> None:
    assert GRAPHQL_ONLY.keys() | REST_ONLY.keys() <= set(DOORS)
