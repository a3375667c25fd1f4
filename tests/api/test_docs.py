"""The description of the REST API, and the page that shows it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client

OPENAPI: dict[str, Any] = json.loads((Path(__file__).parents[2] / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = [
    pytest.param(path, verb, operation, id=f"{verb} {path}")
    for path, verbs in OPENAPI["paths"].items()
    for verb, operation in verbs.items()
]
OPEN = {"/api/auth/login", "/api/auth/refresh", "/health", "/health/ready"}


def test_the_page_needs_nothing_from_elsewhere(user: Client) -> None:
    page = user.get("/docs").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(r"url: '([^']+)'", page)
    assert len(sources) >= 3
    for source in sources:
        assert source.startswith("/"), source
        assert user.get(source).status_code == 200, source


def test_the_page_can_sign_in(user: Client) -> None:
    schemes = user.get("/openapi.json").json()["components"]["securitySchemes"]
    assert [scheme["scheme"] for scheme in schemes.values()] == ["bearer"]


@pytest.mark.parametrize(("path", "verb", "operation"), OPERATIONS)
def test_an_operation_says_what_it_does_and_how_it_fails(
    path: str, verb: str, operation: dict[str, Any]
) -> None:
    assert operation["summary"]
    assert operation["description"]
    statuses = operation["responses"].keys()
    assert any(status.startswith("2") for status in statuses)
    if path not in OPEN:
        assert operation["security"]
        assert "401" in statuses
    if "{" in path:
        assert {"404", "422"} <= statuses
    if "requestBody" in operation:
        assert {"413", "422"} <= statuses
    del verb


@pytest.mark.parametrize(("path", "verb", "operation"), OPERATIONS)
def test_a_body_has_an_example(path: str, verb: str, operation: dict[str, Any]) -> None:
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    bodies += [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    for body in bodies:
        for media_type, content in body.get("content", {}).items():
            if media_type == "application/json":
                assert has_example(content), f"{verb} {path}"


def has_example(content: dict[str, Any]) -> bool:
    if "example" in content or "examples" in content:
        return True
    schema = content["schema"]
    if "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return "examples" in schema or "example" in schema
