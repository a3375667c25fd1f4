"""`docs/graphql.md`: its tables name all that there is, and nothing else."""

import ast
import json
import re
from dataclasses import fields

from graphql import GraphQLObjectType, GraphQLUnionType

from core.errors import CoreError, NotAllowed, ProviderError, RunNotFound, Unauthenticated, Unavailable
from core.settings import Settings
from graphql_schema.errors import camel_case
from graphql_schema.limits import Limits
from graphql_schema.schema import core_schema
from graphql_schema.transports.admission import TooManyConnections
from graphql_schema.transports.close_codes import CloseCode
from tests.docs.guide import ROOT, Page, code_spans

PAGE = Page("graphql.md")
PARITY = PAGE.table("REST", "GraphQL")

ONLY_REST = {"GET /health", "GET /health/ready"}
ONLY_GRAPHQL = {
    *("node", "nodes", "regenerate", "threadsChanged", "searchStatus", "serverStatus"),
    *("hasAccounts", "user", "users", "createUser", "updateUser", "deactivateUser"),
}
# Refused before the API sees them.
OF_BODIES = {"BODY_TOO_LARGE", "BODY_TOO_SLOW"}
# Sent by the server beneath the protocol.
CLOSE_CODES_OF_WEBSOCKETS = {1009, 1012}


def root_fields() -> set[str]:
    roots = (core_schema.query_type, core_schema.mutation_type, core_schema.subscription_type)
    return {name for root in roots if root is not None for name in root.fields}


def rest_operations() -> set[str]:
    paths = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def test_every_rest_operation_has_a_row() -> None:
    assert {span for rest, _ in PARITY for span in code_spans(rest)} == rest_operations()


def test_every_root_field_has_a_row() -> None:
    spans = {span for _, graphql in PARITY for span in code_spans(graphql)}
    assert {span for span in spans if "." not in span} == root_fields()


def test_what_is_no_root_field_is_a_field() -> None:
    for name in {span for _, graphql in PARITY for span in code_spans(graphql) if "." in span}:
        type_name, field = name.split(".")
        type_ = core_schema.type_map[type_name]
        assert isinstance(type_, GraphQLObjectType)
        assert field in type_.fields


def test_what_only_one_api_can_do_is_known() -> None:
    lonely = {True: set[str](), False: set[str]()}
    for rest, graphql in PARITY:
        if not code_spans(rest) or not code_spans(graphql):
            lonely[not code_spans(graphql)] |= {*code_spans(rest), *code_spans(graphql)}
    assert lonely[True] == ONLY_REST
    assert lonely[False] == ONLY_GRAPHQL


def test_every_code_of_an_error_is_explained() -> None:
    rows = PAGE.table("`extensions.code`", "What it means, and what to do")
    explained = {code for codes, _ in rows for code in code_spans(codes)}
    assert explained == codes_of_core() | codes_of_refusals() | OF_BODIES


def test_every_status_is_explained() -> None:
    rows = PAGE.table("Status", "When")
    explained = {int(status) for statuses, _ in rows for status in statuses.split(", ")}
    refused = {argument for argument in arguments_of("BadRequest", "failure") if isinstance(argument, int)}
    assert explained == refused | {408, 413}


def test_every_close_code_is_explained() -> None:
    rows = PAGE.table("Close code", "When")
    assert {int(code) for code, _ in rows} == set(CloseCode) | CLOSE_CODES_OF_WEBSOCKETS


def test_every_limit_is_explained() -> None:
    limits = {camel_case(field.name.removeprefix("max_")) for field in fields(Limits)}
    rows = PAGE.table("`extensions.limit`", "Setting", "What is counted")
    explained = {limit for limit, _, _ in rows for limit in code_spans(limit)}
    assert explained == limits - {"errors"} | {"document", "variables", "cost"}


def test_every_setting_of_the_api_is_named() -> None:
    named = set(re.findall(r"`CHAT_(GRAPHQL_\w+)`", PAGE.text))
    assert named == {name.upper() for name in Settings.model_fields if name.startswith("graphql_")}


def test_every_event_of_a_run_is_explained() -> None:
    union = core_schema.type_map["RunEvent"]
    assert isinstance(union, GraphQLUnionType)
    rows = PAGE.table("Event", "What to do with it")
    assert {event.name for event in union.types} == {name for names, _ in rows for name in code_spans(names)}


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^## (.+)$", PAGE.text, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-").replace(",", "") for heading in headings}
    for link in re.findall(r"\]\((?!http)([^)]+)\)", PAGE.text):
        path, _, anchor = link.partition("#")
        assert (ROOT / "docs" / path).exists(), link
        assert not anchor or anchor in anchors, link


def codes_of_core() -> set[str]:
    """The codes of those of core's failures that can be top-level errors."""
    families: list[type[CoreError]] = [Unavailable, ProviderError]
    for family in families:
        families += family.__subclasses__()
    others: tuple[type[CoreError], ...] = (Unauthenticated, NotAllowed, RunNotFound, TooManyConnections)
    return {error.code for error in (*families, *others)}


def codes_of_refusals() -> set[str]:
    """The codes of the errors that the GraphQL API makes itself."""
    found = arguments_of("refusal", "failure", "_coded")
    return {code for code in found if isinstance(code, str) and re.fullmatch("[A-Z_]+", code)}


def arguments_of(*functions: str) -> set[object]:
    """The constants that the GraphQL API gives to these functions, by themselves or by name."""
    nodes = [
        node
        for file in (ROOT / "graphql_schema").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]
    constants: dict[str, set[object]] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                constants.setdefault(name, set()).add(value)
    found: set[object] = set()
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                match argument:
                    case ast.Constant(value=value):
                        found.add(value)
                    case ast.Name(id=name):
                        found |= constants.get(name, set())
    return found
