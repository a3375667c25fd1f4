"""The web client in a real browser, against a real server and the scripted provider."""

from pathlib import Path

import pytest

from tests.conftest import unique
from tests.e2e.conftest import Pages
from tests.e2e.lab import MARKUP, Lab, clean, new_lab
from tests.e2e.payloads import PAYLOADS
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, json_body
from tests.proxy import CutProxy
from tests.runs.following import poll
from tests.search.searching import PATIENCE_SECONDS, titles
from tests.servers import ServerProcess


def test_the_first_account_is_made_and_asks(pages: Pages, provider: ProviderProcess, tmp_path: Path) -> None:
    with new_lab(provider, tmp_path) as lab:
        lab.answer(("Because ", WaitFor("more"), "**of** light."))
        visit = pages.begin("first", lab.server, **lab.user)
        visit.wait_for("streaming")
        lab.provider.open_gate("more")
        visit.go_on()
        report = clean(visit.report())
    assert report["title"] == "Why is the sky blue? · gwp-chat"
    assert "<p>Because <strong>of</strong> light.</p>" in report["answer"]
    assert not [name for name in report["kept"] if "tokens" in name or "draft" in name]


def test_a_wrong_password_is_told(pages: Pages, server: ServerProcess, person: dict[str, str]) -> None:
    assert (
        clean(pages.visit("refused", server, username=person["username"]))["problem"]
        == "Username and password do not belong together."
    )


def test_an_answer_goes_on_in_every_tab_and_after_a_reload(pages: Pages, lab: Lab) -> None:
    lab.answer(("Some", WaitFor("more"), " more"), ("Nothing",))
    visit = pages.begin("comeBack", lab.server, **lab.user)
    visit.wait_for("reloaded")
    lab.provider.open_gate("more")
    visit.go_on()
    report = clean(visit.report())
    assert report["texts"] == ["Some more"] * 2
    assert report["order"] == ["Tell me", "Some more", "And then?", "Nothing"]
    assert len(lab.provider.requests(lab.model)) == 2


def test_an_answer_is_stopped_and_asked_for_again(pages: Pages, lab: Lab) -> None:
    lab.answer(("Some", WaitFor("never"), " more"), ("Better",))
    assert clean(pages.visit("stop", lab.server, **lab.user))["text"] == "Some"


def test_chats_are_renamed_deleted_and_restored(pages: Pages, lab: Lab) -> None:
    lab.answer(("Yes.",))
    assert clean(pages.visit("tidy", lab.server, **lab.user))["where"] == "/"
    assert len(lab.provider.requests(lab.model)) == 2


def test_markdown_is_shown_with_colours_tables_and_formulas(pages: Pages, lab: Lab) -> None:
    lab.answer((MARKUP,))
    report = clean(pages.visit("markup", lab.server, text="Show me", **lab.user))
    assert (report["code"], report["whole"]) == ("def answer() -> int:\n    return 42\n", MARKUP)
    html = report["html"]
    for part in (
        "<h1>A heading</h1>",
        "<td>one</td>",
        "<em>words</em>",
        'class="hljs-',
        "<math",
        "<p>of two</p>",
    ):
        assert part in html
    assert 'rel="noopener noreferrer nofollow"' in html


def test_what_was_said_is_found_and_shown_where_it_was_said(pages: Pages, lab: Lab) -> None:
    word = unique("hippo").replace("-", "")
    lab.provider.set_models(json_body({"data": [{"id": lab.model}, {"id": "another"}]}))
    lab.answer(*[(f"Answer {number}",) for number in range(45)])
    with lab.server.admin() as client:
        thread_id = client.new_thread(title="A long one")["id"]
        for number in range(45):
            text = f"Of a {word}" if number == 10 else f"Question {number}"
            assert client.send_message(thread_id, text, model=lab.model).status_code == 201
        poll(lambda: titles(client, word, "TEXT") == ["A long one"], "it is not indexed", PATIENCE_SECONDS)
    report = clean(pages.visit("search", lab.server, word=word, **lab.user))
    assert report["marked"] == [word]
    assert report["target"] == f"Of a {word}"
    assert "(" in report["problem"]


def test_while_the_server_is_away_nothing_is_lost(pages: Pages, lab: Lab) -> None:
    lab.answer(("Some", WaitFor("more"), " more"), ("Second",))
    with CutProxy(int(lab.server.url.rpartition(":")[2])) as proxy:
        visit = pages.begin("away", lab.server, proxy=f"http://127.0.0.1:{proxy.port}", **lab.user)
        visit.wait_for("connected")
        proxy.cut()
        visit.go_on()
        visit.wait_for("away")
        lab.provider.open_gate("more")
        proxy.mend()
        visit.go_on()
        report = clean(visit.report())
    assert report["text"] == "Some more"
    assert (report["draft"], report["left"]) == ("Not sent yet", "")


@pytest.mark.parametrize("part", range(4))
def test_whatever_a_model_writes_runs_nothing(pages: Pages, lab: Lab, part: int) -> None:
    texts = PAYLOADS[part::4]
    lab.answer(("\n\n".join([*texts, "The last one"]),))
    report = clean(pages.visit("payloads", lab.server, **lab.user))
    assert report["handlers"] == []
    assert not {"script", "iframe", "svg", "img", "object", "style", "form", "input"} & set(
        report["elements"]
    )
