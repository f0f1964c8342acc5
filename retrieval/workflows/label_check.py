"""Labels that are probably wrong, and images that are like nothing else.

A label is doubted where an image's nearest labelled neighbours, itself left out, contradict it in the sense of
confident learning (``functional.confident``); how sure their own word is, is measured on all labelled images. An image
is an outlier where its k-th neighbour is far (Ramaswamy, Rastogi and Shim, "Efficient Algorithms for Mining Outliers
from Large Data Sets", SIGMOD 2000).
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.settings import Settings
from retrieval.core.types import Ids, ImageRecord, Matches, Vectors
from retrieval.functional.confident import suspects
from retrieval.workflows.automatic_labels import NEIGHBOURS, measured, vote, vote_shares, without_itself
from retrieval.workflows.calibrating import LEAST, LabelledSpace, labelled_space
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.hooks import Hooks
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.opened import OpenedSpace

MOST_IMAGES = 10_000
"""Images that are looked at, of the labelled ones and of all: where there are more, a random sample."""

COUNT = 50
_BLOCK = 1_024


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label that is probably wrong.

    Attributes:
        image_id: of the image.
        path: of a file of it, as ``os.fsdecode`` gives it; empty where none is left.
        label: that it carries: a person's before a table's before a folder's.
        instead: what its neighbours say.
        confidence: chance in [0, 1] that they are right, measured on the labelled images.
        margin: share of their votes for ``instead``, less that for ``label``.
    """

    image_id: int
    path: str
    label: str
    instead: str
    confidence: float
    margin: float


@dataclass(frozen=True, slots=True)
class Outlier:
    """An image that is like few others.

    Attributes:
        image_id: of the image.
        path: of a file of it, as ``os.fsdecode`` gives it; empty where none is left.
        score: cosine to its k-th neighbour: the lower, the lonelier.
    """

    image_id: int
    path: str
    score: float


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """What was found.

    Attributes:
        doubts: labels that are probably wrong, the most clearly contradicted first.
        doubted: how many there are in all.
        labelled: labelled images that were looked at.
        accuracy: share of right answers where these are labelled by each other.
        outliers: the loneliest images, the loneliest first.
        looked_at: images among which these are.
        images: in the gallery.
    """

    doubts: tuple[Doubt, ...]
    doubted: int
    labelled: int
    accuracy: float
    outliers: tuple[Outlier, ...]
    looked_at: int
    images: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """The numbers alone, JSON-ready."""
        return {
            "doubted": self.doubted,
            "labelled": self.labelled,
            "accuracy": self.accuracy,
            "outliers": len(self.outliers),
            "looked_at": self.looked_at,
            "images": self.images,
        }


def enough_to_check(folder: Path, settings: Settings | None = None) -> bool:
    """Whether there are labels enough for ``check_labels``; pictures are counted, none is compared.

    Args:
        folder: the gallery's.
        settings: from the environment by default.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    with Gallery(folder, settings) as gallery:
        there = gallery.catalog.spaces.findable(gallery.live_space().id)[0]
        label_of = gallery.catalog.labels.chosen()
    ids = np.intersect1d(there, np.array(sorted(label_of), np.int64))
    return len(ids) >= LEAST and len({label_of[one] for one in ids.tolist()}) >= 2


def check_labels(
    folder: Path,
    *,
    count: int = COUNT,
    most: int = MOST_IMAGES,
    settings: Settings | None = None,
    hooks: Hooks | None = None,
) -> LabelCheck:
    """Look for wrong labels and outliers. Nothing is changed. What a person has confirmed is not doubted.

    Args:
        folder: the gallery's.
        count: how many of each are given, at least 1.
        most: images to look at, labelled ones and all.
        settings: from the environment by default.
        hooks: who to talk to.

    Raises:
        BadValue: a count below 1.
        TooFewLabels: there are fewer than ``LEAST`` labelled images, or of fewer than two labels.
        EmptyGallery: nothing is indexed.
        Interrupted: it was stopped.
    """
    hooks = hooks or Hooks()
    if count < 1:
        raise BadValue(f"{count} results cannot be shown.", "Ask for 1 or more.")
    with Gallery(folder, settings) as gallery:
        space = gallery.live_space()
        known = labelled_space(gallery, space, gallery.catalog.labels.chosen())
        index = OpenedSpace(gallery, space, hooks.say).index
        asked = _sample(len(known.ids), most, 4)
        doubts, doubted, accuracy = _doubts(gallery, index, known, asked, count, hooks)
        there = gallery.catalog.spaces.findable(space.id)[0]
        there = np.setdiff1d(there, index.store.missing(there))
        looked = there[_sample(len(there), most, 5)]
        for damaged in index.store.damaged(looked):
            looked = np.setdiff1d(looked, damaged)
        outliers = _outliers(gallery, index, looked, count, hooks)
        return LabelCheck(doubts, doubted, len(asked), round(accuracy, 4), outliers, len(looked), len(there))


def _sample(number: int, most: int, seed: int) -> Ids:
    if number <= most:
        return np.arange(number)
    return np.sort(np.random.default_rng(seed).choice(number, most, replace=False)).astype(np.int64)


def _searched(
    index: LiveIndex, ids: Ids, read: Callable[[slice], Vectors], among: Ids | None, hooks: Hooks, what: str
) -> Iterator[Matches]:
    """The neighbours of images, each without itself, in blocks. Raises Interrupted."""
    for start in range(0, len(ids), _BLOCK):
        if hooks.stop():
            raise Interrupted("The check was stopped; nothing was changed.", "Start it once more.")
        hooks.working(what, start, len(ids))
        part = slice(start, start + _BLOCK)
        yield without_itself(index.search(read(part), NEIGHBOURS + 1, among), ids[part])
    hooks.working(what, len(ids), len(ids))


def _doubts(
    gallery: Gallery, index: LiveIndex, known: LabelledSpace, asked: Ids, count: int, hooks: Hooks
) -> tuple[tuple[Doubt, ...], int, float]:
    vectors = known.vectors[asked]
    blocks = list(
        _searched(index, known.ids[asked], lambda part: vectors[part], known.ids, hooks, "Comparing with the labels")
    )
    matches = Matches(np.concatenate([b.ids for b in blocks]), np.concatenate([b.scores for b in blocks]))
    found = suspects(vote_shares(matches, known), known.numbers[asked])
    # Those that have trained the encoder are doubted as well, so all of them measure what a vote is worth.
    calibration, accuracy = measured(index, known, np.arange(len(known.ids)))
    confirmed = gallery.catalog.labels.confirmed(known.ids[asked[found.rows]].tolist())
    doubted = [
        (int(known.ids[asked[row]]), known.classes[int(known.numbers[asked[row]])]) not in confirmed
        for row in found.rows.tolist()
    ]
    doubtful = np.array(doubted, bool)
    first = found.rows[doubtful][:count]
    ids = known.ids[asked[first]].tolist()
    _, evidence, _ = vote(Matches(matches.ids[first], matches.scores[first]), known)
    records = gallery.catalog.images.records(ids)
    doubts = tuple(
        Doubt(
            image_id=image_id,
            path=_path(records.get(image_id)),
            label=known.classes[int(known.numbers[asked[row]])],
            instead=known.classes[instead],
            confidence=round(calibration.probability(float(value)), 6),
            margin=round(margin, 6),
        )
        for image_id, row, instead, margin, value in zip(
            ids,
            first.tolist(),
            found.instead[doubtful].tolist(),
            found.margins[doubtful].tolist(),
            evidence.tolist(),
            strict=False,
        )
    )
    return doubts, int(doubtful.sum()), accuracy


def _outliers(gallery: Gallery, index: LiveIndex, ids: Ids, count: int, hooks: Hooks) -> tuple[Outlier, ...]:
    if len(ids) <= NEIGHBOURS:
        return ()
    far: list[float] = []
    for matches in _searched(
        index, ids, lambda part: index.store.read(ids[part]), None, hooks, "Comparing all pictures"
    ):
        far.extend(np.maximum(matches.scores[:, -1], -1.0).tolist())
    order = np.lexsort((ids, np.array(far)))[:count]
    records = gallery.catalog.images.records(ids[order].tolist())
    return tuple(Outlier(int(ids[n]), _path(records.get(int(ids[n]))), round(far[n], 6)) for n in order.tolist())


def _path(record: ImageRecord | None) -> str:
    return record.paths[0] if record is not None and record.paths else ""
