"""Multi-crop: two large views of an image and several small ones, and which of them learn from which.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments" (SwAV), NeurIPS 2020,
section 3.3: https://arxiv.org/abs/2006.09882
"""

from collections.abc import Callable, Sequence
from itertools import product

from torch import Tensor


def cross_pairs(teaching: int, learning: int) -> list[tuple[int, int]]:
    """(t, v) for each of the first ``teaching`` views t and each of all ``learning`` views v but t itself.

    >>> cross_pairs(2, 3)
    [(0, 1), (0, 2), (1, 0), (1, 2)]

    Raises:
        ValueError: more views teach than there are, or there is no pair.
    """
    pairs = [(t, v) for t, v in product(range(teaching), range(learning)) if t != v]
    if teaching > learning or not pairs:
        raise ValueError(f"{teaching} of {learning} views cannot teach the others.")
    return pairs


def mean_over_pairs(
    teachers: Sequence[Tensor], learners: Sequence[Tensor], loss: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Mean over ``cross_pairs`` of ``loss(learner of v, teacher of t)``.

    Args:
        teachers: of the full-size views, [B, K] each.
        learners: of all views, the full-size ones first, [B, K] each.
        loss: scalar of two [B, K].

    Raises:
        ValueError: see ``cross_pairs``.
    """
    pairs = cross_pairs(len(teachers), len(learners))
    first, *rest = (loss(learners[v], teachers[t]) for t, v in pairs)
    # Added one by one: stacking a few scalars costs more than their losses.
    return sum(rest, start=first) / len(pairs)
