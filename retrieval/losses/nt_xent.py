"""NT-Xent: each view of an image finds the other one among all views of the batch.

Chen, Kornblith, Norouzi and Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML
2020, equation 1: https://arxiv.org/abs/2002.05709
"""

import math

import torch
from torch import Tensor

from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import masked_logsumexp
from retrieval.losses.rows import mean_over_rows


@full_precision
def nt_xent(first: Tensor, second: Tensor, *, temperature: float = 0.5) -> Tensor:
    """Mean over the 2N views i, with j the other view, of -log exp(s_ij/tau) / sum over k != i of exp(s_ik/tau).

    Args:
        first: [N, D], unit norm.
        second: [N, D], unit norm; row i shows the same image as row i of ``first``.
        temperature: tau > 0.

    Returns:
        Scalar >= 0; ln(2N - 1) where all views are alike.

    Raises:
        ValueError: the two shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"Views {list(first.shape)} and {list(second.shape)} do not fit.")
    views = torch.cat([first, second])
    other = torch.arange(len(views), device=views.device).roll(len(first))

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        logits = values / temperature
        others = torch.ones(logits.shape, dtype=logits.dtype, device=logits.device)
        others.diagonal(rows.start).fill_(0)
        right = logits.gather(1, other[rows, None])[:, 0]
        losses = masked_logsumexp(logits, others) - right
        return losses.sum(), other.new_tensor(len(losses))

    return mean_over_rows(views, views, term)


def nt_xent_chance(first: Tensor, second: Tensor) -> float:
    """ln(2N - 1): what the loss of two views [N, D] is where all similarities are equal; 0 where N is 0."""
    return math.log(max(1, 2 * len(first) - 1))
