"""The entries of a square matrix beside its diagonal: what decorrelating losses press towards 0."""

from torch import Tensor

LEAST_BESIDE = 0.01
"""Share of the sum over all entries that lies beside the diagonal, below which a difference has lost two digits."""


def off_diagonal(matrix: Tensor) -> Tensor:
    """[D - 1, D] of [D, D]: every entry beside the diagonal once, as a view of a contiguous matrix."""
    size = len(matrix)
    # Without its last entry, a matrix read in rows of D + 1 has its diagonal in the first column.
    return matrix.flatten()[:-1].view(size - 1, size + 1)[:, 1:]


def squared_off_diagonal(first: Tensor, second: Tensor) -> Tensor:
    """Sum over i != j of (AᵀB)_ij² for A = ``first`` and B = ``second``.

    With few rows, N <= D / 2, by the N × N matrices of dot products: the sum over all i and j is the sum over the rows'
    products of AAᵀ and BBᵀ, so that the cost is that of N² D in place of N D². At least half of that sum lies beside
    the diagonal where dimensions are alike in size, and the difference loses no digits. Where one of them is far larger
    than the others, and almost all of it lies on the diagonal, the sum is made entry by entry after all.

    Args:
        first, second: [N, D].

    Returns:
        Scalar >= 0.
    """
    if 2 * len(first) > first.shape[1]:
        return _entry_by_entry(first, second)
    of_second = second @ second.T if second is not first else None
    of_first = first @ first.T
    everything = of_first.square().sum() if of_second is None else (of_first * of_second).sum()
    beside = everything - (first * second).sum(dim=0).square().sum()
    if float(beside.detach()) < LEAST_BESIDE * float(everything.detach()):
        return _entry_by_entry(first, second)
    return beside


def _entry_by_entry(first: Tensor, second: Tensor) -> Tensor:
    return off_diagonal(first.T @ second).square().sum()
