"""`docs/search.md`: its queries are answered, and its tables name all that there is."""

import re

import pytest

from core.resolvers.search import SearchMode
from core.settings import Settings
from tests.clients import Client
from tests.docs.guide import ROOT, Page, Snippet, code_spans

PAGE = Page("search.md")


@pytest.mark.parametrize("snippet", PAGE.of_kind("graphql"), ids=str)
def test_a_query_is_answered(user: Client, snippet: Snippet) -> None:
    user.new_thread(title="Trip to Rome")
    body = {"query": snippet.text, "variables": {"query": "rome"}}
    answer = user.post("/graphql", json=body).json()
    assert "errors" not in answer
    assert all(value is not None for value in answer["data"].values())


def test_every_mode_is_explained() -> None:
    explained = {span for modes, _ in PAGE.table("Mode", "Finds") for span in code_spans(modes)}
    assert explained == {mode.name for mode in SearchMode}


def test_no_setting_is_named_that_there_is_not() -> None:
    named = {name.lower() for name in re.findall(r"`CHAT_(\w+?)(?:=\w+)?`", PAGE.text)}
    assert named <= set(Settings.model_fields)


def test_every_link_leads_somewhere() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)", PAGE.text):
        assert (ROOT / "docs" / link).exists(), link
