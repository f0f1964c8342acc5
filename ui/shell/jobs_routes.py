"""Looking after the jobs while the server runs, and the one thing that the strip asks of them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from retrieval.core.errors import RetrievalError
from retrieval.workflows.jobs import Jobs

LOOK_SECONDS = 15.0
"""A queue that stands still, since the process of a job was killed, goes on after so long even if nobody looks."""

_log = logging.getLogger(__name__)


def jobs_routes(jobs: Jobs) -> APIRouter:
    """``POST /shell/jobs/{id}/cancel`` and ``POST /shell/jobs/{id}/resume``, which gives the number of the new job."""
    routes = APIRouter()

    @routes.post("/shell/jobs/{job_id:int}/cancel")
    def cancel(job_id: int) -> Response:
        try:
            jobs.cancel(job_id)
        except RetrievalError as error:
            return JSONResponse({"kind": error.kind}, 403 if error.kind == "read_only" else 404)
        return Response(status_code=204)

    @routes.post("/shell/jobs/{job_id:int}/resume")
    def resume(job_id: int) -> Response:
        try:
            return JSONResponse({"id": jobs.resume(job_id).id}, 202)
        except RetrievalError as error:
            return JSONResponse({"kind": error.kind}, {"read_only": 403, "no_such_path": 404}.get(error.kind, 409))

    return routes


@asynccontextmanager
async def looking_after(jobs: Jobs | None) -> AsyncIterator[None]:
    """Set the queue going again where it stands still, as long as this is entered."""
    if jobs is None:
        yield
        return
    watch = asyncio.create_task(_watch(jobs))
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


async def _watch(jobs: Jobs) -> None:
    while True:
        try:
            await run_in_threadpool(jobs.list)
        except Exception:
            _log.exception("The jobs could not be looked at.")
        await asyncio.sleep(LOOK_SECONDS)
