"""Long work over HTTP."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query

from retrieval.workflows.jobs import Jobs, request_from
from ui.api.giving import Giving
from ui.api.job_bodies import AnyJobBody, IndexAsked
from ui.api.models import CancelAsked, EventsOut, JobOut

JobId = Annotated[int, Path(ge=1, le=2**53, description="The job's number.")]
Allowed = Callable[[], None]


def job_routes(jobs: Jobs, giving: Giving, may_write: Allowed) -> APIRouter:
    """``POST /index`` and ``/jobs``.

    Args:
        jobs: of the gallery.
        giving: makes the answers.
        may_write: raises for those who may not.
    """
    routes = APIRouter(tags=["jobs"])
    writes = [Depends(may_write)]

    @routes.post("/index", status_code=202, summary="Start indexing", dependencies=writes)
    def index(asked: Annotated[IndexAsked, Body(default_factory=IndexAsked)]) -> JobOut:
        return giving.job(jobs.submit(request_from("index", asked.model_dump(exclude_unset=True))))

    @routes.post("/jobs", status_code=202, summary="Start a job", dependencies=writes)
    def submit(asked: AnyJobBody) -> JobOut:
        return giving.job(jobs.submit(asked.to_request()))

    @routes.get("/jobs", summary="The jobs, newest first")
    def listed(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[JobOut]:
        return [giving.job(job) for job in jobs.list()[:limit]]

    @routes.get("/jobs/{job_id}", summary="One job")
    def one(job_id: JobId) -> JobOut:
        return giving.job(jobs.get(job_id))

    @routes.get("/jobs/{job_id}/events", summary="What a job said")
    def events(
        job_id: JobId, after: Annotated[int, Query(ge=0, le=2**53, description="`next` of the answer before.")] = 0
    ) -> EventsOut:
        found, at = jobs.events(job_id, after)
        return EventsOut(events=giving.plain(list(found)), next=at)

    @routes.post("/jobs/{job_id}/cancel", summary="Stop a job", dependencies=writes)
    def cancel(job_id: JobId, asked: Annotated[CancelAsked, Body(default_factory=CancelAsked)]) -> JobOut:
        return giving.job(jobs.cancel(job_id, at_once=asked.at_once))

    @routes.post("/jobs/{job_id}/resume", status_code=202, dependencies=writes)
    def resume(job_id: JobId) -> JobOut:
        """Do again what did not end well: a new job, which goes on where that is possible."""
        return giving.job(jobs.resume(job_id))

    return routes
