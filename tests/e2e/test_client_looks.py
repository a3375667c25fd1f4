"""How the web client looks and speaks, by keyboard and for screen readers too, and what its tabs share."""

from collections.abc import Callable

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.e2e.conftest import Pages
from tests.e2e.lab import MARKUP, Lab, clean
from tests.provider.script import chunk, sse, text_stream
from tests.runs.following import poll
from tests.search.searching import PATIENCE_SECONDS, titles
from tests.servers import ServerProcess

FORM = {
    "question": "One more thing",
    "fields": [
        {"name": "name", "label": "Name", "required": True},
        {"name": "size", "label": "Size", "options": ["Small", "Large"]},
        {"name": "urgent", "label": "Urgent", "type": "boolean"},
    ],
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_keeps_people_out(pages: Pages, lab: Lab, theme: str) -> None:
    word = unique("hippo").replace("-", "")
    with lab.server.admin() as admin:
        admin.new_thread(title=f"About a {word}")
        poll(lambda: titles(admin, word, "TEXT") != [], "it is not indexed", PATIENCE_SECONDS)
    asks = sse(chunk(agent_status="interrupted", interrupt_payload=FORM))
    lab.answer(text_stream(MARKUP), asks)
    report = clean(pages.visit("accessible", lab.server, theme=theme, word=word, **lab.user))
    assert report["faults"] == []


def test_theme_and_language_are_chosen_and_kept(
    pages: Pages, server: ServerProcess, person: dict[str, str]
) -> None:
    report = clean(pages.visit("preferences", server, **person))
    assert report["light"] != report["dark"] == report["kept"]
    assert report["language"] == "ru"


def test_the_keyboard_is_enough(pages: Pages, lab: Lab) -> None:
    lab.answer(("Yes.",))
    report = clean(pages.visit("keyboard", lab.server, **lab.user))
    assert report["afterRename"] == "Menu of Named"
    assert report["onNew"] is True
    assert report["afterDelete"] == "New chat"


def test_nobody_sees_what_somebody_else_wrote_in_this_browser(
    pages: Pages, server: ServerProcess, person: dict[str, str], new_user: Callable[..., Client]
) -> None:
    bob = unique("bob")
    new_user(username=bob)
    report = clean(pages.visit("neighbours", server, other=bob, **person))
    assert report["seen"] == ["", 0]
    assert report["back"] == "What only I should read"


def test_many_tabs_refresh_their_tokens_once(
    pages: Pages, server: ServerProcess, person: dict[str, str]
) -> None:
    report = clean(pages.visit("refreshing", server, **person))
    assert report["refreshes"] == 1
    assert report["before"] != report["after"]
