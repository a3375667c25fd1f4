"""Models: what the provider offers to the caller."""

from core.auth.permissions import check_model
from core.context import Context
from core.errors import NotAllowed, ProviderOff
from core.provider.client import Model


async def list_models(ctx: Context) -> list[Model]:
    """The models that the caller may name, in the provider's order.

    Raises `ProviderOff` while the provider is switched off, and `ProviderError`.
    """
    user = ctx.user
    if not ctx.settings.llm_enabled:
        raise ProviderOff

    def may_name(model: Model) -> bool:
        try:
            check_model(user, model.id, agents_are_models=ctx.settings.agents_are_models)
        except NotAllowed:
            return False
        return True

    return [model for model in await ctx.provider.list_models() if may_name(model)]
