"""Multipart requests: files put where their map says, and everything else refused with 400."""

import gc
import json
import re
from typing import Any

import httpx
import pytest

from tests.clients import Client
from tests.graphql.transports.lab import LabServer
from tests.graphql.transports.wire import PREFLIGHT, codes, refused

pytestmark = pytest.mark.usefixtures("no_faults")

CREATE = """mutation ($metadata: JSON, $title: String) {
  createThread(input: {metadata: $metadata, title: $title}) {
    __typename ... on CreateThreadSuccess { thread { title metadata } } ... on Error { message }
  }
}"""

FILE = ("a.txt", b"hello", "text/plain")
OPERATIONS = '{"query": "{ __typename }", "variables": {"file": null, "files": [null, null], "text": "x"}}'


def form(
    user: Client,
    operations: str | bytes = OPERATIONS,
    files_map: object = None,
    files: dict[str, Any] | None = None,
) -> httpx.Response:
    """A multipart request; `files_map` is text, or what is to be written as JSON."""
    text = files_map if isinstance(files_map, str | bytes) else json.dumps(files_map or {})
    return user.post(
        "/graphql",
        data={"operations": operations, "map": text},
        files={"0": FILE} if files is None else files,
        headers=PREFLIGHT,
    )


@pytest.mark.parametrize(
    "paths",
    [["variables.file"], ["variables.files.0", "variables.files.1"], ["variables.file", "variables.files.0"]],
)
def test_a_file_is_put_where_the_map_says(user: Client, paths: list[str]) -> None:
    assert form(user, files_map={"0": paths}).json()["data"] == {"__typename": "Query"}


def test_files_of_a_batch_have_its_index(user: Client) -> None:
    operations = (
        '[{"query": "{ a: __typename }"}, {"query": "{ b: __typename }", "variables": {"file": null}}]'
    )
    first, second = form(user, operations, {"0": ["1.variables.file"]}).json()
    assert (first["data"], second["data"]) == ({"a": "Query"}, {"b": "Query"})
    for path in ("variables.file", "0.variables.file", "2.variables.file", "1.query", "1.extensions.x", "1"):
        assert refused(form(user, operations, {"0": [path]}), 400) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "variables",
        "variables.",
        "variables.other",
        "variables.text",
        "variables.text.0",
        "variables.file.name",
        "variables.files",
        "variables.files.2",
        "variables.files.-1",
        "variables.files.+0",
        "variables.files. 0",
        "variables.files.\N{ARABIC-INDIC DIGIT ZERO}",
        "variables.files.0_0",
        "variables.files.one",
        "variables.files.length",
        "variables.files." + "9" * 5000,
        "variables.__proto__.file",
        "variables.constructor.prototype",
        "variables.__class__",
        "__proto__.file",
        "query",
        "query.0",
        "operationName",
        "extensions",
        "variables..file",
        "." * 10_000,
    ],
)
def test_a_file_for_a_place_that_is_not_there_is_400(user: Client, path: str) -> None:
    assert refused(form(user, files_map={"0": [path]}), 400) == "BAD_USER_INPUT"


def test_a_file_in_place_of_the_query_is_400(user: Client) -> None:
    for name in ("query", "operationName", "variables", "extensions", "documentId"):
        operations = json.dumps({"query": "{ __typename }", name: None})
        assert refused(form(user, operations, {"0": [name]}), 400) == "BAD_USER_INPUT"


def test_no_two_files_have_one_place(user: Client) -> None:
    files = {"0": FILE, "1": FILE}
    files_map = {"0": ["variables.file"], "1": ["variables.file"]}
    assert refused(form(user, files_map=files_map, files=files), 400) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "files_map",
    [
        "",
        "{",
        "null",
        "[]",
        "1",
        '"0"',
        '{"0": null}',
        '{"0": "variables.file"}',
        '{"0": [null]}',
        '{"0": [1]}',
        '{"0": [["variables.file"]]}',
        '{"1": ["variables.file"]}',
        '{"map": ["variables.file"]}',
        '{"operations": ["variables.file"]}',
        '{"0": ["variables.file"], "1": []}',
        "[" * 100_000,
        '{"0":' * 50_000,
        b'{"\xff": []}',
    ],
)
def test_a_map_that_is_none_is_400(user: Client, files_map: str | bytes) -> None:
    assert refused(form(user, files_map=files_map), 400) == "BAD_USER_INPUT"


def test_thousands_of_places_are_too_many(user: Client) -> None:
    operations = json.dumps({"query": "{ __typename }", "variables": {"files": [None] * 5000}})
    paths = [f"variables.files.{index}" for index in range(5000)]
    assert refused(form(user, operations, {"0": paths}), 400) == "BAD_USER_INPUT"
    assert form(user, operations, {"0": paths[:100]}).status_code == 200
    assert refused(form(user, operations, {"0": paths[:101]}), 400) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "operations", ["", "{", "null", "1", '"x"', "[]", "[null]", "{}", '{"query": 1}', b"\xff{}"]
)
@pytest.mark.parametrize("files_map", [{}, {"0": ["variables.file"]}])
def test_operations_that_are_none_are_400(
    user: Client, operations: str | bytes, files_map: dict[str, Any]
) -> None:
    assert refused(form(user, operations, files_map), 400) == "BAD_USER_INPUT"


@pytest.mark.parametrize("depth", [300, 100_000])
def test_operations_that_are_too_deep_are_400(user: Client, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    for operations in (
        f'{{"query": "{{ __typename }}", "variables": {{"file": null, "a": {nested}}}}}',
        f'{{"query": "{{ __typename }}", "variables": {{"file": null}}, "a": {nested}}}',
    ):
        assert refused(form(user, operations, {"0": ["variables.file"]}), 400) == "BAD_USER_INPUT"


def test_too_many_parts_are_400(user: Client) -> None:
    files = {str(number): FILE for number in range(101)}
    assert refused(form(user, files=files), 400) == "BAD_USER_INPUT"
    fields = {"operations": OPERATIONS, "map": "{}", **{f"field{number}": "x" for number in range(1000)}}
    response = user.post("/graphql", data=fields, files={"0": FILE}, headers=PREFLIGHT)
    assert refused(response, 400) == "BAD_USER_INPUT"


def test_a_large_file_is_let_go(lab: LabServer) -> None:
    """It is kept on disk: one that is forgotten warns when it is collected, and warnings are errors."""
    large = {"0": ("large.bin", b"x" * 2 * 2**20)}
    with lab.client() as client:
        for files_map in ({"0": ["variables.file"]}, {"0": ["variables.other"]}):
            assert form(client, files_map=files_map, files=large).status_code in (200, 400)
    gc.collect()


def part(disposition: str, body: str = "{}") -> str:
    return f"--x\r\nContent-Disposition: {disposition}\r\n\r\n{body}\r\n"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "--x--\r\n",
        "no part at all",
        "--x\r\n",
        "--x\r\nContent-Disposition\r\n\r\n{}\r\n--x--",
        part("form-data") + "--x--",
        part("") + "--x--",
        part('form-data; name="operations"') + "--x--",
        part('form-data; name="map"') + "--x--",
        part('form-data; name="operations"; filename="o"') + part('form-data; name="map"') + "--x--",
        part('form-data; name="operations"') + part('form-data; name="map"; filename="m"') + "--x--",
        part('form-data; name="operations"')[:-10],
        part("form-data; name*=utf-8''%FF; name=\"operations\"") + "--x--",
        "--x\r\n" + "X: y\r\n" * 10_000 + "\r\n\r\n--x--",
        "--x\r\n" + "X" * 100_000,
    ],
)
def test_a_form_that_is_none_is_400(user: Client, body: str) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert refused(user.post("/graphql", content=body.encode(), headers=headers), 400) == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "parameters", ["", "; boundary=", "; boundary=" + "x" * 5000, "; boundary=\xff", "; charset=x"]
)
def test_a_boundary_that_is_none_is_400(user: Client, parameters: str) -> None:
    headers = {b"Content-Type": f"multipart/form-data{parameters}".encode("latin-1")}
    assert refused(user.post("/graphql", content=b"--x--", headers=headers), 400) == "BAD_USER_INPUT"


UPLOAD_ELSEWHERE = [
    ('{"metadata": null}', "variables.metadata"),
    ('{"metadata": {"a": [null]}}', "variables.metadata.a.0"),
    ('{"title": null}', "variables.title"),
]


@pytest.mark.parametrize(("variables", "path"), UPLOAD_ELSEWHERE)
def test_a_file_where_none_belongs_is_the_users_input(user: Client, variables: str, path: str) -> None:
    operations = f'{{"query": {json.dumps(CREATE)}, "variables": {variables}}}'
    answer = form(user, operations, {"0": [path]}).json()
    if "errors" in answer:
        assert codes(answer) == ["BAD_USER_INPUT"]
    else:
        assert answer["data"]["createThread"]["__typename"] == "InvalidInput"
    assert not re.search("UploadFile|instance", json.dumps(answer))
