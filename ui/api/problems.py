"""What goes wrong, as programs are told: a status, and a body that says what to do next."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from retrieval.core.errors import ImageError, RetrievalError
from retrieval.core.hiding import without_paths
from retrieval.core.text import shown

_log = logging.getLogger(__name__)

STATUS: Mapping[str, int] = {
    "no_such_path": 404,
    "empty_gallery": 409,
    "gallery_too_new": 503,
    "model_damaged": 500,
    "model_unsafe": 422,
    "model_unavailable": 422,
    "model_mismatch": 409,
    "disk_full": 507,
    "gallery_busy": 409,
    "gallery_damaged": 500,
    "bad_value": 422,
    "too_few_labels": 422,
    "training_failed": 500,
    "not_proven": 409,
    "read_only": 403,
    "no_grid": 422,
    "interrupted": 503,
    "image.too_large": 413,
}
"""By ``RetrievalError.kind``; all other kinds of unusable images are 422, and what has no kind of its own is 500."""


class Problem(BaseModel):
    """Why a request was not done."""

    kind: str = Field(description="What programs know it by, e.g. `gallery_busy` or `image.truncated`.")
    message: str = Field(description="What is wrong, one line.")
    hint: str = Field(description="What to do next, one line; may be empty.")


_WHEN = {
    400: "The request is not what the protocol wants.",
    401: "A user name and a password are needed (Basic).",
    403: "The server only shows, or the request comes from another site's page.",
    404: "There is no such image, job, file or folder.",
    409: "Not now: another process writes, nothing is indexed yet, or the gate refuses.",
    413: "The request, or the picture in it, is too large.",
    422: "A value cannot be used, or the bytes are no picture.",
    500: "Something is damaged, or went wrong in the program.",
    503: "The gallery cannot be served just now.",
    507: "No space is left on the disk.",
}
_IN_PLAIN_TEXT = (401, 403, 413)
RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {
        "model": Problem,
        "description": text,
        # The guards before the application answer for people.
        **({"content": {"text/plain": {"schema": {"type": "string"}}}} if code in _IN_PLAIN_TEXT else {}),
    }
    for code, text in _WHEN.items()
}
"""For the description of every route."""


def status_of(error: RetrievalError) -> int:
    """The HTTP status of an error."""
    return STATUS.get(error.kind, 422 if isinstance(error, ImageError) else 500)


def tell_problems(api: FastAPI, *, shows_paths: bool) -> None:
    """Make ``api`` answer every error with a ``Problem``.

    Args:
        api: the application.
        shows_paths: whether messages may name places of the server.
    """

    def answer(status: int, kind: str, message: str, hint: str, headers: Mapping[str, str] | None = None) -> Response:
        if not shows_paths:
            message, hint = without_paths(message), without_paths(hint)
        problem = Problem(kind=kind, message=shown(message), hint=shown(hint))
        return JSONResponse(problem.model_dump(), status, headers={**(headers or {}), "Cache-Control": "no-store"})

    @api.exception_handler(RetrievalError)
    async def known(_: Request, error: RetrievalError) -> Response:
        return answer(status_of(error), error.kind, error.message, error.hint)

    @api.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return answer(422, "bad_value", f"{where}: {first['msg']}.", "docs and openapi.json say what is taken.")

    @api.exception_handler(HTTPException)
    async def protocol(_: Request, error: HTTPException) -> Response:
        hint = "docs and openapi.json list the routes."
        return answer(error.status_code, "http", f"{HTTPStatus(error.status_code).phrase}.", hint, error.headers)

    @api.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        _log.error("The API met an unexpected error.", exc_info=error)
        return answer(500, "unexpected", "Something went wrong in the program.", "The server's terminal says more.")
