"""Where two pictures match: a cosine as a sum over pairs of cells of their feature grids.

An embedding that is made by averaging a grid of features is itself a sum over its cells, and the cosine of two of them
a sum over all pairs: Stylianou, Souvenir, Pless, "Visualizing Deep Similarity Networks", WACV 2019, section 3:
https://arxiv.org/abs/1901.00536
"""

import torch
from torch import Tensor

from retrieval.functional.distances import widened


def scaled_by_mean(cells: Tensor) -> Tensor:
    """[N, D] cells divided by the norm of their mean, whose mean has unit norm then; a mean of zero stays zero.

    What unit norm does to a mean, done to its parts: for one picture it is a division by one number.
    """
    cells = widened(cells)
    norm: Tensor = cells.mean(dim=0).norm().clamp(min=1e-12)
    return cells / norm


def pair_contributions(first: Tensor, second: Tensor) -> Tensor:
    """[N, M] what each pair of cells adds, of parts [N, D] and [M, D].

    Where the parts of each picture sum to its unit-norm embedding, all of it sums to the cosine of the two.
    """
    return widened(first) @ widened(second).T


def cell_contributions(parts: Tensor, other: Tensor) -> Tensor:
    """[N] what each cell of a picture, [N, D], adds to the cosine with another one's embedding [D].

    Where the other one's parts sum to its embedding, these are the sums of the rows of ``pair_contributions``.
    """
    return widened(parts) @ widened(other)


def coarser(grid: Tensor, most: int, *, summed: bool) -> Tensor:
    """A grid [h, w, D] with at most ``most`` cells a side, all of one size; as it is where it has no more.

    Args:
        grid: of parts.
        most: at least 1.
        summed: give sums, which keeps the sum over the grid; otherwise means. A cell that lies across two coarser ones
            is shared between them by its area.
    """
    height, width = grid.shape[:2]
    if max(height, width) <= most:
        return grid
    rows, columns = (_overlaps(length, min(length, most), summed).to(grid) for length in (height, width))
    return torch.einsum("ah,hwd,bw->abd", rows, grid, columns)


def _overlaps(fine: int, coarse: int, summed: bool) -> Tensor:
    """[coarse, fine] the share of each fine cell that lies in each coarse one; rows sum to 1 if not ``summed``."""
    edges = torch.arange(fine + 1, dtype=torch.float64) / fine
    wide = torch.arange(coarse + 1, dtype=torch.float64) / coarse
    low = torch.maximum(wide[:-1, None], edges[None, :-1])
    high = torch.minimum(wide[1:, None], edges[None, 1:])
    shares = (high - low).clamp(min=0) * fine
    return shares if summed else shares / shares.sum(dim=1, keepdim=True)
