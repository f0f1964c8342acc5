"""The entries of a square matrix beside its diagonal: what decorrelating losses press towards 0."""

from torch import Tensor


def off_diagonal(matrix: Tensor) -> Tensor:
    """[D - 1, D] of [D, D]: every entry beside the diagonal once, as a view of a contiguous matrix."""
    size = len(matrix)
    # Without its last entry, a matrix read in rows of D + 1 has its diagonal in the first column.
    return matrix.flatten()[:-1].view(size - 1, size + 1)[:, 1:]
