"""Routes beside the page: kept photos by their key, and the results of a search as files to take away."""

from collections.abc import Callable, Iterator, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from retrieval.core.errors import RetrievalError
from retrieval.core.text import shown
from retrieval.workflows.exporting import MOST_PICTURES, MOST_ROWS, as_csv, as_zip
from retrieval.workflows.results import Neighbour
from ui.answers import Answers
from ui.asking import Nonsense, a_key
from ui.links import read_link
from ui.notices import Refused
from ui.ports import Searches

_FRESH = {"Cache-Control": "private, no-store"}


def export_routes(searcher: Searches, answers: Answers) -> APIRouter:
    """``GET /queries/{key}``, ``GET /export.csv`` and ``GET /export.zip``; the last two take a search's link.

    Args:
        searcher: the gallery itself: it knows where the files to copy lie, also where nobody is told.
        answers: reads links, and finds as visitors do; speaks to programs.
    """
    routes = APIRouter()

    @routes.get("/queries/{key}")
    def kept(key: str) -> Response:
        try:
            picture = searcher.history.picture(a_key(key))
        except (Nonsense, RetrievalError):
            return _refused(404, "The photo is not kept.")
        # The content belongs to the key, but whoever clears the history wants it gone from browsers too.
        return Response(picture, media_type="image/jpeg", headers=_FRESH)

    def add(name: str, kind: str, most: int, write: Callable[[Sequence[Neighbour]], Iterator[bytes]]) -> None:
        def export(request: Request) -> Response:
            try:
                asked, options = read_link(request.url.query)
                found = answers.all_of(asked, options, most)
            except Nonsense:
                return _refused(400, "This is no search.")
            except (RetrievalError, Refused) as error:
                return _refused(422, str(error))
            disposition = {"Content-Disposition": f'attachment; filename="{name}"', **_FRESH}
            return StreamingResponse(write(found), media_type=kind, headers=disposition)

        routes.add_api_route(f"/export.{name.rpartition('.')[2]}", export, methods=["GET"], name=name)

    def copies(found: Sequence[Neighbour]) -> Iterator[bytes]:
        return as_zip(found, lambda one: searcher.record(one.id).paths)

    add("results.csv", "text/csv; charset=utf-8", MOST_ROWS, as_csv)
    add("results.zip", "application/zip", MOST_PICTURES, copies)
    return routes


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": shown(message)}, status, headers=_FRESH)
