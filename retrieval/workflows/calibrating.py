"""What scores mean in a gallery, measured on its own labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue, RetrievalError, disk_full_is_said
from retrieval.core.settings import Settings
from retrieval.core.types import EmbeddingSpace, Ids, Vectors
from retrieval.evaluation.calibrate import SHOWN, Measured, calibrate
from retrieval.evaluation.retrieval import retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import Say
from retrieval.workflows.opened import read_calibration
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.run_parts import learned_from, part_ids
from retrieval.workflows.words import count, verb

_MOST_IMAGES = 50_000
_MOST_QUERIES = 2_000
"""A sample of the labelled images is searched by a sample of them: enough for a curve, and soon done."""

NEARLY_ALL = 0.9
"""Least share of a space's images that the labelled ones must be for a threshold on margins: images without a label lie
around the matches of a search, too, and lower margins that were measured without them."""

LEAST = 20
"""Labelled images, below which nothing is measured."""

_NOBODY = np.empty(0, np.int64)


class TooFewLabels(BadValue):
    """There are fewer labelled images, or labels, than it takes to measure or to compare anything."""

    @property
    def kind(self) -> str:
        """Its own: people can do something about it that has nothing to do with a value."""
        return "too_few_labels"


@dataclass(frozen=True)
class LabelledSpace:
    """The labelled images that a space holds.

    Attributes:
        ids: [n] ascending.
        numbers: [n] class number of each.
        classes: labels by number.
        vectors: [n, D].
        nearly_all: whether they are ``NEARLY_ALL`` of what a search in the space can find.
    """

    ids: Ids
    numbers: Ids
    classes: list[str]
    vectors: Vectors
    nearly_all: bool = False


def labelled_space(
    gallery: Gallery, space: EmbeddingSpace, label_of: dict[int, str], wanted: Ids = _NOBODY
) -> LabelledSpace:
    """The embeddings of labelled images; where there are very many, a sample, always the same.

    Args:
        gallery, space: which.
        label_of: the label of each image that has one.
        wanted: ids of images that belong to the sample.

    Raises:
        TooFewLabels: there are fewer than ``LEAST``, or of fewer than two labels.
    """
    there = gallery.catalog.spaces.findable(space.id)[0]
    store = gallery.store(space)
    ids = np.setdiff1d(np.intersect1d(there, np.array(sorted(label_of), np.int64)), store.missing(there))
    if len(ids) > _MOST_IMAGES:
        first = np.intersect1d(ids, wanted)
        others = np.setdiff1d(ids, first)
        ids = np.union1d(first, _sample(others, max(0, _MOST_IMAGES - len(first)), seed=0))
    for damaged in store.damaged(ids):
        ids = np.setdiff1d(ids, damaged)
    names = [label_of[i] for i in ids.tolist()]
    classes = sorted(set(names))
    if len(ids) < LEAST or len(classes) < 2:
        raise TooFewLabels(
            f"The gallery has {count(len(ids), 'labelled image')} of {count(len(classes), 'label')} in this space; "
            f"{LEAST} of two labels or more are needed.",
            "Teach some with `retrieval labels set` or `retrieval labels import`.",
        )
    number = {label: n for n, label in enumerate(classes)}
    numbers = np.array([number[name] for name in names], np.int64)
    return LabelledSpace(ids, numbers, classes, store.read(ids), len(ids) >= NEARLY_ALL * len(there))


def calibrate_among(known: LabelledSpace, asking: Ids) -> Measured:
    """What scores mean where images search all labelled ones, themselves left out.

    Every query stands for two: one that has its label in the gallery, and one whose label is held out of the whole
    gallery, whose best match of another label the threshold is fitted with. A threshold on margins is fitted only where
    nearly all that a search finds is searched here.

    Args:
        known: all that is searched.
        asking: [n] places in it of those that search; where they are very many, a sample does.

    Raises:
        RetrievalError: none of them has an image of its label there, or they are of one label.
    """
    asking = _sample(asking, _MOST_QUERIES, seed=1)
    queries = LabelledVectors(known.vectors[asking], known.numbers[asking], known.ids[asking])
    result = retrieve(known.vectors, known.numbers, known.ids, queries, margins=known.nearly_all, resamples=1)
    return calibrate(result, k=min(SHOWN, result.matches.ids.shape[1]))


def brought_calibration(
    gallery: Gallery, space: EmbeddingSpace, run: RunFolder | None, say: Say
) -> dict[str, Any] | None:
    """The calibration that a switch brings: the run's validation images search all labelled images in the new space.

    A run measures itself on its validation part alone. That does not hold for the gallery: among its many more labels
    fewer of the first matches are right, at the same score.

    Args:
        gallery: opened.
        space: the new one, filled.
        run: that made its encoder; None for a model from elsewhere, whose scores nobody has measured.
        say: told where the run's own calibration has to do.

    Returns:
        JSON-ready; None where there is none.
    """
    if run is None:
        return None
    own = _own_calibration(run, say)
    try:
        return calibrate_among(*_validating(gallery, space, part_ids(gallery, run, "val"))).to_dict()
    except RetrievalError as error:
        if own is not None:
            say(
                f"Scores are calibrated as the run measured them, which need not hold in this gallery: {error.message} "
                "`retrieval spaces --calibrate` measures on the gallery's own labels."
            )
        return own


def _validating(gallery: Gallery, space: EmbeddingSpace, ids: Ids) -> tuple[LabelledSpace, Ids]:
    """The labelled images of a space, and the places of these among them. Raises BadValue where they are too few."""
    label_of = gallery.catalog.labels.chosen()
    ids = _sample(np.intersect1d(ids, np.array(sorted(label_of), np.int64)), _MOST_QUERIES, seed=1)
    known = labelled_space(gallery, space, label_of, ids)
    asking = np.flatnonzero(np.isin(known.ids, ids))
    if len(asking) < LEAST:
        raise BadValue(
            f"Of its validation images {len(asking)} are in the gallery with a label; {LEAST} are needed.",
            "Label more images with `retrieval labels set` or `retrieval labels import`.",
        )
    return known, asking


def _own_calibration(run: RunFolder, say: Say) -> dict[str, Any] | None:
    """As the run measured it, if it has one that can be used."""
    if not run.calibration.exists():
        return None
    try:
        content = run.read(run.calibration.name)
        read_calibration(content)
    except RetrievalError as error:
        say(f"The run's own calibration cannot be used: {error.message}")
        return None
    return dict(content)


def _sample(ids: Ids, most: int, seed: int) -> Ids:
    """At most so many of these, in ascending order."""
    return ids if len(ids) <= most else np.sort(np.random.default_rng(seed).choice(ids, most, replace=False))


def held_out(known: LabelledSpace, learned: Ids) -> Ids:
    """[n] places of the images that the encoder has not learned from. On those that it has, it is right more often than
    on any that come.

    Args:
        known: labelled images.
        learned: ids, as ``run_parts.learned_from`` gives them.

    Raises:
        BadValue: there are fewer than ``LEAST``, or of fewer than two labels.
    """
    places = np.flatnonzero(~np.isin(known.ids, learned))
    labels = len(np.unique(known.numbers[places]))
    taught = len(known.ids) - len(places)
    if taught and (len(places) < LEAST or labels < 2):
        has = verb(taught, "has", "have")
        raise BadValue(
            f"{taught:,} of {count(len(known.ids), 'labelled image')} {has} trained the live encoder and would flatter "
            f"it; {len(places)} of {count(labels, 'label')} are left, {LEAST} of two labels or more are needed.",
            "Label images that it has not learned from, with `retrieval labels set` or `retrieval labels import`.",
        )
    return places


def calibrate_space(folder: Path, settings: Settings | None = None, say: Say = lambda _: None) -> dict[str, Any]:
    """Measure what the live space's scores mean for this gallery, on its labels, and keep that: searches show
    probabilities from now on, and say when there is nothing like the query.

    Every labelled image (or a sample of them) searches the others, except those that have trained the encoder: they are
    only found. The labels are those of people, tables and folders; where folders do not say what a picture shows,
    neither will the probabilities.

    Args:
        folder: the gallery's.
        settings: from the environment by default.
        say: told where it is not known which images have trained the encoder.

    Returns:
        The calibration with its reliability, JSON-ready.

    Raises:
        BadValue: too few labelled images, or too few that have not trained the encoder.
        RetrievalError: no label has two images.
        GalleryBusy: another process is writing.
        EmptyGallery: nothing is indexed.
    """
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        known = labelled_space(gallery, space, gallery.catalog.labels.chosen())
        measured = calibrate_among(known, held_out(known, learned_from(gallery, space.fingerprint, say)))
        with gallery.writing():
            gallery.catalog.calibrations.add(space.id, measured.to_dict())
            gallery.catalog.seal()
        return measured.to_dict()
