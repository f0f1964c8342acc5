"""Negative cosine: two views of an image in one direction, and nothing that keeps other images apart.

Chen and He, "Exploring Simple Siamese Representation Learning", CVPR 2021, equation 1: https://arxiv.org/abs/2011.10566.
The squared distance of Grill et al., "Bootstrap Your Own Latent", NeurIPS 2020, equation 2
(https://arxiv.org/abs/2006.07733) is 2 + 2 times this.
"""

from torch import Tensor
from torch.linalg import vecdot

from retrieval.losses.precision import full_precision

EPSILON = 1e-12
"""Least length of a row, which keeps the gradient of a zero row finite."""


@full_precision
def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean over rows of -cos(prediction, target).

    Both sides get their gradient: what stands behind a stop-gradient, the caller detaches.

    Args:
        predictions: [N, D], of any length; a zero row counts as 0.
        targets: [N, D], likewise; row i belongs to row i of ``predictions``.

    Returns:
        Scalar in [-1, 1]; -1 where each pair is one point, as after a collapse; 0 for no rows.

    Raises:
        ValueError: the two shapes differ.
    """
    if predictions.shape != targets.shape:
        raise ValueError(f"Predictions {list(predictions.shape)} and targets {list(targets.shape)} do not fit.")
    # Three products of rows, and nothing of their size in between: normalising both sides first takes twice as long.
    cosines = vecdot(predictions, targets) * _inverse_length(predictions) * _inverse_length(targets)
    loss: Tensor = -cosines.sum() / max(1, len(predictions))
    return loss


def _inverse_length(rows: Tensor) -> Tensor:
    """[N] of [N, D]."""
    inverse: Tensor = vecdot(rows, rows).clamp_min(EPSILON**2).rsqrt()
    return inverse
