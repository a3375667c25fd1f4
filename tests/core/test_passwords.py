"""What hashing a password costs is a setting, and stored hashes follow it when it rises."""

from contextlib import closing
from typing import Any

import pytest

from core.auth.passwords import Passwords
from core.settings import Settings


def passwords(**values: Any) -> Passwords:
    return Passwords(Settings(_env_file=None, **values))


async def test_by_default_a_hash_takes_64_mib_and_three_passes() -> None:
    with closing(passwords()) as strong:
        assert "$m=65536,t=3," in await strong.hash("correct horse")


@pytest.mark.parametrize("values", [{"argon2_memory_kib": 7168}, {"argon2_iterations": 1}])
async def test_a_cheaper_hash_is_replaced_at_the_next_login(values: dict[str, int]) -> None:
    with closing(passwords(**values)) as weak, closing(passwords()) as strong:
        stored = await weak.hash("correct horse")
        assert (await weak.verify("correct horse", stored)).new_hash is None
        verdict = await strong.verify("correct horse", stored)

    assert verdict.is_right
    assert verdict.new_hash is not None
    assert "$m=65536,t=3," in verdict.new_hash


async def test_a_wrong_password_replaces_nothing() -> None:
    with closing(passwords(argon2_iterations=1)) as weak, closing(passwords()) as strong:
        verdict = await strong.verify("wrong", await weak.hash("correct horse"))

    assert (verdict.is_right, verdict.new_hash) == (False, None)
