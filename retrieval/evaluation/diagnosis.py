"""One embedding looked at from all sides, with labels or without."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.core.types import Ids, Vectors
from retrieval.evaluation.granularity import Granularity, granularity
from retrieval.evaluation.invariance import Changed
from retrieval.evaluation.neighbourhood import NEIGHBOURS, neighbours, purity
from retrieval.evaluation.similarities import Similarities, labelled_similarities, unlabelled_similarities
from retrieval.functional import diagnostics
from retrieval.functional.hubness import k_occurrence, skewness
from retrieval.functional.metrics import Interval, bootstrap_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HUBS = 6
"""Strongest hubs that are shown."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How an embedding fills its space, of a fixed sample of the rows.

    Attributes:
        sample: N, rows that the values are computed from.
        dimension: D.
        alignment: mean squared distance of positive pairs; None without one.
        uniformity: with t = 2; None for one row.
        effective_rank: RankMe, not centred.
        mean_cosine: of all pairs of the sample; None for one row.
        std: [D] standard deviation of each dimension, descending.
        singular_values: [min(N, D)] descending, not centred, over their sum.
    """

    sample: int
    dimension: int
    alignment: float | None
    uniformity: float | None
    effective_rank: float
    mean_cosine: float | None
    std: Floats
    singular_values: Floats

    @property
    def most_rank(self) -> int:
        """The most that the effective rank could be, min(N, D)."""
        return min(self.sample, self.dimension)

    @property
    def rank_share(self) -> float:
        """The effective rank over the most that it could be."""
        return self.effective_rank / self.most_rank

    @property
    def relative_std(self) -> float:
        """Mean standard deviation of the dimensions times √D: about 1 where rows are spread evenly, 0 at one point."""
        return float(self.std.mean()) * float(np.sqrt(self.dimension))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        values = asdict(self)
        return values | {
            "std": self.std.tolist(),
            "singular_values": self.singular_values.tolist(),
            "relative_std": self.relative_std,
            "effective_rank_share": self.rank_share,
        }


@dataclass(frozen=True, slots=True)
class Hubness:
    """How unevenly images are found.

    Attributes:
        k: neighbours asked for.
        skewness: S_k of the k-occurrences.
        occurrence: [N] how often each image is among the k nearest of another.
    """

    k: int
    skewness: float
    occurrence: Ints

    @property
    def anti_hubs(self) -> int:
        """Images that are nobody's neighbour: no search finds them among its first k."""
        return int(np.count_nonzero(self.occurrence == 0))

    @property
    def anti_hub_share(self) -> float:
        """The same, over all images."""
        return self.anti_hubs / len(self.occurrence)

    def strongest(self, count: int = HUBS) -> list[int]:
        """Places of the images that are found most often; of equal ones the first."""
        return [int(place) for place in np.argsort(-self.occurrence, kind="stable")[:count]]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        images: N.
        labelled: how many of them have a label that is used.
        spread: of a sample.
        hubness: of all images.
        nearest: [N, k] places of each image's neighbours.
        purity: mean neighbour purity with its interval; None without labels.
        purities: [N] of each image, NaN for one without a positive; None without labels.
        numbers: [N] class numbers, -1 for none; None without labels.
        similarities: None for fewer than two images.
        granularity: None without labels.
        invariance: by change; empty where no picture could be changed.
    """

    images: int
    labelled: int
    spread: Spread
    hubness: Hubness
    nearest: Ids
    purity: Interval | None
    purities: Floats | None
    numbers: Ints | None
    similarities: Similarities | None
    granularity: Granularity | None
    invariance: Sequence[Changed] = ()

    def change(self, kind: str, strength: float) -> Changed | None:
        """What one change of the pictures does; None where it was not measured."""
        return next((c for c in self.invariance if (c.look.kind, c.look.strength) == (kind, strength)), None)

    def to_dict(self, names: Sequence[str], images: Sequence[str]) -> dict[str, Any]:
        """JSON-ready values; ``names`` of the classes, ``images`` paths of the images."""
        hubs = [{"image": images[i], "occurrence": int(self.hubness.occurrence[i])} for i in self.hubness.strongest()]
        return {
            "images": self.images,
            "labelled": self.labelled,
            "spread": self.spread.to_dict(),
            "hubness": {
                "k": self.hubness.k,
                "skewness": self.hubness.skewness,
                "anti_hubs": self.hubness.anti_hubs,
                "anti_hub_share": self.hubness.anti_hub_share,
                "hubs": hubs,
            },
            "neighbour_purity": None if self.purity is None else asdict(self.purity),
            "similarities": None if self.similarities is None else self.similarities.to_dict(),
            "granularity": None if self.granularity is None else self.granularity.to_dict(names),
            "invariance": [one.to_dict() for one in self.invariance],
        }


def diagnose(
    vectors: Vectors,
    numbers: Ints | None = None,
    subclasses: Ints | None = None,
    *,
    k: int = NEIGHBOURS,
    seed: int = 0,
) -> Diagnosis:
    """Everything that the vectors alone can tell.

    Labels count where two classes or more are named and one of them has two images; images without one stay in the
    gallery, but are asked nothing that needs a label.

    Args:
        vectors: [N, D], unit norm, N >= 2.
        numbers: [N] class numbers, -1 for none; None: nobody named any.
        subclasses: [N] numbers of finer classes, each within one class, -1 for none; None: nobody named any.
        k: neighbours of an image, at least 1.
        seed: of the intervals and of draws.

    Raises:
        ValueError: shapes do not fit, fewer than two rows, or a row is zero or not finite.
    """
    if len(vectors) < 2:
        raise ValueError(f"{len(vectors)} rows have no neighbours.")
    known = np.full(len(vectors), -1, np.int64) if numbers is None else numbers
    nearest = neighbours(vectors, k)
    occurrence = k_occurrence(nearest, len(vectors))
    rows = np.flatnonzero(known >= 0)
    usable = len(np.unique(known[rows])) > 1 and len(np.unique(known[rows])) < len(rows)
    pure = pures = fine = None
    # Labelled images are nearly always all or many: then the pairs of labels say more than those of neighbours.
    alike = labelled_similarities(vectors[rows], known[rows], seed) if usable else None
    if usable:
        pures = purity(nearest, known)
        pure = bootstrap_interval(pures, known, seed)
        among = neighbours(vectors[rows], k) if len(rows) < len(vectors) else nearest
        finer = None if subclasses is None else subclasses[rows]
        fine = granularity(vectors[rows], known[rows], among, finer, seed=seed)
    return Diagnosis(
        images=len(vectors),
        labelled=len(rows) if usable else 0,
        spread=spread(vectors, known if usable else None, seed=seed),
        hubness=Hubness(k, skewness(occurrence), occurrence),
        nearest=nearest,
        purity=pure,
        purities=pures,
        numbers=known if usable else None,
        similarities=alike or unlabelled_similarities(vectors, nearest, seed),
        granularity=fine,
    )


def spread(vectors: Vectors, numbers: Ints | None = None, *, seed: int = 0) -> Spread:
    """How rows [N, D] fill their space, of ``functional.diagnostics.SAMPLE`` of them; arguments as ``diagnose``."""
    places = diagnostics.sample(len(vectors), seed=seed)
    rows = torch.from_numpy(vectors)[places]
    labels = None if numbers is None else torch.from_numpy(numbers)[places]
    values = diagnostics.singular_values(rows).numpy()
    total = float(values.sum())
    return Spread(
        sample=len(rows),
        dimension=rows.shape[1],
        alignment=None if labels is None else _number(diagnostics.alignment(rows, labels)),
        uniformity=_number(diagnostics.uniformity(rows)),
        effective_rank=float(diagnostics.effective_rank(rows)),
        mean_cosine=_mean_cosine(rows),
        std=np.sort(diagnostics.dimension_std(rows).numpy())[::-1].copy(),
        singular_values=values / total if total > 0 else values,
    )


def _number(value: torch.Tensor) -> float | None:
    number = float(value)
    return None if np.isnan(number) else number


def _mean_cosine(rows: torch.Tensor) -> float | None:
    """Over all pairs i < j, from the length of the sum of all rows."""
    count = len(rows)
    wide = rows.double()
    squares = float(wide.square().sum())
    return None if count < 2 else (float(wide.sum(dim=0).square().sum()) - squares) / (count * (count - 1))
