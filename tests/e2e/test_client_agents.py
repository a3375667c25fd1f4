"""Agents that ask back, and answers that are asked for again, in the web client."""

import json
from pathlib import Path

from tests.e2e.conftest import Pages
from tests.e2e.lab import Lab, clean
from tests.provider.script import WaitFor, chunk, plain_error, sse, text_stream

SECRET = "hunter2-and-more"
LOGIN = {
    "question": "Who are you?",
    "schema": {
        "type": "object",
        "required": ["account", "token"],
        "properties": {
            "account": {"type": "string", "title": "Account"},
            "token": {"type": "string", "title": "Token", "format": "password"},
        },
    },
}
SEAT = {"question": "Which seat?", "options": ["Window", "Aisle"]}
PARAGRAPHS = 40


def test_a_password_is_masked_and_kept_nowhere(pages: Pages, lab: Lab, tmp_path: Path) -> None:
    lab.answer(
        sse(chunk(agent_status="interrupted", interrupt_id="i-1", interrupt_payload=LOGIN)),
        plain_error("Out for lunch", 503),
        text_stream("Welcome"),
    )
    report = clean(pages.visit("password", lab.server, secret=SECRET, **lab.user))
    assert report["question"] == "Who are you?"
    assert (report["composers"], report["type"]) == (0, "password")
    assert SECRET not in report["kept"]
    assert report["again"] == 0
    for request in lab.provider.requests(lab.model)[1:]:
        assert json.loads(request.json["messages"][-1]["content"]) == {"account": "ada", "token": SECRET}
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert kept == []


def test_a_password_stays_masked_when_its_question_is_asked_again_in_vain(pages: Pages, lab: Lab) -> None:
    asks = sse(chunk(agent_status="interrupted", interrupt_id="i-1", interrupt_payload=LOGIN))
    lab.answer(asks, plain_error("Out for lunch", 503), text_stream("Welcome"))
    report = clean(pages.visit("passwordAgain", lab.server, **lab.user))
    assert (report["boxes"], report["type"], report["after"]) == (0, "password", 1)


def test_each_answer_stands_behind_its_question(pages: Pages, lab: Lab) -> None:
    lab.answer(("Some", WaitFor("more"), " more"), ("Second",))
    visit = pages.begin("inOrder", lab.server, **lab.user)
    visit.wait_for("asked")
    lab.provider.open_gate("more")
    visit.go_on()
    report = clean(visit.report())
    assert report["buttons"] == [1, 1]
    assert report["texts"] == report["reloaded"] == ["One?", "Some more", "Two?", "Second"]


def test_a_choice_is_one_click(pages: Pages, lab: Lab) -> None:
    lab.answer(sse(chunk(agent_status="interrupted", interrupt_payload=SEAT)), text_stream("Booked"))
    report = clean(pages.visit("choice", lab.server, **lab.user))
    assert (report["own"], report["left"]) == (["Book a seat", "Aisle"], 0)


def test_a_question_is_edited_and_its_answers_stay(pages: Pages, lab: Lab) -> None:
    lab.answer(("First",), ("Second",), ("Third", WaitFor("more"), " time"))
    visit = pages.begin("edit", lab.server, **lab.user)
    visit.wait_for("again")
    lab.provider.open_gate("more")
    visit.go_on()
    report = clean(visit.report())
    assert (report["edited"], report["kept"]) == ("Wat", "What?")
    assert report["questions"] == ["What?"]
    assert (report["shown"], report["earlier"]) == (["Second"], ["First"])
    assert report["meanwhile"] == ["Third"]
    assert "3/3" in report["versions"]
    assert report["reloaded"] == ["Third time"]
    asked = [request.json["messages"][-1]["content"] for request in lab.provider.requests(lab.model)]
    assert asked == ["Wat", "What?", "What?"]


def test_what_was_written_is_not_rendered_again(pages: Pages, lab: Lab) -> None:
    texts = [f"Paragraph {number} with some **words**.\n\n" for number in range(PARAGRAPHS)]
    lab.answer(("".join(texts[:3]), WaitFor("begun"), *texts[3:], WaitFor("written"), "The end"))
    visit = pages.begin("growing", lab.server, paragraphs=str(PARAGRAPHS), **lab.user)
    for step in ("begun", "written"):
        visit.wait_for(step)
        lab.provider.open_gate(step)
        visit.go_on()
    report = clean(visit.report())
    assert (report["isSame"], report["changes"]) == (True, 0)
