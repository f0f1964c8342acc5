"""The temperature study: what each temperature gives, where its penalty goes, and which one to take."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.core.types import Vectors
from retrieval.evaluation.retrieval import MAP_AT_R, RECALL_AT_1, RetrievalResult
from retrieval.functional import diagnostics
from retrieval.functional.metrics import Interval, bootstrap_difference, bootstrap_interval
from retrieval.functional.temperature import effective_number, hardest_triplet, negative_weights, scaled_info_nce

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 24
FEW_CLASSES = 5
"""Labels below which intervals that resample them are said to promise little."""
LIMIT = tuple(float(value) for value in np.geomspace(1e-3, 0.3, 25))
"""Temperatures at which the limit is looked at."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One head, trained with one temperature and one seed, measured on the validation images.

    Attributes:
        temperature, seed: of the training.
        recall, precision: [Q] recall@1 and MAP@R of each query; NaN for a singleton.
        uniformity: with t = 2, of a fixed sample.
        tolerance: mean cosine of positive pairs, of the same sample.
        effective: effective number of negatives at this temperature, of the same sample, mean over anchors.
    """

    temperature: float
    seed: int
    recall: Floats
    precision: Floats
    uniformity: float
    tolerance: float
    effective: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "seed": self.seed,
            "recall_at_1": float(np.nanmean(self.recall)),
            "map_at_r": float(np.nanmean(self.precision)),
            "uniformity": self.uniformity,
            "tolerance": self.tolerance,
            "effective_negatives": self.effective,
        }


@dataclass(frozen=True, slots=True)
class AtTemperature:
    """What one temperature gives, over all seeds.

    Attributes:
        temperature: tau.
        recall, precision: recall@1 and MAP@R of a query averaged over the seeds, with the 95 % interval over the
            queries (classes resampled, then queries).
        behind: MAP@R less that of the best temperature, paired query by query; 0 for the best itself.
        uniformity, tolerance, effective: means over the seeds.
        effective_start: effective number of negatives in the embedding before any training.
        trials: by seed.
    """

    temperature: float
    recall: Interval
    precision: Interval
    behind: Interval
    uniformity: float
    tolerance: float
    effective: float
    effective_start: float
    trials: tuple[Trial, ...]

    @property
    def as_good(self) -> bool:
        """Whether it cannot be told apart from the best: the interval of the difference reaches 0."""
        return self.behind.high >= 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "temperature": self.temperature,
            "recall_at_1": asdict(self.recall),
            "map_at_r": asdict(self.precision),
            "behind_the_best": asdict(self.behind),
            "as_good_as_the_best": self.as_good,
            "uniformity": self.uniformity,
            "tolerance": self.tolerance,
            "effective_negatives": self.effective,
            "effective_negatives_before": self.effective_start,
            "seeds": [one.to_dict() for one in self.trials],
        }


@dataclass(frozen=True, slots=True)
class Penalty:
    """Where the penalty goes in one embedding, before any training.

    Attributes:
        cosines: [BINS] middles of the bins of the negatives' cosines.
        weights: by temperature: [BINS] mean weight of a negative in the bin, times the number of negatives: 1 is a fair
            share; NaN for an empty bin.
        negatives: of an anchor, on average.
        anchors: how many were looked at.
        limit: (tau, tau times InfoNCE) for each of ``LIMIT``.
        triplet: the loss with the hardest negative and margin 0, to which it tends.
    """

    cosines: Floats
    weights: dict[float, Floats]
    negatives: float
    anchors: int
    limit: tuple[tuple[float, float], ...]
    triplet: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {
            "cosines": self.cosines.tolist(),
            "weights": {f"{tau:g}": [_plain(value) for value in row] for tau, row in self.weights.items()},
            "negatives": self.negatives,
            "anchors": self.anchors,
            "limit": [{"temperature": tau, "scaled_loss": value} for tau, value in self.limit],
            "hardest_triplet": self.triplet,
        }


@dataclass(frozen=True, slots=True)
class Recommendation:
    """Which temperature to take.

    Attributes:
        temperature: with the highest MAP@R on validation.
        as_good: those that cannot be told apart from it, itself included, ascending.
        liked: of how many seeds it is the best one, and
        seeds: how many there are.
        at_end: ``"low"`` or ``"high"`` where it is the smallest or the largest that was tried, else None.
        classes: labels of the validation queries.
    """

    temperature: float
    as_good: tuple[float, ...]
    liked: int
    seeds: int
    at_end: str | None
    classes: int

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        return "Its MAP@R on the validation images is the highest of those tried."

    @property
    def uncertainty(self) -> str:
        """How sure that is, in a sentence or three."""
        others = [f"{tau:g}" for tau in self.as_good if tau != self.temperature]
        said = f"It is the best for {self.liked} of {self.seeds} seeds."
        if others:
            said += f" It cannot be told apart from {_listed(others)}: the intervals of the differences reach zero."
        else:
            said += " All others are worse: the 95 % intervals of the differences lie below zero."
        if self.at_end is not None:
            end, way = {"low": ("smallest", "smaller"), "high": ("largest", "larger")}[self.at_end]
            said += f" It is the {end} that was tried: the best may be {way} still."
        if self.classes < FEW_CLASSES:
            said += f" Only {self.classes} labels validate: intervals over so few promise little."
        return said

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {**asdict(self), "reason": self.reason, "uncertainty": self.uncertainty}


def trial(temperature: float, seed: int, vectors: Vectors, numbers: Ints, result: RetrievalResult) -> Trial:
    """Measure one trained head.

    Args:
        temperature, seed: of its training.
        vectors: [N, D] its embeddings of the validation images, unit norm.
        numbers: [N] their class numbers.
        result: of the validation queries.
    """
    places = diagnostics.sample(len(vectors))
    rows, labels = torch.from_numpy(vectors)[places], torch.from_numpy(numbers)[places]
    return Trial(
        temperature,
        seed,
        result.values[RECALL_AT_1],
        result.values[MAP_AT_R],
        float(diagnostics.uniformity(rows)),
        float(diagnostics.tolerance(rows, labels)),
        effective_negatives(vectors, numbers, temperature),
    )


def compared(trials: Sequence[Trial], classes: Ints, start: dict[float, float], seed: int = 0) -> list[AtTemperature]:
    """Put the trials of each temperature together, and compare all with the best.

    Args:
        trials: every temperature with the same seeds, on the same queries.
        classes: [Q] the class of each query.
        start: effective number of negatives before any training, by temperature.
        seed: of the intervals.

    Returns:
        By rising temperature.

    Raises:
        ValueError: no trial, or temperatures with different seeds.
    """
    by_tau: dict[float, list[Trial]] = {}
    for one in trials:
        by_tau.setdefault(one.temperature, []).append(one)
    if not trials or len({tuple(one.seed for one in some) for some in by_tau.values()}) != 1:
        raise ValueError("Every temperature needs trials with the same seeds.")
    precision = {tau: np.mean([one.precision for one in some], axis=0) for tau, some in by_tau.items()}
    best = best_temperature({tau: float(np.nanmean(values)) for tau, values in precision.items()})
    found = []
    for tau in sorted(by_tau):
        some = by_tau[tau]
        recall = np.mean([one.recall for one in some], axis=0)
        found.append(
            AtTemperature(
                temperature=tau,
                recall=bootstrap_interval(recall, classes, seed),
                precision=bootstrap_interval(precision[tau], classes, seed),
                behind=bootstrap_difference(precision[best], precision[tau], classes, seed),
                uniformity=float(np.mean([one.uniformity for one in some])),
                tolerance=float(np.mean([one.tolerance for one in some])),
                effective=float(np.mean([one.effective for one in some])),
                effective_start=start[tau],
                trials=tuple(some),
            )
        )
    return found


def best_temperature(values: dict[float, float]) -> float:
    """The temperature with the greatest value; of equal ones the largest, which is the gentlest.

    >>> best_temperature({0.05: 0.4, 0.1: 0.5, 0.2: 0.5})
    0.2
    """
    return max(values, key=lambda tau: (values[tau], tau))


def recommend(found: Sequence[AtTemperature]) -> Recommendation:
    """The recommendation from what ``compared`` gave, at least one temperature."""
    best = best_temperature({one.temperature: one.precision.mean for one in found})
    seeds = range(len(found[0].trials))
    liked = [
        best_temperature({one.temperature: float(np.nanmean(one.trials[n].precision)) for one in found}) for n in seeds
    ]
    taus = [one.temperature for one in found]
    at_end = None if len(taus) < 2 else "low" if best == min(taus) else "high" if best == max(taus) else None
    as_good = tuple(one.temperature for one in found if one.as_good)
    return Recommendation(best, as_good, liked.count(best), len(seeds), at_end, found[0].precision.classes)


def penalty(vectors: Vectors, numbers: Ints, temperatures: Sequence[float]) -> Penalty:
    """Where the penalty goes, of a fixed sample of the images.

    Args:
        vectors: [N, D], unit norm.
        numbers: [N] class numbers, not negative.
        temperatures: whose weights are looked at.

    Raises:
        ValueError: no image of the sample has both a positive and a negative.
    """
    scores, positive, negative = _sampled(vectors, numbers)
    limit = tuple((tau, scaled_info_nce(scores, positive, negative, tau)) for tau in LIMIT)
    edges = np.linspace(scores[negative].min(), max(scores[negative].max(), scores[negative].min() + 1e-6), BINS + 1)
    member = np.clip(np.searchsorted(edges, scores[negative], side="right") - 1, 0, BINS - 1)
    counts = np.bincount(member, minlength=BINS)
    each = negative.sum(axis=1)
    weights = {}
    for tau in temperatures:
        fair = (negative_weights(scores, negative, tau) * each[:, None])[negative]
        sums = np.bincount(member, weights=fair, minlength=BINS)
        weights[tau] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    triplet = hardest_triplet(scores, positive, negative)
    return Penalty((edges[1:] + edges[:-1]) / 2, weights, float(each.mean()), len(scores), limit, triplet)


def effective_negatives(vectors: Vectors, numbers: Ints, temperature: float) -> float:
    """Mean over the images of a fixed sample of the effective number of negatives; NaN where there is no negative."""
    scores, _, negative = _sampled(vectors, numbers)
    found = effective_number(negative_weights(scores, negative, temperature))
    return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")


def _sampled(vectors: Vectors, numbers: Ints) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    """[n, n] cosines of a sample with its positives and negatives."""
    places = diagnostics.sample(len(vectors)).numpy()
    rows, labels = vectors[places].astype(np.float64), numbers[places]
    alike = labels[:, None] == labels[None]
    return rows @ rows.T, alike & ~np.eye(len(rows), dtype=np.bool_), ~alike


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
