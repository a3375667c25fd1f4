"""The playground in a real browser, against a real server and the scripted provider."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.e2e.conftest import Pages
from tests.provider.client import ProviderProcess
from tests.provider.script import WaitFor, json_body, text_stream
from tests.servers import PASSWORD, ServerProcess

EXAMPLES = ["SignIn", "Threads", "CreateThread", "SendMessage", "RunEvents", "ThreadsChanged"]
WORDS = ["The ", "sky ", "is ", "blue."]


@pytest.fixture
def ada(new_user: Callable[..., Client]) -> dict[str, str]:
    """An account's name and password."""
    username = unique("ada")
    new_user(username=username)
    return {"username": username, "password": PASSWORD}


@pytest.fixture
def empty_server(provider: ProviderProcess, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, f"{provider.base_url}/v1") as process:
        yield process


def clean(report: dict[str, Any]) -> dict[str, Any]:
    """The report of a visit in which nothing was against the policy and nothing went elsewhere."""
    assert report["violations"] == []
    assert report["foreign"] == []
    assert report["errors"] == []
    return report


@pytest.mark.parametrize("transport", ["ws", "sse"])
def test_a_person_signs_in_sends_a_message_and_watches_the_answer_being_written(
    playground: Pages, provider: ProviderProcess, model: str, transport: str, tmp_path: Path
) -> None:
    with provider.namespace() as own, ServerProcess(tmp_path, f"{own.base_url}/v1") as server:
        server.admin().close()
        own.set_models(json_body({"data": [{"id": model}]}))
        own.script(model, text_stream(*WORDS[:2], WaitFor("more"), *WORDS[2:]))
        user = {"username": "admin", "password": PASSWORD}

        visit = playground.begin("stream", server, transport=transport, **user)
        visit.wait_for("streaming")
        own.open_gate("more")
        visit.go_on()
        report = clean(visit.report())

    assert report["tabs"] == EXAMPLES
    assert "RunEnded" not in [row["type"] for row in report["early"]]
    types = [row["type"] for row in report["rows"]]
    assert types[0] in {"RunSnapshot", "RunStatusChanged"}
    assert types.count("RunDelta") >= 2
    assert types[-1] == "RunEnded"
    assert json.loads(report["rows"][-1]["brief"])["assistantMessage"]["text"] == "".join(WORDS)
    times = [float(row["time"].removeprefix("+").removesuffix(" s")) for row in report["rows"]]
    assert times == sorted(times)
    assert "accessToken" in report["kept"]["session"]["gwp-chat:session"]
    assert report["kept"]["local"] == {}
    assert report["kept"]["cookies"] == ""


def test_a_subscription_without_end_shows_what_happens_until_it_is_stopped(
    playground: Pages, server: ServerProcess, ada: dict[str, str]
) -> None:
    visit = playground.begin("stop", server, **ada)
    visit.wait_for("subscribed")
    with server.client().sign_in(ada["username"], ada["password"]) as elsewhere:
        thread = elsewhere.new_thread(title="Made elsewhere")
    visit.go_on()
    report = clean(visit.report())
    (updated,) = [row for row in report["rows"] if row["type"] == "ThreadUpdated"]
    assert json.loads(updated["brief"])["thread"]["id"] == thread["id"]


def test_a_wrong_password_is_told_and_signing_out_forgets_the_tokens(
    playground: Pages, server: ServerProcess, ada: dict[str, str]
) -> None:
    report = clean(playground.visit("inAndOut", server, **ada))
    assert report["refusal"] == "Invalid credentials"
    for kept in (report["keptOfRefused"], report["kept"]):
        assert "gwp-chat:session" not in kept["session"]
        assert "eyJ" not in json.dumps(kept)


def test_the_first_account_and_no_other_can_be_made_in_the_page(
    playground: Pages, empty_server: ServerProcess
) -> None:
    report = clean(playground.visit("firstAccount", empty_server, username="ada", password=PASSWORD))
    assert report["notice"] == "There are accounts already. Ask an administrator for one."
    with empty_server.client().sign_in("ada", PASSWORD) as client:
        assert client.get("/api/auth/me").json()["roles"] == ["admin"]


def test_a_token_that_grows_old_is_exchanged_silently_and_once(
    playground: Pages, server: ServerProcess, ada: dict[str, str]
) -> None:
    report = clean(playground.visit("renewal", server, **ada))
    assert (report["renewals"], report["renewed"]) == (1, True)


def test_a_session_that_is_ended_elsewhere_ends_its_subscription_and_is_told(
    playground: Pages, server: ServerProcess, ada: dict[str, str]
) -> None:
    visit = playground.begin("ended", server, **ada)
    visit.wait_for("subscribed")
    with server.client().sign_in(ada["username"], ada["password"]) as elsewhere:
        assert elsewhere.post("/api/auth/logout").status_code == 204
    visit.go_on()
    report = clean(visit.report())
    assert report["notice"] == "Your session has ended. Sign in again."
    assert report["rows"][-1]["type"] == "Error"
    assert report["rows"][-1]["brief"].startswith("The server closed the socket: 4403")
    assert "gwp-chat:session" not in report["kept"]["session"]


def test_the_watch_would_have_seen_an_inline_script_and_another_origin(
    playground: Pages, server: ServerProcess
) -> None:
    report = playground.visit("offend", server)
    violations = report["violations"]
    for expected in ("script-src-elem inline", "img-src https://elsewhere.example"):
        assert any(violation.startswith(expected) for violation in violations), (expected, violations)
    assert "https://elsewhere.example/" in report["foreign"]
