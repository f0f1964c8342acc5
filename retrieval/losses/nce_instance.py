"""Noise-contrastive instance discrimination: every image is its own class, the noise comes from a memory bank.

Wu, Xiong, Yu and Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, equations
4 to 8: https://arxiv.org/abs/1805.01978. Noise is uniform, P_noise = 1/n.
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.functional.distances import widened
from retrieval.losses.nce import nce
from retrieval.losses.precision import full_precision


@full_precision
def nce_instance(
    embeddings: Tensor, ids: Tensor, noise: Tensor, *, bank: Tensor, log_z: Tensor, temperature: float = 0.07
) -> Tensor:
    """``nce`` of each embedding with its own row of the bank as data and drawn rows as noise.

    Args:
        embeddings: [B, D], unit norm.
        ids: [B] rows of the bank: which image each embedding shows.
        noise: [m] rows of the bank for all embeddings, or [B, m]; drawn evenly, with replacement.
        bank: [n, D], unit norm, the embedding that each image had when it was last seen; without gradient.
        log_z: scalar; in the paper estimated once by ``estimated_log_z``.
        temperature: tau > 0.

    Returns:
        Scalar > 0; 0 with a gradient of 0 for no embeddings.

    Raises:
        ValueError: shapes that do not fit, or no noise.
    """
    remembered = bank.detach()
    return nce(
        embeddings,
        remembered[ids],
        remembered[noise],
        1 / len(bank),
        log_z=log_z,
        temperature=temperature,
    )


@torch.no_grad()
def updated_bank(bank: Tensor, ids: Tensor, embeddings: Tensor, momentum: float = 0.5) -> Tensor:
    """The bank after a batch: momentum * old + (1 - momentum) * new for the rows seen, unit norm again.

    Args:
        bank: [n, D], left as it is.
        ids: [B] rows of it, each once.
        embeddings: [B, D], unit norm.
        momentum: in [0, 1]; 0 keeps the newest alone.

    Returns:
        [n, D].
    """
    rows = momentum * bank[ids] + (1 - momentum) * widened(embeddings).to(bank.dtype)
    return bank.index_copy(0, ids, normalize(rows, dim=1))
