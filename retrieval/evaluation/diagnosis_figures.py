"""The single figures of a diagnosis: their names, what they mean, and two models beside each other."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.diagnosis import Diagnosis
from retrieval.evaluation.granularity import Apart
from retrieval.functional.metrics import Interval, bootstrap_difference, bootstrap_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PerImage = tuple[Floats, Ints]
"""[N] values (NaN for an image without one) and [N] the classes by which they are resampled."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        key: in JSON.
        name: for people.
        meaning: in one line, with the range.
        share: whether it is a share in [0, 1], shown in per cent.
        value: of a diagnosis: a number, a mean with its interval, or None where it was not measured.
        per_image: what the mean is made of; None for figures that no single image has.
    """

    key: str
    name: str
    meaning: str
    share: bool
    value: Callable[[Diagnosis], float | Interval | None]
    per_image: Callable[[Diagnosis], PerImage | None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of one model, or of two.

    Attributes:
        figure: which.
        after: of the model.
        before: of the model beside it; None where there is none.
        difference: after - before, with its paired interval where single images have values; None without ``before``.
    """

    figure: Figure
    after: float | Interval
    before: float | Interval | None = None
    difference: float | Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "value": _plain(self.after),
            "against": _plain(self.before),
            "difference": _plain(self.difference),
        }


def measured(after: Diagnosis, before: Diagnosis | None = None, seed: int = 0) -> list[Measured]:
    """All figures that were measured, in the order of the table.

    Args:
        after: of the model.
        before: of another one, of the same images in the same order.
        seed: of the intervals of the differences.
    """
    found = []
    for figure in FIGURES:
        value = figure.value(after)
        if value is None:
            continue
        other = None if before is None else figure.value(before)
        change = None if before is None or other is None else _difference(figure, before, after, seed)
        found.append(Measured(figure, value, other, change))
    return found


def mean(value: float | Interval) -> float:
    """The number itself."""
    return value.mean if isinstance(value, Interval) else value


def _difference(figure: Figure, before: Diagnosis, after: Diagnosis, seed: int) -> float | Interval:
    first, second = figure.per_image(before), figure.per_image(after)
    if first is not None and second is not None and np.array_equal(np.isnan(first[0]), np.isnan(second[0])):
        return bootstrap_difference(first[0], second[0], second[1], seed)
    one, two = figure.value(before), figure.value(after)
    assert one is not None
    assert two is not None
    return mean(two) - mean(one)


def _plain(value: float | Interval | None) -> Any:
    return asdict(value) if isinstance(value, Interval) else value


def _of_labels(name: str, finer: bool = False) -> dict[str, Any]:
    """``value`` and ``per_image`` of a figure of the granularity."""

    def apart(found: Diagnosis) -> Apart | None:
        if found.granularity is None:
            return None
        return found.granularity.subclasses if finer else found.granularity.classes

    def value(found: Diagnosis) -> Interval | None:
        one = apart(found)
        interval: Interval | None = None if one is None else getattr(one, name)
        return interval

    def per_image(found: Diagnosis) -> PerImage | None:
        one = apart(found)
        return None if one is None else (one.values[name], one.numbers)

    return {"value": value, "per_image": per_image}


def _purities(found: Diagnosis) -> PerImage | None:
    if found.purities is None or found.numbers is None:
        return None
    return found.purities, found.numbers


VIEWS = ("crop", "brightness", "contrast", "saturation", "hue")
"""Kinds of changes by which training without labels makes positives, beside the left-right flip."""


def _view_distances(found: Diagnosis) -> PerImage | None:
    """Mean squared distance, 2 - 2 cos, of each changed picture to itself, over the changes that make positives."""
    views = [
        2 - 2 * one.cosines
        for one in found.invariance
        if one.look.kind in VIEWS or (one.look.kind, one.look.strength) == ("flip", 1)
    ]
    if not views:
        return None
    values = np.mean(views, axis=0)
    return values, np.arange(len(values))


def _view_alignment(found: Diagnosis) -> Interval | None:
    distances = _view_distances(found)
    return None if distances is None else bootstrap_interval(*distances, seed=0)


FIGURES: tuple[Figure, ...] = (
    Figure(
        "neighbour_purity", "Neighbour purity",
        "share of the 10 nearest that have the image's label", True,
        lambda found: found.purity, _purities,
    ),
    Figure(
        "recall_at_1", "Recall@1",
        "share of images whose first match has their label", True, **_of_labels("first"),
    ),
    Figure(
        "margin", "Margin",
        "cosine to the nearest of the label less that to the nearest of another, −2 to 2", False,
        **_of_labels("margin"),
    ),
    Figure(
        "silhouette", "Silhouette",
        "labels as clusters: 1 far apart, 0 touching, below 0 mixed", False, **_of_labels("silhouette"),
    ),
    Figure(
        "subclass_recall_at_1", "Recall@1 of sub-classes",
        "first match within the label is of the same sub-folder", True, **_of_labels("first", finer=True),
    ),
    Figure(
        "subclass_margin", "Margin of sub-classes",
        "the margin among the images of one label only", False, **_of_labels("margin", finer=True),
    ),
    Figure(
        "subclass_silhouette", "Silhouette of sub-classes",
        "sub-folders as clusters within their label", False, **_of_labels("silhouette", finer=True),
    ),
    Figure(
        "alignment", "Alignment",
        "mean squared distance of two images of a label, 0 to 4, 0 is best", False,
        lambda found: found.spread.alignment,
    ),
    Figure(
        "view_alignment", "Alignment of views",
        "mean squared distance of a picture and itself mirrored, cropped or recoloured, 0 to 4, 0 is best", False,
        _view_alignment, _view_distances,
    ),
    Figure(
        "uniformity", "Uniformity",
        "−8 to 0, the lower the more evenly spread", False, lambda found: found.spread.uniformity,
    ),
    Figure(
        "effective_rank", "Effective rank",
        "directions in use (RankMe); at most as many as images or dimensions", False,
        lambda found: found.spread.effective_rank,
    ),
    Figure(
        "relative_std", "Standard deviation × √D",
        "of the dimensions on average: 1 evenly spread, 0 collapsed", False, lambda found: found.spread.relative_std,
    ),
    Figure(
        "mean_cosine", "Mean cosine of all pairs",
        "0 evenly spread, 1 one point", False, lambda found: found.spread.mean_cosine,
    ),
    Figure(
        "order", "Order of the histograms",
        "how often a pair that belongs together is more alike than a hard one that does not; by chance far below 50 %",
        True,
        lambda found: None if found.similarities is None else found.similarities.order,
    ),
    Figure(
        "hubness", "Hubness",
        "skewness of how often images are found, 0 evenly", False, lambda found: found.hubness.skewness,
    ),
    Figure(
        "anti_hubs", "Anti-hubs",
        "images among nobody's 10 nearest", True, lambda found: found.hubness.anti_hub_share,
    ),
)  # fmt: skip
