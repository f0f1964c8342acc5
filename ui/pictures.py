"""Routes that give pictures by image id. No path of the file system can be named here."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from retrieval.core.errors import ImageError, NoSuchPath, RetrievalError
from retrieval.core.hiding import without_paths
from retrieval.core.text import shown
from ui.addresses import Addresses
from ui.ports import Kind, Pictures

_LARGEST_ID = 2**63 - 1
_YEAR = 365 * 24 * 3600


def picture_routes(views: Pictures, addresses: Addresses) -> APIRouter:
    """``GET /images/{id}/thumbnail`` and ``GET /images/{id}/full``.

    Decoding blocks, so the endpoints are plain functions: the server runs them in its thread pool.

    Args:
        views: the pictures.
        addresses: under which they last; from now on others after each restore of the gallery.
    """
    addresses.follow(lambda: views.generation)
    routes = APIRouter()

    def add(kind: Kind) -> None:
        def picture(image_id: int, request: Request) -> Response:
            return _answer(views, addresses, image_id, kind, request)

        routes.add_api_route(f"/images/{{image_id:int}}/{kind}", picture, methods=["GET", "HEAD"], name=kind)

    add("thumbnail")
    add("full")
    return routes


def _answer(views: Pictures, addresses: Addresses, image_id: int, kind: Kind, request: Request) -> Response:
    if not 0 <= image_id <= _LARGEST_ID:
        return _missing(404, f"The gallery has no image {image_id}."[:80])
    try:
        etag = views.etag(image_id, kind)
        # Only now: it is by reading that a restore is noticed.
        headers = _headers(etag, addresses.version, request)
        if _is_known(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        view = views.view(image_id, kind)
    except NoSuchPath as error:
        return _missing(404, error.message)
    except ImageError as error:
        return _missing(422, error.message)
    except RetrievalError as error:
        # The gallery itself, and perhaps not for long: it is busy, or being restored.
        return _missing(503, error.message)
    return Response(view.content, media_type=view.mime, headers={**headers, "ETag": view.etag})


def _headers(etag: str, version: str, request: Request) -> dict[str, str]:
    lasting = request.query_params.get("v") == version
    return {
        "ETag": etag,
        "Cache-Control": f"private, max-age={_YEAR}, immutable" if lasting else "private, no-cache",
        "Content-Disposition": "inline",
    }


def _is_known(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag.removeprefix("W/") in tags or tags == ["*"]


def _missing(status: int, message: str) -> Response:
    # A drive may come back: what is missing now must not be remembered.
    return JSONResponse({"error": shown(without_paths(message))}, status, headers={"Cache-Control": "no-store"})
