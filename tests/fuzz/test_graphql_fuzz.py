"""Every query and mutation of the GraphQL API, by generated operations."""

from pathlib import Path

import pytest

from tests.clients import Client
from tests.fuzz.knowledge import hand_over
from tests.fuzz.people import Person, all_ids, belongings, errors_logged, settle, token_of
from tests.fuzz.schemathesis_process import run_schemathesis
from tests.servers import ServerProcess

pytestmark = pytest.mark.timeout(300)

# What an administrator may do beyond others, and what looks like it.
ACCOUNTS = (
    "Query.users", "Query.user", "Query.serverStatus", "Query.node", "Query.nodes", "Query.thread",
    "Mutation.register", "Mutation.createUser", "Mutation.updateUser", "Mutation.deactivateUser",
)  # fmt: skip


def test_operations_of_a_user_neither_show_nor_change_what_is_anothers(
    fuzzed: ServerProcess, alice: Person, bob: Person, leaver: str, tmp_path: Path
) -> None:
    before = belongings(fuzzed, bob)

    run_schemathesis(
        "graphql.toml",
        f"{fuzzed.url}/graphql",
        *signed_in(alice.token),
        "--mode=positive",
        "--max-examples=9",
        directory=tmp_path,
        environment={**hand_over(tmp_path, all_ids(alice, bob), bob.marker), "FUZZ_LOGOUT_TOKEN": leaver},
    )

    assert belongings(fuzzed, bob) == before
    assert errors_logged(fuzzed) == []


def test_operations_of_a_stranger_neither_show_nor_change_anything(
    fuzzed: ServerProcess, bob: Person, tmp_path: Path
) -> None:
    before = belongings(fuzzed, bob)

    run_schemathesis(
        "graphql.toml",
        f"{fuzzed.url}/graphql",
        "--header=Accept: application/graphql-response+json",
        "--max-examples=2",
        "--warnings=off",
        directory=tmp_path,
        environment={**hand_over(tmp_path, bob.ids, bob.marker), "FUZZ_LOGOUT_TOKEN": "none"},
    )

    assert belongings(fuzzed, bob) == before
    assert errors_logged(fuzzed) == []


def test_operations_of_an_administrator_show_accounts_and_not_what_people_say(
    fuzzed: ServerProcess, operator: Client, tmp_path: Path
) -> None:
    victim = settle(fuzzed, operator)

    run_schemathesis(
        "graphql.toml",
        f"{fuzzed.url}/graphql",
        *signed_in(token_of(operator)),
        "--max-examples=6",
        *(f"--include-name={name}" for name in ACCOUNTS),
        directory=tmp_path,
        environment={**hand_over(tmp_path, victim.ids, victim.said), "FUZZ_LOGOUT_TOKEN": "none"},
    )

    assert errors_logged(fuzzed) == []


def signed_in(token: str) -> tuple[str, ...]:
    """The option that sends the token."""
    return (f"--header=Authorization: Bearer {token}",)
