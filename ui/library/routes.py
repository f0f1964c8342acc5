"""Routes that give what jobs have made: a list of duplicates as a table, a finished backup. Named by job alone."""

import io
from pathlib import Path
from stat import S_ISREG

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, Response

from retrieval.core.errors import NoSuchPath
from retrieval.workflows.duplicates import kept_groups, write_csv
from retrieval.workflows.jobs import Job, Jobs, State

_FRESH = {"Cache-Control": "no-store"}


def library_routes(jobs: Jobs) -> APIRouter:
    """``GET /library/duplicates/{job}.csv`` and ``GET /library/backup/{job}``. They read, and block while they do.

    Args:
        jobs: of the gallery.
    """
    routes = APIRouter()

    @routes.get("/library/duplicates/{job_id:int}.csv")
    def duplicates(job_id: int) -> Response:
        job = _done(jobs, job_id, "duplicates")
        if job is None:
            return _missing()
        table = io.StringIO(newline="")
        write_csv(kept_groups(jobs.folder(job_id).duplicates), table)
        headers = {**_FRESH, "Content-Disposition": 'attachment; filename="duplicates.csv"'}
        # With a mark at the beginning: spreadsheets take a table without one for another alphabet.
        return Response("\ufeff" + table.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

    @routes.get("/library/backup/{job_id:int}")
    def backup(job_id: int) -> Response:
        job = _done(jobs, job_id, "backup")
        path = None if job is None else _made(job)
        if path is None:
            return _missing()
        return FileResponse(path, media_type="application/x-tar", filename=path.name, headers=_FRESH)

    return routes


def _done(jobs: Jobs, job_id: int, kind: str) -> Job | None:
    try:
        job = jobs.get(job_id)
    except NoSuchPath:
        return None
    return job if job.kind == kind and job.state is State.DONE else None


def _made(job: Job) -> Path | None:
    """The file that a backup made; nothing where another one has taken its place."""
    result = job.result or {}
    path = Path(str(result.get("file", "")))
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return None
    return path if S_ISREG(found.st_mode) and found.st_size == result.get("bytes") else None


def _missing() -> Response:
    return JSONResponse({"error": "There is no such file any more."}, 404, headers=_FRESH)
