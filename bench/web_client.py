"""The web client in a real browser: how soon it paints, what it weighs, how smoothly it shows an answer.

    python -m bench.web_client [--tokens 5000] [--visits 5] [--json FILE]

A scripted provider writes Markdown at some 200 tokens a second, a text of many parts, then one long list, one
long table, one long block of code; the browser's frames are counted meanwhile, beside those of the same page
when nothing happens. First paints are those of browsers that have nothing of
the page yet, beside the paint of a bare answer of the same server (`/health`). Needs Chromium and Node.js.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import cycle, islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.e2e.conftest import driven_chromium
from tests.provider.client import ProviderProcess
from tests.provider.script import Sleep, Step, json_body, text_stream
from tests.servers import PASSWORD, ServerProcess

HERE: Final = Path(__file__).parent
MODEL: Final = "writer"
# Two tokens, and what is left of ten milliseconds once they are sent.
TOGETHER: Final = 2
PAUSE_SECONDS: Final = 0.0092

MARKDOWN: Final = """## A part of it

Some *words* that go on for a while, with `code`, a [link](https://example.org) and $a^2 + b^2$ in between; \
so that a line is as long as lines are, and a paragraph as long as paragraphs are.

- one thing
- another thing, which is longer than the first

| Name | Size |
| --- | --- |
| one | 1 |
| two | 2 |

```python
def answer(question: str) -> int:
    \"\"\"Whatever is asked.\"\"\"
    return 42
```

"""

SHAPES: Final = {
    "parts": (1.0, "", MARKDOWN),
    "list": (0.5, "", "- an item of a list, with some `code` and *words* in it\n"),
    "table": (0.5, "| Name | Size | What it is |\n| --- | --- | --- |\n", "| one | 1 | a row of a table |\n"),
    "code": (0.5, "```python\n", "total = total + compute(first, second)  # a line\n"),
}

Figures = dict[str, float]


def answer(shape: str, tokens: int) -> tuple[list[str | Step], int]:
    """What the provider sends of this shape, and how many tokens it has: all, or a part of so many."""
    part, head, unit = SHAPES[shape]
    words = [f"{word} " for word in unit.split(" ")]
    words[-1] = words[-1].rstrip(" ")
    count = int(tokens * part)
    written = [head, *islice(cycle(words), count)]
    steps: list[str | Step] = []
    for at in range(0, len(written), TOGETHER):
        steps += [*written[at : at + TOGETHER], Sleep(PAUSE_SECONDS)]
    return [*steps, "\n```" if shape == "code" else "", f"\n\nThe end of {shape}"], count


def measure(tokens: int, visits: int, directory: Path) -> dict[str, Figures]:
    """What one browser saw of one server, with answers of so many tokens and so many first visits."""
    answers = {shape: answer(shape, tokens) for shape in SHAPES}
    with ProviderProcess() as provider, ServerProcess(directory, f"{provider.base_url}/v1") as server:
        provider.set_models(json_body({"data": [{"id": MODEL}]}))
        provider.script(MODEL, *(text_stream(*steps) for steps, _ in answers.values()))
        server.admin().close()
        details = {
            "url": server.url,
            "chromium": driven_chromium(),
            "visits": visits,
            "shapes": list(SHAPES),
            "username": "admin",
            "password": PASSWORD,
        }
        command = ["node", str(HERE / "web_client.mjs"), json.dumps(details)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours
    report = json.loads(said.splitlines()[-1])
    found = {shape: smoothness(report["frames"][shape]) for shape in SHAPES}
    for shape, (_, count) in answers.items():
        frames = report["frames"][shape]
        found[shape]["tokens/s"] = count / (frames[-1] - frames[0]) * 1000
    return {**found, "at rest": smoothness(report["idleFrames"]), "first visits": first_visits(report)}


def smoothness(frames: list[float]) -> Figures:
    """What the moments of frames come to."""
    gaps = sorted(later - earlier for earlier, later in pairwise(frames))
    return {
        "frames/s": len(gaps) / (frames[-1] - frames[0]) * 1000,
        "p99, ms": gaps[int(len(gaps) * 0.99)],
        "longest, ms": gaps[-1],
    }


def first_visits(report: dict[str, Any]) -> Figures:
    """When the first content was there, and what had to come for it."""
    names = {"bare": "bare answer, ms", "signedOut": "signed out, ms", "signedIn": "signed in, ms"}
    paints = {name: median(visit["paint"] for visit in report[key]) for key, name in names.items()}
    return {**paints, "JavaScript, KB": max(visit["bytes"] for visit in report["signedIn"]) / 1000}


def show(found: dict[str, Figures]) -> None:
    """Print a line for each."""
    for name, figures in found.items():
        told = "".join(f"{key:>18} {value:7.1f}" for key, value in figures.items())
        sys.stdout.write(f"{name:<14}{told}\n")


def main() -> None:
    """Measure, print a table and, where asked, write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=5000)
    parser.add_argument("--visits", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = measure(arguments.tokens, arguments.visits, Path(directory))
    show(found)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
