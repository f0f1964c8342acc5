"""A queue of embeddings: the latest K of what a momentum twin gave, as negatives for the batches to come.

He, Fan, Wu, Xie and Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020, section
3.2: https://arxiv.org/abs/1911.05722
"""

import torch
from torch import Tensor, nn

from retrieval.functional.diagnostics import SAMPLE, dimension_std
from retrieval.models.seeding import seeded


class Queue(nn.Module):
    """The latest ``size`` rows of unit norm; random directions before there are so many.

    A ring: ``pointer`` is the place of the next row, and rows go on at the start where the end is reached, so that
    ``size`` need not be a multiple of the batch. Both are buffers and stand in every checkpoint.

    Args:
        size: K, at least 1.
        dimension: D.
        seed: of the first rows; the global random state is neither used nor changed.

    Attributes:
        rows: [K, D] float32, in no particular order.
        pointer: scalar int64 in [0, K).

    Raises:
        ValueError: a size below 1.
    """

    rows: Tensor
    pointer: Tensor

    def __init__(self, size: int, dimension: int, *, seed: int = 0) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"A queue has 1 row or more, not {size}.")
        with seeded(seed):
            self.register_buffer("rows", nn.functional.normalize(torch.randn(size, dimension), dim=1))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put [B, D] ``keys`` into the places of the oldest rows; of more than K, the last K."""
        size = len(self.rows)
        keys = keys[-size:].to(self.rows)
        places = (self.pointer + torch.arange(len(keys), device=self.rows.device)) % size
        self.rows.index_copy_(0, places, keys)
        self.pointer.add_(len(keys)).remainder_(size)


@torch.no_grad()
def spread_of(rows: Tensor) -> Tensor:
    """Mean standard deviation of the dimensions of [K, D] rows, of ``SAMPLE`` of them or so, times the root of D.

    About 1 for unit rows that are spread evenly, 0 for one point many times; 1 for fewer than two rows.
    """
    some = rows[:: max(1, len(rows) // SAMPLE)].float()
    return dimension_std(some).mean().to(rows.dtype) * rows.shape[1] ** 0.5 if len(some) > 1 else rows.new_ones(())
