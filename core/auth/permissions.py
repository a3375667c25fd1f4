"""Allow lists: which products and agents a thread names, and whether a caller may touch them."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from core.db.records import User
from core.errors import InvalidInput, NotAllowed

PRODUCT_KEYS = ("product_id", "productId", "product")
AGENT_KEYS = ("agent_id", "agentId", "agent")


@dataclass(frozen=True, slots=True)
class Scope:
    """All products and agents that the metadata of a thread names, in every spelling, sorted."""

    products: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """A key that equal scopes share."""
        return hashlib.sha256(json.dumps([self.products, self.agents]).encode()).hexdigest()

    def allows(self, user: User) -> bool:
        """Whether `user` may touch a thread of this scope."""
        return _listed(self.products, user.allowed_products) and _listed(self.agents, user.allowed_agents)

    def check(self, user: User) -> None:
        """Raise `NotAllowed` unless `user` may touch a thread of this scope."""
        if not self.allows(user):
            raise NotAllowed("You are not allowed to use this product or agent")


def scope_of(metadata: dict[str, Any]) -> Scope:
    """The scope that `metadata` names. Raises `InvalidInput` for a value of any unexpected kind."""
    return Scope(_named(metadata, PRODUCT_KEYS), _named(metadata, AGENT_KEYS))


def check_model(user: User, model: str, *, agents_are_models: bool) -> None:
    """Raise `NotAllowed` if the model is an agent that `user` may not name."""
    if agents_are_models and not _listed((model,), user.allowed_agents):
        raise NotAllowed("You are not allowed to use this model")


def _listed(named: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    return not allowed or all(name in allowed for name in named)


def _named(metadata: dict[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    found: set[str] = set()
    for key in keys:
        value = metadata.get(key)
        if isinstance(value, dict):
            if not {"id", "value"} & value.keys():
                raise _wrong_kind(key)
            parts = [value.get("id"), value.get("value")]
        else:
            parts = [value]
        for part in parts:
            if part is not None and not isinstance(part, str):
                raise _wrong_kind(key)
            # A blank name is none: forms send it for "nothing chosen".
            if part and part.strip():
                found.add(part)
    return tuple(sorted(found))


def _wrong_kind(key: str) -> InvalidInput:
    return InvalidInput(
        f"metadata.{key}", f"metadata.{key} must be a string, or an object with a string `id` or `value`"
    )
