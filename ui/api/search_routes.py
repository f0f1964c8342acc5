"""Searching over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from starlette.concurrency import run_in_threadpool

from retrieval.core.text import shown
from retrieval.core.types import Filters, Region
from retrieval.workflows.bounds import day
from retrieval.workflows.queries import Example, Query
from ui.api.giving import Giving
from ui.api.models import ExampleAsked, ExamplesAsked, ImageId, ImageOut, MatchOut, SearchOptions, SearchOut
from ui.ports import Searches

_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "requestBody": {
        "description": "The bytes of an image file; whatever its type is called, its content decides.",
        "required": True,
        "content": {"application/octet-stream": _PICTURE, "image/*": _PICTURE},
    }
}

Options = Annotated[SearchOptions, InQuery()]
Of = Annotated[int, InQuery(ge=1, le=2**63 - 1, description="An image's number in the gallery.")]
Pairs = Annotated[bool, InQuery(description="Also tell what each pair of cells has to do with each other.")]


def search_routes(searcher: Searches, giving: Giving) -> APIRouter:
    """``POST /search`` and ``/search/examples``, ``POST`` and ``GET /match``.

    ``GET /images/{id}`` and ``/images/{id}/similar``, too.
    """
    routes = APIRouter(tags=["search"])

    def filters(options: SearchOptions) -> Filters:
        return Filters(
            labels=_meant(searcher, options.label),
            not_labels=_meant(searcher, options.not_label),
            under=tuple(options.under),
            min_score=options.min_score,
            after=day(options.after),
            before=day(options.before),
            min_side=options.min_side,
            max_side=options.max_side,
            min_bytes=options.min_bytes,
            max_bytes=options.max_bytes,
        )

    def find(query: Query, options: SearchOptions, *, together: bool = False) -> SearchOut:
        found = searcher.find(query, options.k, filters(options), start=options.start, together=together)
        return giving.search(found)

    @routes.post("/search", summary="The neighbours of a picture", openapi_extra=_BODY)
    async def search(request: Request, options: Options) -> SearchOut:
        picture = await request.body()
        return await run_in_threadpool(lambda: find(Query((Example(None, picture),)), options))

    @routes.post("/search/examples", summary="What is nearest to several images of the gallery")
    def by_examples(asked: ExamplesAsked) -> SearchOut:
        """Each can be a part of an image, and results can be judged. The examples themselves are left out."""
        like, unlike = (tuple(map(_example, some)) for some in (asked.like, asked.unlike))
        judged = tuple((one.image, one.relevant) for one in asked.judged)
        return find(Query(like, unlike, judged), asked, together=asked.together)

    @routes.get("/images/{image_id}/similar", summary="The neighbours of an image of the gallery")
    def similar(image_id: ImageId, options: Options) -> SearchOut:
        return find(Query((Example(image_id),)), options)

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


def _example(asked: ExampleAsked) -> Example:
    part = asked.region
    region = None if part is None else Region(part.left, part.top, part.right, part.bottom)
    return Example(asked.image, None, region)


def _meant(searcher: Searches, labels: list[str]) -> tuple[str, ...]:
    """Labels as the gallery has them: answers show some of their characters as escapes."""
    if not labels:
        return ()
    known = {shown(label): label for label, _ in searcher.labels()}
    return tuple(known.get(label, label) for label in labels)
