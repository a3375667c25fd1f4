"""GraphQL over HTTP by the letter: the audits of the npm package graphql-http."""

from tests import node
from tests.clients import Client
from tests.servers import ServerProcess

pytestmark = node.MAY_INSTALL

AUDITS = 61


def test_every_audit_of_graphql_http_passes(server: ServerProcess, user: Client) -> None:
    given = {"url": f"{server.url}/graphql", "authorization": user.headers["authorization"]}
    results = node.run("audit.js", given)

    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == AUDITS
