"""Accounts are changed by administrators, of whom one is always left."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.context import Context, Services
from core.db.keyset import Window
from core.db.migrate import migrate
from core.errors import InvalidCredentials, InvalidInput, LastAdmin, NotAllowed, UserExists, UserNotFound
from core.ids import new_id
from core.resolvers.auth import NewUser, login, register
from core.resolvers.nodes import find_nodes
from core.resolvers.users import get_user, list_users, update_user
from tests.conftest import unique
from tests.core.parts import new_caller, open_services
from tests.postgresql import postgresql

ROUNDS = 10


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    with postgresql() as found:
        migrate(found)
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
async def own_services(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Services]:
    """A database on which only the test makes administrators."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    else:
        url = f"sqlite:///{tmp_path / 'app.db'}"
        migrate(url)
    async with open_services(url, tmp_path) as parts:
        yield parts


async def active_admins(ctx: Context) -> set[Any]:
    found = await list_users(ctx, Window(first=100))
    assert not found.has_next
    return {user.id for user in found.items if user.is_admin and user.is_active}


async def test_what_is_given_is_changed_and_the_rest_stays(admin_ctx: Context, ctx: Context) -> None:
    email = f"{unique('ada')}@example.org"
    changed = await update_user(
        admin_ctx,
        ctx.user.id,
        email=f" {email} ",
        full_name="Ada",
        roles=["editor", "reader", "editor"],
        allowed_products=["p"],
    )
    assert (changed.email, changed.full_name) == (email, "Ada")
    assert (changed.roles, changed.allowed_products) == (("editor", "reader"), ("p",))
    assert (changed.username, changed.allowed_agents, changed.is_active) == (ctx.user.username, (), True)
    assert changed.token_version == ctx.user.token_version
    assert changed.updated_at > ctx.user.updated_at

    cleared = await update_user(admin_ctx, ctx.user.id, email="", full_name="", allowed_agents=["a"])
    assert (cleared.email, cleared.full_name, cleared.allowed_agents) == (None, None, ("a",))
    assert (cleared.roles, cleared.allowed_products) == (("editor", "reader"), ("p",))
    assert await get_user(admin_ctx, ctx.user.id) == cleared


async def test_deactivation_and_a_new_password_kill_every_token(admin_ctx: Context) -> None:
    name = unique("user")
    user = await register(admin_ctx, NewUser(name, "old"))
    inactive = await update_user(admin_ctx, user.id, is_active=False)
    again = await update_user(admin_ctx, user.id, is_active=False)
    assert (inactive.token_version, again.token_version) == (1, 1)
    renewed = await update_user(admin_ctx, user.id, is_active=True, password="new")
    assert renewed.token_version == 2
    anybody = admin_ctx
    with pytest.raises(InvalidCredentials):
        await login(anybody, name, "old")
    await login(anybody, name, "new")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "x" * 321),
        ("full_name", "x" * 256),
        ("password", ""),
        ("password", "x" * 4097),
        ("full_name", "a\0b"),
        ("roles", ["a\0b"]),
        ("allowed_products", ["\ud800"]),
    ],
)
async def test_a_value_that_no_account_may_have_is_told_by_its_field(
    admin_ctx: Context, ctx: Context, field: str, value: Any
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await update_user(admin_ctx, ctx.user.id, **{field: value})
    assert caught.value.field == field


async def test_the_email_of_another_account_is_refused(
    admin_ctx: Context, ctx: Context, stranger: Context
) -> None:
    email = f"{unique('ada')}@example.org"
    await update_user(admin_ctx, ctx.user.id, email=email)
    await update_user(admin_ctx, ctx.user.id, email=email)
    with pytest.raises(UserExists):
        await update_user(admin_ctx, stranger.user.id, email=email, full_name="Changed")
    assert await get_user(admin_ctx, stranger.user.id) == stranger.user


async def test_others_see_and_change_only_what_is_theirs(
    ctx: Context, stranger: Context, admin_ctx: Context
) -> None:
    assert await get_user(ctx, ctx.user.id) == ctx.user
    with pytest.raises(NotAllowed):
        await get_user(ctx, stranger.user.id)
    with pytest.raises(NotAllowed):
        await update_user(ctx, ctx.user.id, roles=["admin"])
    both = [ctx.user.id, stranger.user.id, new_id()]
    assert await find_nodes(ctx, both) == {ctx.user.id: ctx.user}
    assert await find_nodes(admin_ctx, both) == {ctx.user.id: ctx.user, stranger.user.id: stranger.user}


async def test_an_unknown_account_is_not_found(admin_ctx: Context) -> None:
    with pytest.raises(UserNotFound):
        await get_user(admin_ctx, new_id())
    changes: dict[str, Any]
    for changes in ({"full_name": "x"}, {"is_active": False}):
        with pytest.raises(UserNotFound):
            await update_user(admin_ctx, new_id(), **changes)


async def test_the_last_active_administrator_stays_one(own_services: Services) -> None:
    last = await new_caller(own_services, roles=["admin"])
    field: dict[str, Any]
    for field in ({"roles": ["administrator", 'x"admin"']}, {"is_active": False}):
        await new_caller(own_services, roles=['not "admin"'])
        await new_caller(own_services, roles=["admin"], is_active=False)
        for user_id in await active_admins(last) - {last.user.id}:
            await update_user(last, user_id, roles=[])
        with pytest.raises(LastAdmin):
            await update_user(last, last.user.id, full_name="Changed", **field)
    assert (await get_user(last, last.user.id)) == last.user
    assert (await update_user(last, last.user.id, full_name="Changed", roles=["admin", "x"])).is_admin


async def test_of_administrators_who_take_the_role_from_one_another_at_once_one_is_left(
    own_services: Services,
) -> None:
    keeper = await new_caller(own_services, roles=["admin"])
    for _ in range(ROUNDS):
        admins = [keeper, *[await new_caller(own_services, roles=["admin"]) for _ in range(3)]]
        for user_id in await active_admins(keeper) - {ctx.user.id for ctx in admins}:
            await update_user(keeper, user_id, roles=[])
        following = [*admins[1:], admins[0]]
        ways: list[dict[str, Any]] = [{"roles": []}, {"is_active": False}] * 2
        results = await asyncio.gather(
            *(
                update_user(ctx, other.user.id, **way)
                for ctx, other, way in zip(admins, following, ways, strict=True)
            ),
            return_exceptions=True,
        )
        failures = [type(result) for result in results if isinstance(result, BaseException)]
        assert failures == [LastAdmin]
        (left,) = await active_admins(keeper)
        keeper = next(ctx for ctx in admins if ctx.user.id == left)
