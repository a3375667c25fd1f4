"""The pages of the documentation, taken apart: snippets, what is shown as their results, and tables."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
ANYTHING = "…"

RUN = ("bash", "graphql", "python", "typescript")
RESULTS = ("json", "text")


@dataclass(frozen=True)
class Snippet:
    """A fenced block that is run, and the result that is shown right behind it, if one is."""

    kind: str
    line: int
    text: str
    result: str | None

    def __str__(self) -> str:
        return f"{self.kind} of line {self.line}"


class Page:
    """One page of the documentation."""

    def __init__(self, name: str) -> None:
        self.text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        tokens = MarkdownIt("commonmark").enable("table").parse(self.text)
        self._tokens = list(pairwise([*tokens, Token("end", "", 0)]))

    @property
    def snippets(self) -> list[Snippet]:
        """All fenced blocks but results. Raises AssertionError for one that is neither run nor a result."""
        snippets = []
        for token, following in self._tokens:
            if token.type != "fence" or token.info in RESULTS:
                continue
            line = (token.map or [0])[0] + 1
            assert token.info in RUN, f"line {line}: nobody runs {token.info!r}"
            is_shown = following.type == "fence" and following.info in RESULTS
            result = following.content if is_shown else None
            snippets.append(Snippet(token.info, line, token.content, result))
        shown = sum(token.type == "fence" and token.info in RESULTS for token, _ in self._tokens)
        assert shown == sum(snippet.result is not None for snippet in snippets), "a result of nothing"
        return snippets

    def of_kind(self, kind: str) -> list[Snippet]:
        """The snippets of one language."""
        return [snippet for snippet in self.snippets if snippet.kind == kind]

    def table(self, *heads: str) -> list[list[str]]:
        """The rows of the table whose header is this, each cell as it is written."""
        (rows,) = (rows for head, *rows in self._tables() if head == list(heads))
        return rows

    def _tables(self) -> Iterator[list[list[str]]]:
        rows: list[list[str]] = []
        for token, following in self._tokens:
            if token.type == "table_open":
                rows = []
            elif token.type == "tr_open":
                rows.append([])
            elif token.type in ("th_open", "td_open"):
                rows[-1].append(following.content)
            elif token.type == "table_close":
                yield rows


def code_spans(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def is_answered_as(shown: str, answer: dict[str, Any]) -> bool:
    """Whether this answer is what the page shows of it; `…` stands for anything."""
    expected: dict[str, Any] = json.loads(shown)
    return _is(expected, {key: value for key, value in answer.items() if key in (*expected, "errors")})


def is_printed_as(shown: str, printed: str) -> bool:
    """Whether this is the output that the page shows; `…` alone in a line stands for any lines."""
    if shown.startswith("{"):
        return is_answered_as(shown, json.loads(printed))
    lines = [
        r"(?:.*\n)*" if line == ANYTHING else re.escape(line).replace(ANYTHING, ".*") + r"\n"
        for line in shown.splitlines()
    ]
    return re.fullmatch("".join(lines), printed) is not None


def _is(shown: Any, found: Any) -> bool:
    if isinstance(shown, dict) and isinstance(found, dict):
        return shown.keys() == found.keys() and all(_is(shown[key], found[key]) for key in shown)
    return bool(shown in (ANYTHING, found))
