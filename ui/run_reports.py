"""The report page of a training run, by the number of its job. No path can be named, and nothing in it runs."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from retrieval.core.errors import RetrievalError
from retrieval.workflows.jobs import Jobs
from retrieval.workflows.lessons import run_of

_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
_NAME = "report.html"


def report_routes(gallery: Path, jobs: Jobs) -> APIRouter:
    """``GET /teach/report/{job}``.

    The page holds names of files and labels, which are a stranger's words: it is served into a sandbox without
    scripts, forms or an origin.

    Args:
        gallery: the gallery's folder.
        jobs: its jobs.
    """
    routes = APIRouter()

    def report(number: int) -> Response:
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        try:
            run = run_of(gallery, jobs.get(number))
            content = None if run is None else (run / _NAME).read_bytes()
        except (RetrievalError, OSError):
            content = None
        if content is None:
            return PlainTextResponse(f"There is no report of job {number}.\n"[:80], 404, headers=headers)
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)

    routes.add_api_route("/teach/report/{number:int}", report, methods=["GET", "HEAD"], name="report")
    return routes
