"""The REST API as `openapi.json` describes it, by generated requests and by sequences of them."""

import json
from pathlib import Path

import pytest

from tests.fuzz.knowledge import hand_over
from tests.fuzz.people import Person, all_ids, belongings, errors_logged
from tests.fuzz.schemathesis_process import ROOT, run_schemathesis
from tests.servers import ServerProcess

NAMED_BY_PATHS = ("thread", "message", "run", "file")


@pytest.mark.timeout(300)
def test_each_request_is_answered_as_described_and_with_own_data_only(
    fuzzed: ServerProcess, alice: Person, bob: Person, leaver: str, tmp_path: Path
) -> None:
    before = belongings(fuzzed, bob)
    ids = all_ids(alice, bob)

    run_schemathesis(
        "rest.toml",
        str(ROOT / "openapi.json"),
        f"--url={fuzzed.url}",
        "--phases=coverage,fuzzing,stateful",
        directory=tmp_path,
        environment={
            **hand_over(tmp_path, ids, bob.marker),
            "FUZZ_AUTH": str(auth_file(tmp_path, alice=alice, bob=bob)),
            "FUZZ_LOGOUT_TOKEN": leaver,
        },
        dictionaries={kind: ids[kind] for kind in NAMED_BY_PATHS},
    )

    assert belongings(fuzzed, bob) == before
    assert errors_logged(fuzzed) == []


def auth_file(directory: Path, **people: Person) -> Path:
    """The users by name, as Web Fuzzing Commons writes them."""
    file = directory / "auth.json"
    entries = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {person.token}"}]}
        for name, person in people.items()
    ]
    file.write_text(json.dumps({"auth": entries}), encoding="utf-8")
    return file
