"""How well a linear classifier does on frozen embeddings.

Multinomial logistic regression, fitted to the end instead of trained for a while: the problem is convex, so L-BFGS
from zero finds the one optimum and the figure depends on no learning rate. The embeddings are standardised by mean and
standard deviation of the training part. The weight of the penalty is chosen on a held-out part of the training
images, never on the test images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from retrieval.core.errors import RetrievalError
from retrieval.evaluation.classified import Classified, classified
from retrieval.evaluation.vectors import LabelledVectors

Ints = NDArray[np.int64]

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
HELD_OUT = 0.2


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A linear probe's answers.

    Attributes:
        classified: predictions and accuracy on the test images.
        penalty: the weight that was chosen.
        held_out: accuracy on the held-out training images, one for each weight tried; empty if only one was given.
    """

    classified: Classified
    penalty: float
    held_out: dict[float, float]


def linear_probe(
    train: LabelledVectors,
    test: LabelledVectors,
    *,
    penalties: Sequence[float] = PENALTIES,
    seed: int = 0,
    iterations: int = 200,
    device: str = "cpu",
) -> ProbeResult:
    """Fit a linear classifier on ``train`` and measure it on ``test``.

    The loss is the mean cross-entropy + penalty / 2 * sum of squared weights; the biases go free.

    Args:
        train: at least two classes.
        test: images of a class that ``train`` lacks are left out and counted.
        penalties: weights to choose from, not negative; with one there is nothing to choose. A fifth of each class
            of ``train`` (none of a class with one image) is held out to choose, then everything is fitted again.
            Of equally good ones the greatest is taken.
        seed: of the held-out part and the interval.
        iterations: most L-BFGS steps of one fit.
        device: of the computation.

    Raises:
        RetrievalError: ``train`` has one class only, or no test image has a class of it.
        ValueError: dimensions do not fit, no penalty or a negative one is given, or a vector is not finite.
    """
    if not penalties or min(penalties) < 0:
        raise ValueError(f"The penalties {list(penalties)} must be at least one, and not negative.")
    if train.vectors.shape[1] != test.vectors.shape[1]:
        raise ValueError(f"Vectors of {train.vectors.shape} and {test.vectors.shape} do not fit.")
    if not (np.isfinite(train.vectors).all() and np.isfinite(test.vectors).all()):
        raise ValueError("A vector is not finite.")
    names, member = np.unique(train.numbers, return_inverse=True)
    if len(names) < 2:
        raise RetrievalError("A linear probe needs at least two labels.", "Give it images of more labels.")
    mean, deviation = train.vectors.mean(axis=0), train.vectors.std(axis=0)
    deviation[deviation == 0] = 1.0
    inputs, outputs = (
        torch.from_numpy(np.asarray((part.vectors - mean) / deviation, np.float32)).to(device) for part in (train, test)
    )
    targets = torch.from_numpy(np.asarray(member, np.int64)).to(device)
    penalty, held_out = _choose(inputs, targets, len(names), penalties, seed, iterations)
    weights = _fit(inputs, targets, len(names), penalty, iterations)
    predictions = names[_answers(weights, outputs)]
    found = classified(predictions, test.numbers, np.isin(test.numbers, names), seed)
    return ProbeResult(found, penalty, held_out)


def _choose(
    inputs: Tensor, targets: Tensor, classes: int, penalties: Sequence[float], seed: int, iterations: int
) -> tuple[float, dict[float, float]]:
    """The penalty with the best held-out accuracy, and the accuracy of each."""
    held = torch.from_numpy(_held_out(targets.cpu().numpy(), seed)).to(inputs.device)
    if len(penalties) == 1 or not held.any():
        return max(penalties), {}
    right = targets[held].cpu().numpy()
    accuracy = {}
    for penalty in sorted(set(penalties), reverse=True):
        weights = _fit(inputs[~held], targets[~held], classes, penalty, iterations)
        accuracy[penalty] = float(np.mean(_answers(weights, inputs[held]) == right))
    # max takes the first of equals, and the greatest penalty stands first.
    return max(accuracy, key=lambda penalty: accuracy[penalty]), accuracy


def _held_out(member: Ints, seed: int) -> NDArray[np.bool_]:
    """[n] a seeded fifth of each class, at least one image of it and never all."""
    random = np.random.default_rng(seed)
    held = np.zeros(len(member), dtype=np.bool_)
    for number in range(int(member.max()) + 1):
        rows = random.permutation(np.flatnonzero(member == number))
        held[rows[: max(1, round(HELD_OUT * len(rows))) if len(rows) > 1 else 0]] = True
    return held


def _fit(inputs: Tensor, targets: Tensor, classes: int, penalty: float, iterations: int) -> Tensor:
    """[D + 1, C] weights and, in the last row, biases at the optimum."""
    weights = torch.zeros(inputs.shape[1] + 1, classes, device=inputs.device, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=iterations, tolerance_grad=1e-6, tolerance_change=1e-9, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = cross_entropy(_logits(weights, inputs), targets) + penalty / 2 * weights[:-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return weights.detach()


def _logits(weights: Tensor, inputs: Tensor) -> Tensor:
    return torch.addmm(weights[-1], inputs, weights[:-1])


def _answers(weights: Tensor, inputs: Tensor) -> Ints:
    """[n] class with the greatest logit; of equal ones the lowest."""
    return np.asarray(_logits(weights, inputs).cpu().numpy().argmax(axis=1), dtype=np.int64)
