"""The tools that front-end developers run on schema.graphql accept it."""

import json
import shutil
from pathlib import Path

import pytest

from core.settings import Settings
from graphql_schema.transports.router import documents
from tests import node

pytestmark = node.MAY_INSTALL

SCHEMA = Path(__file__).parents[2] / "schema.graphql"
# Fields and values stand in the order of their meaning, such as an answer's statuses in that of its life.
ORDER_RULES = [
    "enum-values-sorted-alphabetically",
    "input-object-fields-sorted-alphabetically",
    "interface-fields-sorted-alphabetically",
    "type-fields-sorted-alphabetically",
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the schema in it."""
    shutil.copy(SCHEMA, tmp_path / "schema.graphql")
    return tmp_path


def ran(script: str, *arguments: str, cwd: Path) -> str:
    """What a program prints that must not complain."""
    done = node.start(script, *arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_relay_compiles_fragments_on_pages_nodes_and_events(project: Path) -> None:
    shutil.copytree(node.JS / "relay", project, dirs_exist_ok=True)
    persisted = project / "persisted.json"
    persisted.write_text("{}")

    ran("node_modules/relay-compiler/cli.js", "relay.config.json", cwd=project)

    compiled = {file.name.partition(".")[0] for file in (project / "__generated__").iterdir()}
    assert compiled >= {
        "ConversationAnswerSubscription",
        "ConversationRefetchQuery",
        "ThreadsPaginationQuery",
        "ThreadsCreateMutation",
        "ThreadsDeleteMutation",
    }
    allowed = documents(Settings(graphql_allowed_operations=persisted))
    for key, text in json.loads(persisted.read_text()).items():
        assert allowed.persisted(key) == text
        allowed.get(text)  # raises what is wrong with it


def test_generated_types_are_exact_enough_to_forget_no_case(project: Path) -> None:
    shutil.copytree(node.JS / "typescript", project, dirs_exist_ok=True)

    ran("codegen.js", cwd=project)
    ran("node_modules/typescript/bin/tsc", "--project", ".", cwd=project)


def test_eslint_finds_nothing_by_its_rules_for_schemas_and_relay(project: Path) -> None:
    ran(
        "node_modules/eslint/bin/eslint.js",
        *("--config", str(node.JS / "eslint.config.js"), "--no-ignore", "schema.graphql"),
        cwd=project,
    )


def test_the_schema_linter_finds_nothing_by_its_default_rules(project: Path) -> None:
    ran(
        "node_modules/graphql-schema-linter/lib/cli.js",
        *("--except", ",".join(ORDER_RULES), "schema.graphql"),
        cwd=project,
    )
