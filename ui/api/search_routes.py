"""Searching over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from retrieval.core.text import shown
from retrieval.core.types import Filters
from retrieval.workflows.queries import Example
from ui.api.giving import Giving
from ui.api.models import ImageId, ImageOut, MatchOut, SearchOptions, SearchOut
from ui.ports import Searches

_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "description": "The bytes of an image file; whatever its type is called, its content decides.",
        "required": True,
        "content": {"application/octet-stream": _PICTURE, "image/*": _PICTURE},
    }
}

Options = Annotated[SearchOptions, Query()]
Of = Annotated[int, Query(ge=1, le=2**63 - 1, description="An image's number in the gallery.")]
Pairs = Annotated[bool, Query(description="Also tell what each pair of cells has to do with each other.")]


def search_routes(searcher: Searches, giving: Giving) -> APIRouter:
    """``POST /search``, ``POST`` and ``GET /match``, ``GET /images/{id}/similar`` and ``GET /images/{id}``."""
    routes = APIRouter(tags=["search"])

    def filters(options: SearchOptions) -> Filters:
        return Filters(
            labels=_meant(searcher, options.label),
            not_labels=_meant(searcher, options.not_label),
            under=tuple(options.under),
            min_score=options.min_score,
        )

    @routes.post("/search", summary="The neighbours of a picture", openapi_extra=_BODY)
    async def search(request: Request, options: Options) -> SearchOut:
        picture = await request.body()
        found = await run_in_threadpool(lambda: searcher.by_image(picture, options.k, filters(options)))
        return giving.search(found)

    @routes.get("/images/{image_id}/similar", summary="The neighbours of an image of the gallery")
    def similar(image_id: ImageId, options: Options) -> SearchOut:
        return giving.search(searcher.by_id(image_id, options.k, filters(options)))

    @routes.get("/images/{image_id}", summary="An image of the gallery")
    def image(image_id: ImageId) -> ImageOut:
        return giving.image(searcher.record(image_id))

    @routes.post("/match", summary="Where a picture and an image match", openapi_extra=_BODY)
    async def match(request: Request, image: Of, pairs: Pairs = False) -> MatchOut:
        picture = await request.body()
        found = await run_in_threadpool(lambda: searcher.explain(Example(None, picture), image))
        return giving.match(found, pairs=pairs)

    @routes.get("/match", summary="Where two images of the gallery match")
    def match_images(query: Of, image: Of, pairs: Pairs = False) -> MatchOut:
        return giving.match(searcher.explain(Example(query), image), pairs=pairs)

    return routes


def _meant(searcher: Searches, labels: list[str]) -> tuple[str, ...]:
    """Labels as the gallery has them: answers show some of their characters as escapes."""
    if not labels:
        return ()
    known = {shown(label): label for label, _ in searcher.labels()}
    return tuple(known.get(label, label) for label in labels)
