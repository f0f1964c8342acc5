"""The gallery's state and its labels over HTTP."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query

from retrieval.core.text import shown
from ui.api.giving import Giving
from ui.api.models import LabelOut, LabelsAsked, LabelsChanged, OperationOut, StatusOut, UndoAsked
from ui.ports import Searches

Allowed = Callable[[], None]


def gallery_routes(gallery: Path, searcher: Searches, giving: Giving, may_write: Allowed) -> APIRouter:
    """``GET /status``, ``GET`` and ``POST /labels``, ``GET /labels/history``, ``POST /labels/undo``.

    Args:
        gallery: its folder.
        searcher: the gallery, opened.
        giving: makes the answers.
        may_write: raises for those who may not.
    """
    routes = APIRouter()
    writes = [Depends(may_write)]

    @routes.get("/status", tags=["gallery"], summary="What the gallery holds")
    def status() -> StatusOut:
        return state_of(gallery, searcher, giving)

    @routes.get("/labels", tags=["labels"], summary="The labels in use, most frequent first")
    def labels() -> list[LabelOut]:
        return labels_in_use(gallery)

    @routes.post("/labels", tags=["labels"], summary="Say what images show, or do not", dependencies=writes)
    def set_labels(asked: LabelsAsked) -> LabelsChanged:
        return change_labels(gallery, asked)

    @routes.get("/labels/history", tags=["labels"], summary="The operations on labels, newest first")
    def history(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[OperationOut]:
        from retrieval.workflows.labels import history as operations

        newest = operations(gallery)[:limit]
        return [OperationOut.model_validate({**asdict(one), "at": one.at.replace(tzinfo=UTC)}) for one in newest]

    @routes.post("/labels/undo", tags=["labels"], summary="Take back an operation", dependencies=writes)
    def undo(asked: Annotated[UndoAsked, Body(default_factory=UndoAsked)]) -> LabelsChanged:
        from retrieval.workflows.labels import undo as take_back

        _, done = take_back(gallery, asked.operation)
        return LabelsChanged.model_validate(done.to_dict())

    return routes


def state_of(gallery: Path, searcher: Searches, giving: Giving) -> StatusOut:
    """What the gallery holds. Raises EmptyGallery."""
    from retrieval.workflows.status import status

    found, summary = status(gallery), searcher.summary()
    return StatusOut(
        images=found.images,
        findable=summary.images,
        files=found.files,
        failed=found.failed,
        missing=found.missing,
        offline_files=found.offline_files,
        model=shown(summary.model),
        trained=summary.trained,
        fingerprint=summary.fingerprint,
        index=summary.index,
        bytes=found.bytes,
        agree=found.agree,
        problems=giving.plain(found.problems),
    )


def labels_in_use(gallery: Path) -> list[LabelOut]:
    """The labels, most frequent first. Raises EmptyGallery."""
    from retrieval.workflows.labels import list_labels

    counted = list_labels(gallery)
    return [LabelOut(label=shown(one.label), images=one.images, sources=one.sources) for one in counted]


def change_labels(gallery: Path, asked: LabelsAsked) -> LabelsChanged:
    """Give or take labels. Raises BadValue, NoSuchPath, GalleryBusy."""
    from retrieval.workflows.labels import set_label

    done = set_label(gallery, asked.images, asked.label, remove=asked.remove, only=asked.only)
    return LabelsChanged.model_validate(done.to_dict())
