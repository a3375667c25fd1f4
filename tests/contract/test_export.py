"""Exports: a whole thread as a file, with a name that every client can save it under."""

import io
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote
from uuid import uuid4

import httpx
import pytest
from docx import Document
from pypdf import PdfReader

from tests.clients import Client
from tests.conftest import unique
from tests.provider.client import ProviderProcess
from tests.provider.script import sse, text_stream
from tests.servers import PASSWORD, ServerProcess

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
FORMATS = {
    "markdown": ("text/markdown", ".md"),
    "pdf": ("application/pdf", ".pdf"),
    "docx": (DOCX, ".docx"),
}
HEADER = re.compile(r"attachment; filename=\"([\x20-\x7e]+)\"; filename\*=UTF-8''([\x21-\x7e]+)")


@pytest.fixture(scope="module")
def writer(server: ServerProcess, admin: Client) -> Iterator[Client]:
    """One account for all of this."""
    name = unique("writer")
    admin.post("/api/auth/register", json={"username": name, "password": PASSWORD}).raise_for_status()
    with server.client().sign_in(name, PASSWORD) as client:
        yield client


def export(client: Client, thread_id: str, form: str | None = None) -> httpx.Response:
    query = {} if form is None else {"format": form}
    response = client.get(f"/api/threads/{thread_id}/export", params=query)
    assert response.status_code == 200, response.text
    return response


def names(response: httpx.Response) -> tuple[str, str]:
    """The plain name and the real one."""
    found = HEADER.fullmatch(response.headers["Content-Disposition"])
    assert found, response.headers["Content-Disposition"]
    return found[1], unquote(found[2], errors="strict")


def text_of(response: httpx.Response, form: str) -> str:
    """What a reader of the file sees, without blanks: a PDF places those by distance."""
    match form:
        case "markdown":
            text = response.content.decode()
        case "pdf":
            text = "".join(page.extract_text() for page in PdfReader(io.BytesIO(response.content)).pages)
        case _:
            text = "".join(item.text for item in Document(io.BytesIO(response.content)).paragraphs)
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_holds_title_questions_and_answers_in_order(
    writer: Client, provider: ProviderProcess, model: str, form: str
) -> None:
    provider.script(model, text_stream("Первый ", "ответ"), text_stream("Δεύτερη απάντηση"))
    thread_id = writer.new_thread(title="Поездка в горы")["id"]
    for text in ("Первый вопрос?", "Друге питання"):
        assert writer.send_message(thread_id, text, model=model).status_code == 201

    response = export(writer, thread_id, form)
    text = text_of(response, form)

    media_type, extension = FORMATS[form]
    assert response.headers["Content-Type"].partition(";")[0] == media_type
    plain, real = names(response)
    assert real == f"Поездка в горы{extension}"
    assert plain.endswith(extension)
    parts = ["Поездкавгоры", "Первыйвопрос?", "Первыйответ", "Другепитання", "Δεύτερηαπάντηση"]
    places = [text.find(part) for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_a_file_without_a_wish_is_markdown(writer: Client) -> None:
    thread_id = writer.new_thread(title="Plain")["id"]
    response = export(writer, thread_id)

    assert response.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert names(response) == ("Plain.md", "Plain.md")
    assert response.content == export(writer, thread_id, "markdown").content


def test_a_file_holds_more_than_a_page_of_messages(writer: Client, model: str) -> None:
    thread_id = writer.new_thread(title="Long")["id"]
    for number in range(12):
        writer.send_message(thread_id, f"number-{number}.", model=model)

    text = text_of(export(writer, thread_id), "markdown")

    assert [int(number) for number in re.findall(r"number-(\d+)\.", text)] == [
        number for number in range(12) for _ in ("question", "echo")
    ]


def test_a_failed_answer_is_in_the_file_too(writer: Client, provider: ProviderProcess, model: str) -> None:
    script = sse('{"choices":[{"delta":{"content":"So far"}}]}', '{"error":{"message":"Out of breath"}}')
    provider.script(model, script)
    thread_id = writer.new_thread(title="Failure")["id"]
    assert writer.send_message(thread_id, "Go on", model=model).status_code == 502

    text = text_of(export(writer, thread_id), "markdown")

    assert "Goon" in text
    assert "Sofar" in text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("title", [None, "Empty"])
def test_a_thread_without_messages_is_a_file_as_well(writer: Client, form: str, title: str | None) -> None:
    response = export(writer, writer.new_thread(title=title)["id"], form)

    plain, real = names(response)
    assert plain == real
    assert real.endswith(FORMATS[form][1])
    assert len(real) > len(FORMATS[form][1])
    assert title is None or real.startswith(title)


@pytest.mark.parametrize(
    "title",
    [
        'say "hello"; filename=evil.exe',
        "line\r\nSet-Cookie: a=b",
        "../../etc/passwd",
        "C:\\autoexec",
        "漢字 🚀 עברית",
        "..",
        "ж" * 255,
    ],
    ids=["quotes", "line break", "path", "drive", "scripts", "dots", "long"],
)
def test_any_title_makes_a_safe_name(writer: Client, title: str) -> None:
    response = export(writer, writer.new_thread(title=title)["id"])

    assert "Set-Cookie" not in response.headers
    for name in names(response):
        assert name.endswith(".md")
        assert name != ".md"
        assert not re.search(r'[/\\"\r\n]', name)
        assert not name.startswith(".")


@pytest.mark.parametrize("form", ["html", "", "PDF", "docx "])
def test_a_format_that_is_none_is_422(writer: Client, form: str) -> None:
    thread_id = writer.new_thread()["id"]
    response = writer.get(f"/api/threads/{thread_id}/export", params={"format": form})

    assert response.status_code == 422
    assert [problem["loc"] for problem in response.json()["detail"]] == [["query", "format"]]


def test_a_thread_that_is_deleted_foreign_or_unknown_has_no_file(writer: Client, user: Client) -> None:
    deleted, foreign = writer.new_thread(title="d")["id"], user.new_thread(title="f")["id"]
    writer.delete(f"/api/threads/{deleted}")

    for name in (deleted, foreign, uuid4()):
        for form in FORMATS:
            response = writer.get(f"/api/threads/{name}/export", params={"format": form})
            assert (response.status_code, response.json()) == (404, {"detail": "Thread not found"})
