"""Schemathesis as a process of its own.

In the test process it would replace parts of Hypothesis, so that no failing test could say its values.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_schemathesis(
    config: str,
    location: str,
    *options: str,
    directory: Path,
    environment: Mapping[str, str],
    dictionaries: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Test the API at `location` as the file `config` says. Fails the test with its report.

    `dictionaries` are added to the configuration; `directory` takes all that is written.
    """
    sections = [(Path(__file__).parent / config).read_text(encoding="utf-8")]
    # A JSON array of plain strings is one in TOML, too.
    for name, values in (dictionaries or {}).items():
        sections.append(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}\n")
    file = directory / config
    file.write_text("\n".join(sections), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(file),
        "run",
        location,
        *options,
    ]
    done = subprocess.run(
        [*command, "--no-color"],
        cwd=directory,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout, pytrace=False)
