"""What administrators are told of the server."""

from pathlib import Path
from typing import Any

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.clients import data, error_code
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, plain_error, text_stream
from tests.runs.following import poll, start
from tests.servers import ServerProcess

STATUS = """{ serverStatus {
  version providerTrouble indexTrouble embeddingModel pendingTexts queuedRuns activeRuns } }"""
# Nobody listens there.
NO_MODEL = "http://127.0.0.1:9/v1"


def status(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = data(client, STATUS)["serverStatus"]
    return found


def test_administrators_see_the_queue_and_what_is_wrong(provider: ProviderProcess, tmp_path: Path) -> None:
    model = unique("model")
    settings = {"CHAT_EMBEDDING_API_BASE": NO_MODEL, "CHAT_EMBEDDING_MODEL_NAME": "none"}
    with (
        provider.namespace() as own,
        ServerProcess(tmp_path, f"{own.base_url}/v1", settings) as server,
        server.admin() as admin,
    ):
        own.set_models(plain_error("Out for lunch", 503))
        own.script(model, text_stream("Some", WaitFor("end")))
        thread_id = admin.new_thread()["id"]
        for text in ("one", "two", "three"):
            start(admin, thread_id, text, model=model)
        found = status(admin)
        assert (found["activeRuns"], found["queuedRuns"]) == (1, 2)
        assert "Out for lunch" in found["providerTrouble"]
        poll(lambda: status(admin)["indexTrouble"] is not None, "the model's absence is not told")
        assert status(admin)["pendingTexts"] >= 3
        assert found["embeddingModel"] == "none"
        assert found["version"]
        own.open_gate("end")
        poll(lambda: status(admin)["queuedRuns"] == 0, "the answers are not over")


def test_all_is_well_where_all_is_well(admin: Client) -> None:
    assert status(admin)["providerTrouble"] is None


def test_what_is_switched_off_is_said(provider: ProviderProcess, tmp_path: Path) -> None:
    settings = {"CHAT_LLM_ENABLED": "false", "CHAT_SEARCH_ENABLED": "false"}
    with ServerProcess(tmp_path, f"{provider.base_url}/v1", settings) as server, server.admin() as admin:
        found = status(admin)
    assert "CHAT_LLM_ENABLED" in found["providerTrouble"]
    assert "CHAT_SEARCH_ENABLED" in found["indexTrouble"]


def test_others_are_not_told(user: Client) -> None:
    assert error_code(user, STATUS) == "NOT_ALLOWED"
