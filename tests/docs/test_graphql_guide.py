"""`docs/graphql.md`: every snippet does what the page says."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from graphql import FieldNode, OperationDefinitionNode, OperationType, parse

from tests.clients import Client
from tests.conftest import unique
from tests.docs.breakable import BreakableNetwork
from tests.docs.guide import ROOT, Page, Snippet, is_answered_as, is_printed_as
from tests.docs.programs import Program, python_command, replaced, typescript_command
from tests.graphql.clients import data, graphql, subscribed
from tests.graphql.operations import send
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, text_stream
from tests.servers import ServerProcess

PAGE = Page("graphql.md")
DEFAULT_HOST = "127.0.0.1:8009"
MODEL = "smollm2-135m-instruct"
MARK = "\x1e"


@pytest.fixture
def fresh_server(tmp_path: Path, provider: ProviderProcess) -> Iterator[ServerProcess]:
    """A server without accounts, as newcomers have it."""
    with provider.namespace() as namespace:
        namespace.script(MODEL, text_stream("The capital of France", " is Paris."))
        with ServerProcess(tmp_path, f"{namespace.base_url}/v1") as server:
            yield server


def test_the_commands_print_what_the_guide_shows(fresh_server: ServerProcess) -> None:
    commands = PAGE.of_kind("bash")
    script = "".join(f"printf '{MARK}'\n{command.text}" for command in commands)
    host = fresh_server.url.removeprefix("http://")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", replaced(script, {DEFAULT_HOST: host})],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _, *printed = done.stdout.split(MARK)
    for command, output in zip(commands, printed, strict=True):
        assert is_printed_as(command.result or "", output), f"{command} prints {output}"


@pytest.mark.parametrize("snippet", PAGE.of_kind("graphql"), ids=str)
def test_an_operation_gives_what_the_guide_shows(user: Client, model: str, snippet: Snippet) -> None:
    thread_id = user.new_thread()["id"]
    known = {"threadId": thread_id, "runId": send(user, thread_id, model=model)["run"]["id"], "after": None}
    (operation,) = parse(snippet.text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    names = [node.variable.name.value for node in operation.variable_definitions or ()]
    variables = {name: known[name] for name in names}

    if operation.operation is OperationType.SUBSCRIPTION:
        field = operation.selection_set.selections[0]
        assert isinstance(field, FieldNode)
        with subscribed(user, snippet.text, **variables) as subscription:
            assert next(subscription.events(field.name.value))["cursor"]
        return
    answer = graphql(user, snippet.text, **variables)

    assert is_answered_as(snippet.result or '{"data": "…"}', answer), answer


@pytest.fixture
def network(server: ServerProcess) -> Iterator[BreakableNetwork]:
    with BreakableNetwork(server.url) as network:
        yield network


@pytest.fixture
def username() -> str:
    return unique("ada")


@pytest.fixture
def ada(new_user: Callable[..., Client], username: str) -> Client:
    return new_user(username=username)


@pytest.fixture(params=["typescript", "python"])
def start_program(
    request: pytest.FixtureRequest, tmp_path: Path, network: BreakableNetwork, username: str, model: str
) -> Iterator[Callable[[], Program]]:
    """Starts the guide's program in either language, for a user and a model of the test's own."""
    (snippet,) = PAGE.of_kind(request.param)
    words = {DEFAULT_HOST: network.host, '"ada"': f'"{username}"', MODEL: model}
    prepare = python_command if request.param == "python" else typescript_command
    command = prepare(replaced(snippet.text, words), tmp_path)
    programs: list[Program] = []

    def start() -> Program:
        programs.append(Program(command, tmp_path))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


def test_a_program_reads_on_after_a_lost_connection_and_an_ended_token(
    ada: Client,
    admin: Client,
    provider: ProviderProcess,
    model: str,
    *,
    start_program: Callable[[], Program],
    network: BreakableNetwork,
    server: ServerProcess,
) -> None:
    cut, ended = f"{model}-cut", f"{model}-ended"
    provider.script(model, text_stream("It", WaitFor(cut), " is", WaitFor(ended), " Paris."))
    program = start_program()

    program.wait_for("It")
    network.cut()
    provider.open_gate(cut)
    program.wait_for("It is")
    user_id = ada.get("/api/auth/me").json()["id"]
    change = 'mutation ($id: UUID!) { updateUser(input: { userId: $id, roles: ["reader"] }) { __typename } }'
    assert data(admin, change, id=user_id)["updateUser"] == {"__typename": "UpdateUserSuccess"}
    server.wait_for_log(event="websocket closed", code=4403, user_id=user_id)
    provider.open_gate(ended)
    program.wait_for("It is Paris.")

    assert program.end() == (0, "COMPLETED\n", "")


def test_a_program_whose_user_signs_out_elsewhere_ends_with_the_reason(
    ada: Client, provider: ProviderProcess, model: str, start_program: Callable[[], Program]
) -> None:
    provider.script(model, text_stream("It", WaitFor(model), " never"))
    program = start_program()

    program.wait_for("It")
    assert ada.post("/api/auth/logout").is_success

    status, printed, errors = program.end()
    assert (status, printed) == (1, "")
    assert "This token is no longer valid" in errors
