"""What scores mean in a gallery, measured on its own labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue, disk_full_is_said
from retrieval.core.settings import Settings
from retrieval.core.types import EmbeddingSpace, Ids, Vectors
from retrieval.evaluation.calibrate import SHOWN, calibrate
from retrieval.evaluation.retrieval import retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.words import count

_MOST_IMAGES = 50_000
_MOST_QUERIES = 2_000
"""A sample of the labelled images is searched by a sample of them: enough for a curve, and soon done."""

LEAST = 20
"""Labelled images, below which nothing is measured."""


@dataclass(frozen=True)
class LabelledSpace:
    """The labelled images that a space holds.

    Attributes:
        ids: [n] ascending.
        numbers: [n] class number of each.
        classes: labels by number.
        vectors: [n, D].
    """

    ids: Ids
    numbers: Ids
    classes: list[str]
    vectors: Vectors


def labelled_space(gallery: Gallery, space: EmbeddingSpace, label_of: dict[int, str]) -> LabelledSpace:
    """The embeddings of labelled images; where there are very many, a sample, always the same.

    Raises:
        BadValue: there are fewer than ``LEAST``, or of fewer than two labels.
    """
    there = gallery.catalog.spaces.findable(space.id)[0]
    store = gallery.store(space)
    ids = np.setdiff1d(np.intersect1d(there, np.array(sorted(label_of), np.int64)), store.missing(there))
    if len(ids) > _MOST_IMAGES:
        ids = np.sort(np.random.default_rng(0).choice(ids, _MOST_IMAGES, replace=False))
    for damaged in store.damaged(ids):
        ids = np.setdiff1d(ids, damaged)
    names = [label_of[i] for i in ids.tolist()]
    classes = sorted(set(names))
    if len(ids) < LEAST or len(classes) < 2:
        raise BadValue(
            f"The gallery has {count(len(ids), 'labelled image')} of {count(len(classes), 'label')} in the live space; "
            f"{LEAST} of two labels or more are needed.",
            "Teach some with `retrieval labels set` or `retrieval labels import`.",
        )
    number = {label: n for n, label in enumerate(classes)}
    return LabelledSpace(ids, np.array([number[name] for name in names], np.int64), classes, store.read(ids))


def calibrate_space(folder: Path, settings: Settings | None = None) -> dict[str, Any]:
    """Measure what the live space's scores mean for this gallery, on its labels, and keep that: searches show
    probabilities from now on, and say when there is nothing like the query.

    Every labelled image (or a sample of them) searches the others. The labels are those of people, tables and folders;
    where folders do not say what a picture shows, neither will the probabilities.

    Returns:
        The calibration with its reliability, JSON-ready.

    Raises:
        BadValue: too few labelled images.
        RetrievalError: no label has two images.
        GalleryBusy: another process is writing.
        EmptyGallery: nothing is indexed.
    """
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        known = labelled_space(gallery, space, gallery.catalog.labels.chosen())
        asking = np.sort(
            np.random.default_rng(1).choice(len(known.ids), min(_MOST_QUERIES, len(known.ids)), replace=False)
        )
        queries = LabelledVectors(known.vectors[asking], known.numbers[asking], known.ids[asking])
        result = retrieve(known.vectors, known.numbers, known.ids, queries, resamples=1)
        measured = calibrate(result, k=min(SHOWN, result.matches.ids.shape[1]))
        with gallery.writing():
            gallery.catalog.calibrations.add(space.id, measured.to_dict())
            gallery.catalog.seal()
        return measured.to_dict()
