"""Silhouettes: does a row stand nearer to its own cluster than to the next one?

Rousseeuw, "Silhouettes: a Graphical Aid to the Interpretation and Validation of Cluster Analysis", Journal of
Computational and Applied Mathematics 20, 1987: https://doi.org/10.1016/0377-0427(87)90125-7, with the cosine distance
1 - cos. The mean distance to a cluster is then one product with the sum of its unit vectors: no pair is ever formed.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.core.types import Vectors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def silhouettes(vectors: Vectors, numbers: Ints) -> Floats:
    """s = (b - a) / max(a, b) of each row.

    a is the mean distance to the others of its cluster, b the least of the mean distances to the other clusters.

    Args:
        vectors: [N, D], unit norm.
        numbers: [N] cluster numbers.

    Returns:
        [N] in [-1, 1]; 0 for the only row of its cluster and for a row with a = b = 0, NaN where there is no other
        cluster.

    Raises:
        ValueError: shapes do not fit.
    """
    if vectors.ndim != 2 or numbers.shape != vectors.shape[:1]:
        raise ValueError(f"Vectors {vectors.shape} and cluster numbers {numbers.shape} do not fit.")
    names, member = np.unique(numbers, return_inverse=True)
    if len(names) < 2:
        return np.full(len(vectors), np.nan)
    wide = vectors.astype(np.float64)
    sums = np.zeros((len(names), vectors.shape[1]))
    np.add.at(sums, member, wide)
    sizes = np.bincount(member).astype(np.float64)
    closeness = wide @ sums.T
    rows = np.arange(len(wide))
    own = closeness[rows, member] - np.einsum("nd,nd->n", wide, wide)
    within = np.maximum(1 - own / np.maximum(sizes[member] - 1, 1), 0.0)
    distances = np.maximum(1 - closeness / sizes, 0.0)
    distances[rows, member] = np.inf
    nearest = distances.min(axis=1)
    most = np.maximum(within, nearest)
    found = np.divide(nearest - within, most, out=np.zeros(len(wide)), where=most > 0)
    return np.where(sizes[member] > 1, found, 0.0)


def two_clusters(vectors: Vectors, iterations: int = 50) -> Ints:
    """[N] 0 or 1: rows parted in two by spherical 2-means, started on both sides of the first principal component.

    Dhillon and Modha, "Concept Decompositions for Large Sparse Text Data using Clustering", Machine Learning 42, 2001.
    The same rows are parted the same way every time; 0 is the cluster of the first row.

    Args:
        vectors: [N, D], unit norm, N >= 2.
        iterations: most rounds.

    Raises:
        ValueError: fewer than two rows.
    """
    if len(vectors) < 2:
        raise ValueError(f"{len(vectors)} rows cannot be parted in two.")
    wide = vectors.astype(np.float64)
    centred = wide - wide.mean(axis=0)
    first = np.linalg.svd(centred, full_matrices=False)[2][0]
    member = (centred @ first > 0).astype(np.int64)
    for _ in range(iterations):
        if len(np.unique(member)) < 2:
            break
        centres = np.stack([wide[member == cluster].sum(axis=0) for cluster in (0, 1)])
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-300)
        again = (wide @ centres.T).argmax(axis=1).astype(np.int64)
        if np.array_equal(again, member):
            break
        member = again
    return np.asarray(member ^ member[0], dtype=np.int64)
