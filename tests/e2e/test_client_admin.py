"""The page of the web client for administrators."""

from tests.conftest import unique
from tests.e2e.conftest import Pages
from tests.e2e.lab import Lab, clean
from tests.provider.script import plain_error
from tests.servers import ServerProcess


def test_accounts_are_made_and_changed_and_the_server_is_seen(pages: Pages, lab: Lab) -> None:
    name = unique("ada")
    visit = pages.begin("accounts", lab.server, name=name, **lab.user)
    visit.wait_for("made")
    with lab.server.client() as client:
        client.sign_in(name, "correct horse battery")
        me = client.get("/api/auth/me").json()
        assert (me["full_name"], me["allowed_agents"]) == ("Ada Lovelace", ["poet", "chemist"])
    visit.go_on()
    visit.wait_for("deactivated")
    with lab.server.client() as client:
        body = {"username": name, "password": "correct horse battery"}
        assert client.post("/api/auth/login", json=body).status_code == 401
    lab.provider.set_models(plain_error("Out for lunch", 503))
    visit.go_on()
    report = clean(visit.report())
    assert "exists already" in report["problem"]
    assert "Ada Lovelace" in report["made"]
    assert "Ada Lovelace" not in report["changed"]
    assert "admin" in report["changed"]
    for part in ("It answers.", "0 being written, 0 waiting"):
        assert part in report["status"]


def test_others_have_no_such_page_and_no_chats_of_others(
    pages: Pages, server: ServerProcess, person: dict[str, str]
) -> None:
    report = clean(pages.visit("notAllowed", server, **person))
    assert (report["links"], report["boxes"]) == (0, 0)
