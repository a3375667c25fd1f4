"""The REST API as `openapi.json` describes it, by generated requests and by sequences of them."""

import json
from pathlib import Path

import pytest

from tests.fuzz.knowledge import hand_over
from tests.fuzz.people import Person, all_ids, belongings, errors_logged
from tests.fuzz.schemathesis_process import ROOT, run_schemathesis
from tests.servers import ServerProcess

pytestmark = pytest.mark.timeout(300)

NAMED_BY_PATHS = ("thread", "message", "run", "file")


def test_each_request_is_answered_as_described_and_with_own_data_only(
    fuzzed: ServerProcess, alice: Person, bob: Person, leaver: str, tmp_path: Path
) -> None:
    check(fuzzed, alice, bob, tmp_path, phases="coverage,fuzzing", logout_token=leaver)


def test_each_sequence_is_answered_as_described_and_with_own_data_only(
    fuzzed: ServerProcess, alice: Person, bob: Person, tmp_path: Path
) -> None:
    check(fuzzed, alice, bob, tmp_path, phases="stateful", logout_token="none")


def check(
    server: ServerProcess, alice: Person, bob: Person, directory: Path, *, phases: str, logout_token: str
) -> None:
    """Generate Alice's requests, and see that Bob's data is neither shown nor changed."""
    before = belongings(server, bob)
    ids = all_ids(alice, bob)

    run_schemathesis(
        "rest.toml",
        str(ROOT / "openapi.json"),
        f"--url={server.url}",
        f"--phases={phases}",
        directory=directory,
        environment={
            **hand_over(directory, ids, bob.marker),
            "FUZZ_AUTH": str(auth_file(directory, alice=alice, bob=bob)),
            "FUZZ_LOGOUT_TOKEN": logout_token,
        },
        dictionaries={kind: ids[kind] for kind in NAMED_BY_PATHS},
    )

    assert belongings(server, bob) == before
    assert errors_logged(server) == []


def auth_file(directory: Path, **people: Person) -> Path:
    """The users by name, as Web Fuzzing Commons writes them."""
    file = directory / "auth.json"
    entries = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {person.token}"}]}
        for name, person in people.items()
    ]
    file.write_text(json.dumps({"auth": entries}), encoding="utf-8")
    return file
