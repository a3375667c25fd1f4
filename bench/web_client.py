"""The web client in a real browser: how soon it paints, what it weighs, how smoothly it shows an answer.

    python -m bench.web_client [--tokens 5000] [--visits 5] [--json FILE]

A scripted provider writes Markdown at some 200 tokens a second; the browser's frames are counted meanwhile,
beside those of the same page when nothing happens. First paints are those of browsers that have nothing of
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
SMOOTH_MS: Final = 50

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

Figures = dict[str, float]


def measure(tokens: int, visits: int, directory: Path) -> Figures:
    """What one browser saw of one server, with an answer of so many tokens and so many first visits."""
    words = [f"{word} " for word in MARKDOWN.split(" ")]
    written = list(islice(cycle(words), tokens))
    steps: list[str | Step] = []
    for at in range(0, len(written), TOGETHER):
        steps += [*written[at : at + TOGETHER], Sleep(PAUSE_SECONDS)]
    with ProviderProcess() as provider, ServerProcess(directory, f"{provider.base_url}/v1") as server:
        provider.set_models(json_body({"data": [{"id": MODEL}]}))
        provider.script(MODEL, text_stream(*steps, "\n\nThe very end"))
        server.admin().close()
        details = {
            "url": server.url,
            "chromium": driven_chromium(),
            "visits": visits,
            "username": "admin",
            "password": PASSWORD,
        }
        command = ["node", str(HERE / "web_client.mjs"), json.dumps(details)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - ours
    return figures(json.loads(said.splitlines()[-1]), tokens)


def figures(report: dict[str, Any], tokens: int) -> Figures:
    """What the browser's report comes to."""
    frames, idle = report["frames"], report["idleFrames"]
    gaps = sorted(later - earlier for earlier, later in pairwise(frames))
    seconds = (frames[-1] - frames[0]) / 1000
    bare = median(visit["paint"] for visit in report["bare"])
    painted = {name: median(visit["paint"] for visit in report[name]) for name in ("signedOut", "signedIn")}
    return {
        "tokens/s": tokens / seconds,
        "frames/s": (len(frames) - 1) / seconds,
        "frames/s of the idle page": (len(idle) - 1) / (idle[-1] - idle[0]) * 1000,
        "frame p99, ms": gaps[int(len(gaps) * 0.99)],
        "longest frame, ms": gaps[-1],
        f"frames over {SMOOTH_MS} ms": sum(gap > SMOOTH_MS for gap in gaps),
        "first paint of a bare answer, ms": bare,
        "first paint, signed out, ms": painted["signedOut"],
        "first paint, signed in, ms": painted["signedIn"],
        "JavaScript of the first load, KB": max(visit["bytes"] for visit in report["signedIn"]) / 1000,
    }


def show(found: Figures) -> None:
    """Print the table."""
    for name, value in found.items():
        sys.stdout.write(f"{name:<36}{value:>10.1f}\n")


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
