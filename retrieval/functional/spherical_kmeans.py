"""Spherical k-means: clusters of directions, whose centroids are the directions of their sums.

Dhillon and Modha, "Concept Decompositions for Large Sparse Text Data using Clustering", Machine Learning 42, 2001,
section 3: https://doi.org/10.1023/A:1007612920971
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.core.protocols import NearestRow


class Clusters(NamedTuple):
    """N rows in K clusters.

    Attributes:
        centroids: [K, D] with unit norm.
        labels: [N] int64, the cluster of each row; every cluster has a row at least.
        reseeded: clusters that stood empty in the last assignment, and got a row.
    """

    centroids: Tensor
    labels: Tensor
    reseeded: int


@torch.no_grad()
def spherical_kmeans(
    rows: Tensor, clusters: int, nearest: NearestRow, generator: torch.Generator, *, iterations: int = 10
) -> Clusters:
    """Lloyd's algorithm with cosines, from random rows. On the CPU, where sums have one order and runs repeat.

    A cluster that becomes empty is re-seeded with the row that its own centroid fits worst, among the clusters that
    have another one. So no cluster is ever empty, as long as there are enough rows, alike or not.

    Args:
        rows: [N, D] on the CPU, unit norm.
        clusters: K, at most N.
        nearest: see ``NearestRow``.
        generator: of the start.
        iterations: rounds of assigning and averaging, before the last assignment.

    Raises:
        ValueError: fewer rows than clusters, or no clusters.
    """
    if not 1 <= clusters <= len(rows):
        raise ValueError(f"{len(rows)} rows cannot make {clusters} clusters.")
    centroids = rows[torch.randperm(len(rows), generator=generator)[:clusters]].clone()
    for _ in range(iterations):
        labels, _ = _assigned(rows, centroids, nearest)
        sums = torch.zeros_like(centroids).index_add_(0, labels, rows)
        # Rows that point everywhere sum up to nothing, and say no better direction.
        some = sums.norm(dim=1, keepdim=True) > 1e-12
        centroids = torch.where(some, normalize(sums, dim=1), centroids)
    labels, empty = _assigned(rows, centroids, nearest)
    for cluster in empty:
        centroids[cluster] = rows[labels == cluster][0]
    return Clusters(centroids, labels, len(empty))


def _assigned(rows: Tensor, centroids: Tensor, nearest: NearestRow) -> tuple[Tensor, list[int]]:
    """[N] nearest centroids, but for the rows that fill the empty clusters; and which those clusters are."""
    # A copy: what a search gives may be no array to write into.
    labels = torch.tensor(nearest(rows.float().numpy(), centroids.float().numpy()), dtype=torch.int64)
    counts = torch.bincount(labels, minlength=len(centroids))
    empty = torch.nonzero(counts == 0)[:, 0].tolist()
    if not empty:
        return labels, empty
    worst_first = iter((rows * centroids[labels]).sum(dim=1).argsort(stable=True).tolist())
    for cluster in empty:
        row = next(row for row in worst_first if counts[labels[row]] > 1)
        counts[labels[row]] -= 1
        counts[cluster] += 1
        labels[row] = cluster
    return labels, empty
