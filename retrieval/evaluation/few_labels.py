"""How far a few labels go: the linear probe on class-balanced draws of the training labels.

Draws of 1 % and 10 % as in Zhai et al., "S4L: Self-Supervised Semi-Supervised Learning", ICCV 2019:
https://arxiv.org/abs/1905.03670, and Chen et al., "A Simple Framework for Contrastive Learning of Visual
Representations" (SimCLR), ICML 2020, section 6: https://arxiv.org/abs/2002.05709. There the encoder is fine-tuned on
the draw; here it stays frozen, so that the figure is the embedding's own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.linear_probe import ProbeResult, linear_probe
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.metrics import Interval, bootstrap_interval

Ints = NDArray[np.int64]

SHARES = (0.1, 0.01)
DRAWS = 5


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw.

    Attributes:
        seed: with which it was drawn.
        labels: how many images it holds.
        probe: fitted on them, measured on all test images.
    """

    seed: int
    labels: int
    probe: ProbeResult


@dataclass(frozen=True, slots=True)
class FewLabels:
    """The linear probe with a share of the labels.

    Attributes:
        share: that was asked for, in (0, 1].
        per_class: images drawn of each class; all of a class that has fewer.
        of: how many training images there are.
        draws: each with its own interval, by seed.
        accuracy: of a test image averaged over the draws, with its 95 % interval (classes resampled, then images):
            the uncertainty that comes from the test images. What comes from the draw is the spread of ``draws``.
    """

    share: float
    per_class: int
    of: int
    draws: tuple[Draw, ...]
    accuracy: Interval

    @property
    def labels(self) -> int:
        """How many images a draw holds; the same in all."""
        return self.draws[0].labels


def labels_per_class(numbers: Ints, share: float) -> int:
    """Images of each class that make up a share of all, at least 1. Raises ValueError for a share outside (0, 1].

    >>> labels_per_class(np.repeat(np.arange(4), 50), 0.1)
    5
    >>> labels_per_class(np.repeat(np.arange(4), 10), 0.01)
    1
    """
    if not 0 < share <= 1:
        raise ValueError(f"A share of the labels is above 0 and at most 1, not {share}.")
    classes = len(np.unique(numbers))
    return max(1, round(share * len(numbers) / max(1, classes)))


def class_balanced(numbers: Ints, per_class: int, seed: int) -> Ints:
    """[n] ascending places: so many of each class, drawn without replacement; all of a class that has fewer.

    Args:
        numbers: [N] class numbers.
        per_class: at least 1.
        seed: the same seed and classes give the same places.

    Raises:
        ValueError: ``per_class`` is below 1.
    """
    if per_class < 1:
        raise ValueError(f"{per_class} images of a class cannot be drawn.")
    random = np.random.default_rng(seed)
    drawn = [random.permutation(np.flatnonzero(numbers == name))[:per_class] for name in np.unique(numbers)]
    return np.sort(np.concatenate([np.empty(0, np.int64), *drawn])).astype(np.int64)


def few_labels(
    train: LabelledVectors,
    test: LabelledVectors,
    share: float,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    before_each: Callable[[int], None] = lambda _: None,
) -> FewLabels:
    """Fit the linear probe on several class-balanced draws of ``train``, and measure each on ``test``.

    The weight of the penalty is chosen within each draw (see ``linear_probe``), never on images outside it.

    Args:
        train: at least two classes.
        test: images of a class that ``train`` lacks are left out and counted.
        share: of the labels, in (0, 1]; at least one image a class is drawn whatever the share.
        draws: how many, at least 1, with the seeds ``seed``, ``seed`` + 1, ...
        seed: of the first draw and of the intervals.
        before_each: called with the number of each draw, from 0.

    Raises:
        RetrievalError: as ``linear_probe``.
        ValueError: as ``labels_per_class``, or no draw.
    """
    if draws < 1:
        raise ValueError(f"{draws} draws measure nothing.")
    per_class = labels_per_class(train.numbers, share)
    found = []
    for number in range(draws):
        before_each(number)
        places = class_balanced(train.numbers, per_class, seed + number)
        part = LabelledVectors(train.vectors[places], train.numbers[places])
        found.append(Draw(seed + number, len(places), linear_probe(part, test, seed=seed + number)))
    # Every draw has every class, so that the same test images are left out each time.
    mean = np.stack([draw.probe.classified.correct for draw in found]).mean(axis=0)
    interval = bootstrap_interval(mean, test.numbers, seed)
    return FewLabels(share, per_class, len(train), tuple(found), interval)
