"""Signing in and out, and accounts, in GraphQL."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import Client
from tests.conftest import unique
from tests.graphql.clients import data, error_code, graphql
from tests.graphql.operations import ERROR, INVALID
from tests.provider.client import ProviderProcess
from tests.servers import PASSWORD, ServerProcess

LOGIN = f"""mutation ($u: String!, $p: String!) {{ login(input: {{username: $u, password: $p}}) {{
  ... on LoginSuccess {{ tokens {{ accessToken expiresIn }} viewer {{ user {{ username }} permissions }} }}
  {ERROR} }} }}"""
REFRESH = f"""mutation ($t: String!) {{ refresh(input: {{refreshToken: $t}}) {{
  ... on RefreshSuccess {{ tokens {{ accessToken }} }} {ERROR} }} }}"""
CREATE = f"""mutation ($i: CreateUserInput!) {{ createUser(input: $i) {{
  ... on CreateUserSuccess {{ user {{ id username roles allowedAgents isActive }} }}
  {ERROR} {INVALID} }} }}"""
UPDATE = f"""mutation ($i: UpdateUserInput!) {{ updateUser(input: $i) {{
  ... on UpdateUserSuccess {{ user {{ fullName roles isActive }} }} {ERROR} {INVALID} }} }}"""
DEACTIVATE = f"""mutation ($id: UUID!) {{ deactivateUser(input: {{userId: $id}}) {{
  ... on DeactivateUserSuccess {{ user {{ isActive }} }} {ERROR} }} }}"""


def username_of(user: Client) -> str:
    name: str = data(user, "{ viewer { user { username } } }")["viewer"]["user"]["username"]
    return name


def id_of(user: Client) -> str:
    user_id: str = data(user, "{ viewer { user { id } } }")["viewer"]["user"]["id"]
    return user_id


def test_a_user_signs_in_and_sees_themselves(server: ServerProcess, user: Client) -> None:
    name = username_of(user)
    with server.client() as client:
        answer = data(client, LOGIN, u=name, p=PASSWORD)["login"]
        assert answer["viewer"] == {"user": {"username": name}, "permissions": []}
        assert answer["tokens"]["expiresIn"] == 900
        assert username_of(client.use(answer["tokens"]["accessToken"])) == name


def test_wrong_credentials_are_a_failure_of_login(server: ServerProcess, user: Client) -> None:
    with server.client() as client:
        answer = data(client, LOGIN, u=username_of(user), p="wrong")["login"]
    assert answer == {
        "__typename": "InvalidCredentials",
        "code": "INVALID_CREDENTIALS",
        "message": "Invalid credentials",
    }


def test_a_refresh_token_buys_a_new_pair(server: ServerProcess, user: Client) -> None:
    name = username_of(user)
    with server.client() as client:
        pair = client.log_in(name, PASSWORD)
        answer = data(client, REFRESH, t=pair["refresh_token"])["refresh"]
        assert username_of(client.use(answer["tokens"]["accessToken"])) == name


def test_an_access_token_buys_no_new_pair(server: ServerProcess, user: Client) -> None:
    with server.client() as client:
        pair = client.log_in(username_of(user), PASSWORD)
        answer = data(client, REFRESH, t=pair["access_token"])["refresh"]
    assert answer["__typename"] == "InvalidRefreshToken"


def test_logout_kills_every_token(user: Client) -> None:
    name = username_of(user)
    answer = data(user, "mutation { logout { ... on LogoutSuccess { user { username } } } }")["logout"]
    assert answer == {"user": {"username": name}}
    assert error_code(user, "{ viewer { user { id } } }") == "UNAUTHENTICATED"
    assert user.get("/api/auth/me").status_code == 401


def test_without_a_token_there_is_no_viewer_and_nothing_is_shown(server: ServerProcess) -> None:
    with server.client() as client:
        assert data(client, "{ viewer { user { id } } }") == {"viewer": None}
        assert error_code(client, "{ threads { nodes { id } } }") == "UNAUTHENTICATED"
        assert error_code(client, "{ users { nodes { id } } }") == "UNAUTHENTICATED"


def test_registering_is_for_administrators_once_there_is_a_user(user: Client, admin: Client) -> None:
    register = f"""mutation ($u: String!) {{ register(input: {{username: $u, password: "pw"}}) {{
      ... on RegisterSuccess {{ user {{ username }} }} {ERROR} }} }}"""
    name = unique("grown")
    assert data(user, register, u=name)["register"]["__typename"] == "NotAllowed"
    assert data(admin, register, u=name)["register"] == {"user": {"username": name}}
    assert data(admin, register, u=name)["register"]["__typename"] == "UserExists"


def test_an_administrator_makes_and_changes_accounts(admin: Client, server: ServerProcess) -> None:
    name = unique("made")
    made = data(
        admin, CREATE, i={"username": name, "password": PASSWORD, "roles": ["author"], "allowedAgents": ["a"]}
    )["createUser"]["user"]
    assert made | {"id": ""} == {
        "id": "",
        "username": name,
        "roles": ["author"],
        "allowedAgents": ["a"],
        "isActive": True,
    }
    changed = data(admin, UPDATE, i={"userId": made["id"], "fullName": "Ada", "roles": []})["updateUser"]
    assert changed == {"user": {"fullName": "Ada", "roles": [], "isActive": True}}
    gone = data(admin, DEACTIVATE, id=made["id"])["deactivateUser"]
    assert gone == {"user": {"isActive": False}}
    with server.client() as client:
        assert data(client, LOGIN, u=name, p=PASSWORD)["login"]["__typename"] == "InvalidCredentials"


def test_others_may_neither_list_nor_change_accounts(user: Client, admin: Client) -> None:
    assert error_code(user, "{ users { nodes { id } } }") == "NOT_ALLOWED"
    for operation, variables in (
        (CREATE, {"i": {"username": unique("x"), "password": "pw"}}),
        (UPDATE, {"i": {"userId": id_of(admin), "isActive": False}}),
        (DEACTIVATE, {"id": id_of(admin)}),
    ):
        (answer,) = data(user, operation, **variables).values()
        assert answer["__typename"] == "NotAllowed"


def test_the_field_that_is_wrong_is_named(admin: Client) -> None:
    answer = data(admin, CREATE, i={"username": " ", "password": "pw"})["createUser"]
    assert (answer["__typename"], answer["field"]) == ("InvalidInput", "username")
    answer = data(admin, CREATE, i={"username": unique("x"), "password": "pw", "fullName": "x" * 256})
    assert answer["createUser"]["field"] == "fullName"


def test_the_last_administrator_stays(provider: ProviderProcess, tmp_path: Path) -> None:
    unknown = "00000000-0000-7000-8000-000000000000"
    # A server of its own: elsewhere there may be other administrators.
    with ServerProcess(tmp_path, f"{provider.base_url}/v1") as server, server.admin() as admin:
        assert data(admin, DEACTIVATE, id=unknown)["deactivateUser"]["__typename"] == "UserNotFound"
        answer = data(admin, DEACTIVATE, id=id_of(admin))["deactivateUser"]
        assert answer["__typename"] == "LastAdmin"
        assert username_of(admin) == "admin"


def test_accounts_are_listed_page_by_page(admin: Client, new_user: Callable[..., Client]) -> None:
    odd = [unique(name)[-128:] for name in ('line\nbreak "quoted" \\', "😀" * 120)]
    for name in odd:
        new_user(username=name)
    names = [*(username_of(new_user()) for _ in range(3)), *odd]
    query = """query ($after: Cursor) { users(first: 2, after: $after) {
      totalCount edges { cursor node { username } } pageInfo { hasNextPage endCursor } } }"""
    seen: list[str] = []
    cursor = None
    while True:
        page = data(admin, query, after=cursor)["users"]
        seen += [edge["node"]["username"] for edge in page["edges"]]
        assert page["totalCount"] >= 4
        if not page["pageInfo"]["hasNextPage"]:
            break
        cursor = page["pageInfo"]["endCursor"]
    assert seen == sorted(seen)
    assert set(names) <= set(seen)


@pytest.mark.parametrize(
    "query",
    [
        'mutation { login(input: {username: "nobody", password: "SECRET"}) { ... on Error { code } } }',
        'mutation { login(input: {username: "nobody", password: "SECRET", odd: 1}) { __typename } }',
        'mutation { login(input: {username: "nobody", password: "SECRET"} { __typename } }',
        'mutation { register(input: {username: "", password: "SECRET"}) { ... on Error { code } } }',
    ],
)
def test_no_password_reaches_the_log(server: ServerProcess, user: Client, query: str) -> None:
    secret = unique("secret")
    response = user.post("/graphql", json={"query": query.replace("SECRET", secret)})
    assert response.status_code == 200
    server.wait_for_log(request_id=response.headers["x-request-id"], event="request")
    assert secret not in server.log_file.read_text(encoding="utf-8")


def test_a_document_without_end_is_refused_before_it_is_parsed(user: Client) -> None:
    (error,) = graphql(user, "{" + " a" * 10_000 + "}")["errors"]
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "limit": "tokens", "maximum": 2000}
    (error,) = graphql(user, "{" + "#\n" * 10_000 + "a}")["errors"]
    assert error["extensions"]["limit"] == "tokens"
    (error,) = graphql(user, "{" + " a" * 100_000 + "}")["errors"]
    assert error["extensions"]["limit"] == "document"
    (error,) = graphql(user, '{ a(b: "tokens. Parsing aborted." ]}')["errors"]
    assert error["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"
