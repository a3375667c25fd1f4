"""How good search is, by meaning, by words and by both, on real texts in English, German and Russian.

    python -m bench.search_quality [--packages 500] [--asked 80] [--tuning] [--descriptions DIR] [--json FILE]

A history of package descriptions in three languages, each a message in a thread of its own, is indexed with
the demo's model and searched through the API. Two kinds of questions: the summary of a package, which is no
part of its description, and two of the rarer words of a description. The description in the language of the
question is what is wanted (grade 2), those in the other languages are welcome (grade 1). Half of the packages
are held out: figures are theirs, unless `--tuning` asks for the other half.
"""

import argparse
import json
import re
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np

from api.demo import embedding_weights
from api.demo.model_process import ModelProcess
from bench.quality_corpus import LANGUAGES, Description, fetch, translated_packages
from bench.ranking_measures import ndcg, recall
from bench.search_history import Owner, write_history
from bench.search_server import Searcher, search_server, token_settings, wait_until_indexed
from bench.search_texts import ThreadTexts
from tests.processes import free_port

MODEL: Final = "multilingual-e5-small"
MODES: Final = ("SEMANTIC", "TEXT", "HYBRID")
_WORD: Final = re.compile(r"[^\W\d_]{5,}")
_WANTED, _WELCOME = 2, 1


class _Reader(Owner):
    """One who keeps descriptions, a thread each."""

    def __init__(self, descriptions: list[Description]) -> None:
        super().__init__(0, len(descriptions))
        self._descriptions = descriptions

    def threads(self) -> Iterator[ThreadTexts]:
        for each in self._descriptions:
            yield ThreadTexts((), (each.text,))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, of which kind, and how good each thread is as an answer."""

    kind: str
    language: str
    text: str
    grades: dict[str, int]


def questions(
    packages: list[dict[str, Description]], thread_of: dict[str, str], asked: int, *, held_out: bool
) -> list[Question]:
    """Those about some of the packages, of both kinds, in each language."""
    texts = [each.text for package in packages for each in package.values()]
    frequencies = Counter(word for text in texts for word in {found.lower() for found in _WORD.findall(text)})
    found = []
    for package in [each for each in packages if each["en"].is_held_out is held_out][:asked]:
        for language in LANGUAGES:
            grades = {
                thread_of[each.text]: _WANTED if each.language == language else _WELCOME
                for each in package.values()
            }
            wanted = package[language]
            found.append(Question("summary", language, wanted.summary, grades))
            found.append(Question("words", language, _keywords(wanted, frequencies), grades))
    return found


def _keywords(description: Description, frequencies: Counter[str]) -> str:
    """Two words of the description, in its order: rare, but not of this text alone, and not its name."""
    words = dict.fromkeys(word.lower() for word in _WORD.findall(description.text))
    shared = [word for word in words if frequencies[word] > 1 and word not in description.package.lower()]
    rarest = sorted(shared, key=lambda word: frequencies[word])[:2]
    return " ".join(word for word in words if word in rarest)


def measure(directory: Path, packages: list[dict[str, Description]], asked: int, *, held_out: bool) -> Any:
    """All figures, as they are printed and written: by kind and language of the question, and by mode."""
    owner = _Reader([each for package in packages for each in package.values()])
    weights = directory / f"{MODEL}.gguf"
    embedding_weights.prepare(weights)
    write_history(directory / "app.db", [owner])
    scores: dict[tuple[str, str, str], list[tuple[float, float, int]]] = {}
    with ModelProcess(embeddings=weights) as model:
        model.start(free_port(), directory / "model.log")
        model.wait_until_ready()
        settings = {"CHAT_EMBEDDING_MODEL_NAME": MODEL, "CHAT_EMBEDDING_BATCH_SIZE": "8"}
        with search_server(directory, model.base_url, **settings) as server:
            wait_until_indexed(directory / "app.db")
            searcher = Searcher(server, owner.token(token_settings()))
            for question in questions(packages, _threads(directory / "app.db"), asked, held_out=held_out):
                for mode in MODES:
                    _, page = searcher.search(mode, question.text)
                    ranking = [edge["node"]["id"] for edge in page["edges"]]
                    figures = (
                        ndcg(ranking, question.grades, 10),
                        recall(ranking, question.grades, 20),
                        len(ranking),
                    )
                    scores.setdefault((question.kind, question.language, mode), []).append(figures)
            searcher.close()
    return [
        {
            "kind": kind,
            "language": language,
            "mode": mode,
            **dict(zip(("nDCG@10", "recall@20", "hits"), np.mean(each, axis=0).tolist(), strict=True)),
        }
        for (kind, language, mode), each in scores.items()
    ]


def _threads(file: Path) -> dict[str, str]:
    """The threads, by the texts in them."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT text, thread_id FROM messages").fetchall()
    return {text: str(UUID(thread_id)) for text, thread_id in rows}


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table, with the means of all languages."""
    sys.stdout.write(f"{'question':<16}{'mode':<10}{'nDCG@10':>9}{'recall@20':>11}{'hits':>7}\n")
    for kind in ("summary", "words"):
        for language in (*LANGUAGES, "all"):
            for mode in MODES:
                chosen = [
                    [row["nDCG@10"], row["recall@20"], row["hits"]]
                    for row in rows
                    if row["kind"] == kind and row["mode"] == mode and language in (row["language"], "all")
                ]
                quality, found, hits = np.mean(chosen, axis=0)
                name = f"{kind}, {language}"
                sys.stdout.write(f"{name:<16}{mode:<10}{quality:9.3f}{found:11.3f}{hits:7.1f}\n")


def main() -> None:
    """Measure, print a table and, where asked, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=500)
    parser.add_argument("--asked", type=int, default=80)
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--descriptions", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        packages = translated_packages(arguments.descriptions or fetch(directory / "apt"), arguments.packages)
        if not packages:
            raise SystemExit("there are no descriptions in all three languages")
        rows = measure(directory, packages, arguments.asked, held_out=not arguments.tuning)
    show(rows)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
