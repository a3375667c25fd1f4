"""What the hooks of a generating process know of the users: nothing else is imported there."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

KNOWLEDGE = "FUZZ_KNOWLEDGE"

Ids = Mapping[str, Sequence[str]]


def hand_over(directory: Path, ids: Ids, secret: str) -> dict[str, str]:
    """Keep ids to ask for, and what no answer may hold, for hooks in a process with this environment."""
    file = directory / "knowledge.json"
    file.write_text(json.dumps([ids, secret]), encoding="utf-8")
    return {KNOWLEDGE: str(file)}


def handed_over() -> tuple[Ids, str]:
    """What `hand_over` kept."""
    ids, secret = json.loads(Path(os.environ[KNOWLEDGE]).read_text(encoding="utf-8"))
    return ids, secret
