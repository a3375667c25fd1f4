"""Routes of `/search`."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from core.db.keyset import Window
from core.resolvers import search
from core.resolvers.search import LONGEST_QUERY
from core.resolvers.search_scope import SearchFilter
from rest_compat import examples
from rest_compat.bodies import Body, Pagination, problems
from rest_compat.dependencies import SignedIn, SignedInRoute
from rest_compat.threads import ThreadBody

router = APIRouter(
    route_class=SignedInRoute, prefix="/search", tags=["search"], responses=problems(400, 401, 413, 503)
)

_LARGEST = 100


class SearchBody(Body):
    """What to look for."""

    model_config = examples.SEARCH

    phrase: Annotated[
        str,
        Field(description=f"At most {LONGEST_QUERY} characters; a regular expression of at most 1,000, too."),
    ]
    model_id: Annotated[str | None, Field(description="Only threads whose `metadata.model` is this")] = None
    limit: Annotated[int, Field(ge=1, le=_LARGEST)] = 20


class SearchItemBody(Body):
    """A thread that fits."""

    thread: ThreadBody
    similarity: Annotated[float | None, Field(description="Null where only the expression matched")]


class SearchResultBody(Body):
    """The threads that fit, best first."""

    model_config = examples.SEARCH_RESULT

    items: list[SearchItemBody]
    pagination: Pagination
    best_similarity: float | None
    similarity_threshold: Annotated[
        float | None, Field(description="The lowest that counts beside the best similarity")
    ]
    best_distance: float | None
    distance_threshold: float | None
    min_similarity: Annotated[float | None, Field(description="The lowest that ever counts")]


@router.post("/threads")
async def search_threads(ctx: SignedIn, body: SearchBody) -> SearchResultBody:
    """The caller's threads close in meaning, or with a match of the phrase as a regular expression."""
    found = await search.search(
        ctx,
        body.phrase,
        is_pattern=True,
        wanted=SearchFilter(models=(body.model_id,) if body.model_id else ()),
        window=Window(first=body.limit),
    )
    items = [
        SearchItemBody(thread=ThreadBody.model_validate(hit.thread), similarity=hit.similarity)
        for hit in found.hits.items
    ]
    near = found.nearness
    return SearchResultBody(
        items=items,
        pagination=Pagination(total=len(items), page=1, limit=body.limit, has_more=found.hits.has_next),
        best_similarity=near.best if near else None,
        similarity_threshold=near.lowest if near else None,
        best_distance=1 - near.best if near else None,
        distance_threshold=1 - near.lowest if near else None,
        min_similarity=ctx.settings.search_min_similarity,
    )
