"""Looking after the gallery over HTTP: its folders, failed files, duplicates, labels as a table, and spaces."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.core.text import shown
from retrieval.workflows.jobs import Jobs, State
from retrieval.workflows.label_check import Doubt, Outlier
from ui.api.giving import Giving
from ui.api.job_routes import JobId
from ui.api.upkeep_models import (
    CopyOut,
    DuplicatesOut,
    FailedOut,
    FailureReason,
    FailuresOut,
    FolderId,
    FolderOut,
    Forgotten,
    LabelCheckOut,
    RolledBack,
    SpaceOut,
)

Allowed = Callable[[], None]
First = Annotated[int, Query(ge=0, le=2**31 - 1, description="Place of the first one, from 0.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]


def upkeep_routes(gallery: Path, jobs: Jobs, giving: Giving, may_write: Allowed) -> APIRouter:
    """``/folders``, ``/failures``, ``duplicates`` and ``label-check`` of ``/jobs/{id}``, ``/labels.csv``, ``/spaces``.

    Args:
        gallery: its folder.
        jobs: of the gallery.
        giving: makes the answers.
        may_write: raises for those who may not.
    """
    routes = APIRouter()
    _add_folders(routes, gallery, giving, may_write)
    _add_lists(routes, gallery, jobs, giving)
    _add_spaces(routes, gallery, giving, may_write)
    return routes


def _add_folders(routes: APIRouter, gallery: Path, giving: Giving, may_write: Allowed) -> None:
    from retrieval.workflows.upkeep import failure_page, list_roots, remove_root

    @routes.get("/folders", tags=["folders"], summary="The folders of the gallery, looked at just now")
    def folders() -> list[FolderOut]:
        return [
            FolderOut.model_validate({**asdict(root), "path": giving.path(root.path), "why": giving.plain(root.why)})
            for root in list_roots(gallery)
        ]

    @routes.post(
        "/folders/{folder_id}/remove", tags=["folders"], summary="Forget a folder", dependencies=[Depends(may_write)]
    )
    def remove(folder_id: FolderId) -> Forgotten:
        """The records of its files go, with the labels that only they carry. The files themselves are not touched."""
        path = next((root.path for root in list_roots(gallery) if root.id == folder_id), None)
        if path is None:
            raise NoSuchPath(f"The gallery has no folder {folder_id}.", "`/folders` lists them.")
        return Forgotten(files=remove_root(gallery, Path(path)))

    @routes.get("/failures", tags=["folders"], summary="Files that could not be used")
    def failures(first: First = 0, limit: Limit = 100, reason: FailureReason | None = None) -> FailuresOut:
        page = failure_page(gallery, first, limit, reason)
        files = [
            FailedOut(
                path=giving.path(file.path),
                reason=file.reason,
                message=str(giving.plain(shown(file.message))),
                hint=str(giving.plain(shown(file.hint))),
            )
            for file in page.files
        ]
        return FailuresOut(reasons=dict(page.reasons), files=files, first=page.first, total=page.total)


def _add_lists(routes: APIRouter, gallery: Path, jobs: Jobs, giving: Giving) -> None:
    @routes.get("/jobs/{job_id}/duplicates", tags=["jobs"], summary="What a job found to be there twice")
    def duplicates(job_id: JobId, first: First = 0, limit: Limit = 100) -> DuplicatesOut:
        from retrieval.workflows.duplicates import kept_groups

        job = jobs.get(job_id)
        if job.kind != "duplicates" or job.state is not State.DONE:
            raise BadValue(f"Job {job_id} has found no duplicates.", "Ask for one that looked for them and is done.")
        groups = kept_groups(jobs.folder(job_id).duplicates)
        page = [
            [CopyOut.model_validate({**asdict(copy), "image": copy.image_id, "path": giving.path(copy.path)})
             for copy in group]
            for group in groups[first : first + limit]
        ]  # fmt: skip
        return DuplicatesOut(groups=page, total=len(groups))

    @routes.get("/jobs/{job_id}/label-check", tags=["jobs"], summary="Labels that a job found to be probably wrong")
    def label_check(job_id: JobId) -> LabelCheckOut:
        """And images that are like no other. Which doubts still wait for an answer is as of now."""
        from retrieval.workflows.label_doubts import kept_check, open_doubts

        job = jobs.get(job_id)
        found = kept_check(jobs.folder(job_id).label_check) if job.state is State.DONE else None
        if job.kind != "label-check" or found is None:
            raise BadValue(f"Job {job_id} has checked no labels.", "Ask for one that checked them and is done.")
        waiting = {one.image_id for one in open_doubts(gallery, found.doubts)}
        doubts = [
            {**_placed(one, giving), "label": shown(one.label), "instead": shown(one.instead),
             "waits": one.image_id in waiting}
            for one in found.doubts
        ]  # fmt: skip
        outliers = [_placed(one, giving) for one in found.outliers]
        return LabelCheckOut.model_validate({**asdict(found), "doubts": doubts, "outliers": outliers})

    table = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "The table."}}

    @routes.get(
        "/labels.csv",
        tags=["labels"],
        summary="The labels as a table",
        response_class=Response,
        responses=table,  # type: ignore[arg-type]
    )
    def labels(
        automatic: Annotated[bool, Query(description="With those that nobody has confirmed.")] = False,
    ) -> Response:
        """A row for each file, label and source, as an import takes it."""
        from retrieval.workflows.labels import export_csv

        giving.require_paths()
        with tempfile.TemporaryDirectory(prefix="retrieval-labels-") as scratch:
            path = Path(scratch) / "labels.csv"
            export_csv(gallery, path, automatic=automatic)
            content = path.read_bytes()
        headers = {"Content-Disposition": 'attachment; filename="labels.csv"', "Cache-Control": "no-store"}
        return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


def _placed(one: Doubt | Outlier, giving: Giving) -> dict[str, Any]:
    return {**asdict(one), "image": one.image_id, "path": giving.path(one.path)}


def _add_spaces(routes: APIRouter, gallery: Path, giving: Giving, may_write: Allowed) -> None:
    from retrieval.workflows import spaces as workflow

    @routes.get("/spaces", tags=["spaces"], summary="The encoders of the gallery, oldest first")
    def spaces() -> list[SpaceOut]:
        return [
            SpaceOut.model_validate(
                {
                    **asdict(one),
                    "model": shown(one.model),
                    "run": giving.path(one.run),
                    "forced": giving.plain(list(one.forced)),
                }
            )
            for one in workflow.spaces(gallery)
        ]

    @routes.post("/spaces/rollback", tags=["spaces"], summary="Go back to the space before the last switch",
                 dependencies=[Depends(may_write)])  # fmt: skip
    def rollback() -> RolledBack:
        """Nothing is embedded; it takes seconds. Switching to another space is a `switch` job."""
        return RolledBack.model_validate(workflow.rollback(gallery).to_dict())
