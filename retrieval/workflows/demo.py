"""The demonstration: the project's own sample images, an encoder that needs no network, one search, one lesson."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.core.errors import BadValue, EmptyGallery, Interrupted, RetrievalError, disk_full_is_said
from retrieval.core.text import shown
from retrieval.core.types import EmbeddingSpace
from retrieval.datasets.samples import samples_folder
from retrieval.models.starter import STARTER, starter_card
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.results import SearchResult
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.searching import Searcher

if TYPE_CHECKING:
    from retrieval.workflows.training import TrainingHooks

__all__ = ["DEMO_MODEL", "demo_model", "lesson", "refuse_other_pictures", "sample_query", "samples_folder"]

DEMO_MODEL = STARTER
DEMO_RECIPE = "quick-head"


def demo_model(folder: Path) -> str | None:
    """The encoder to index the samples with: ``DEMO_MODEL``, or None in a gallery that was switched to another one.

    Args:
        folder: the demo's gallery, which may not be there yet.

    Raises:
        GalleryTooNew, GalleryDamaged: see ``Catalog``.
    """
    try:
        with Gallery(folder) as gallery:
            live = gallery.catalog.spaces.live()
    except EmptyGallery:
        return DEMO_MODEL
    # Where it is the demo's own it is named all the same: so a damaged copy of it is made anew. The one that an earlier
    # version of the program brought is another encoder.
    return DEMO_MODEL if live is None or live.fingerprint == starter_card().fingerprint else None


def has_earlier_starter(space: EmbeddingSpace) -> bool:
    """Whether a demo's space is of the starter that an earlier version of the program brought."""
    return space.model == DEMO_MODEL and space.fingerprint != starter_card().fingerprint


def refuse_other_pictures(folder: Path) -> None:
    """The sample images must not land among somebody's own.

    Args:
        folder: the gallery that was named for the demo, which may not be there yet.

    Raises:
        BadValue: it holds images, and the samples are not among them.
        GalleryTooNew, GalleryDamaged: see ``Catalog``.
    """
    try:
        with Gallery(folder) as gallery:
            live = gallery.catalog.spaces.live()
            if live is None or not gallery.catalog.coverage.count(live.id)[1] or _holds_samples(gallery, live):
                return
    except EmptyGallery:
        return
    raise BadValue(
        f"The gallery {shown(str(folder))} holds other images than the demo's.",
        "Leave out --gallery, or name an empty folder: the samples shall not land among them.",
    )


def _holds_samples(gallery: Gallery, live: EmbeddingSpace) -> bool:
    """Whether the demo has filled a gallery; the samples may lie elsewhere since, or have been drawn anew."""
    samples = samples_folder()
    if any(root.path == os.fsencode(samples) for root in gallery.catalog.roots.all()):
        return True
    with gallery.catalog.images.known_contents(live.id) as known:
        return any(hashlib.sha256(path.read_bytes()).digest() in known for path in samples.glob("*/*.jpg"))


def _drawing() -> str:
    """Eight hexadecimal digits that tell one drawing of the samples from another."""
    drawn = hashlib.sha256()
    for path in sorted(samples_folder().glob("*/*.jpg")):
        drawn.update(hashlib.sha256(path.read_bytes()).digest())
    return drawn.hexdigest()[:8]


def sample_query(searcher: Searcher, k: int = 5) -> tuple[str, SearchResult]:
    """The path of one sample image and its neighbours, itself left out."""
    image_id = searcher.samples(3)[1]
    return searcher.record(image_id).paths[0], searcher.by_id(image_id, k)


def lesson(gallery: Path, fingerprint: str, hooks: "TrainingHooks") -> tuple[Path, dict[str, Any]]:
    """Train a projection on the sample images' labels, beside the gallery; a second call only reads what it brought.

    Args:
        gallery: the demo's gallery, indexed.
        fingerprint: of its live space; after a change of the encoder, or of the samples, the lesson is held again.
        hooks: who to talk to.

    Returns:
        The run's folder and its metrics.

    Raises:
        Interrupted, DiskFull: what was done is kept, and the same call goes on from there.
        BadValue: see ``training.train``.
    """
    run = RunFolder(gallery.with_name(f"{gallery.name}-{DEMO_RECIPE}-{fingerprint[:8]}-{_drawing()}"))
    try:
        return run.folder, dict(run.read("metrics.json"))
    except RetrievalError:
        pass
    from retrieval.workflows.recipes import load_recipe
    from retrieval.workflows.training import Request, train

    asked = Request("gallery", load_recipe(DEMO_RECIPE), run.folder, gallery=gallery, resume=True)
    try:
        # What the training says of going on names an option of `retrieval train`.
        with disk_full_is_said(str(run.folder), "run the same command again"):
            return run.folder, train(asked, hooks=hooks).metrics
    except Interrupted as error:
        raise Interrupted(error.message, "The same command goes on from here.") from error
