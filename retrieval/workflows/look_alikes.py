"""Groups of unlabelled images that look alike: name a group once, and all its pictures are labelled.

The groups are clusters of the embeddings by spherical k-means (Dhillon and Modha 2001). How many there are is decided
by the mean silhouette (Rousseeuw 1987) among a few numbers that make groups of a size a person takes in at a glance.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.core.settings import Settings
from retrieval.core.types import Ids, Vectors
from retrieval.functional.silhouette import silhouettes
from retrieval.functional.spherical_kmeans import spherical_kmeans
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.unlabelled import unlabelled

MOST_IMAGES = 3_000
"""Unlabelled images that are looked at; where there are more, a random sample of them."""

SIZES = (24, 16, 12, 8, 6)
"""Images a group on average, among which the silhouette decides."""

SHOWN = 24
"""Images of a group that are shown, and so are labelled: those nearest to its centre."""

LEAST = 3
"""Images that make a group."""

MOST_GROUPS = 30

_ROUNDS = 15


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Some of a gallery's unlabelled images, in groups.

    Attributes:
        groups: [G] ids of images that look alike, those nearest to the centre first, at most ``SHOWN`` each; the
            groups with the most clear members first, at most ``MOST_GROUPS``.
        clusters: into how many the images were parted.
        looked_at: images that were.
        of: unlabelled images in all.
    """

    groups: tuple[tuple[int, ...], ...]
    clusters: int
    looked_at: int
    of: int


def look_alikes(
    folder: Path, *, under: str = "", most: int = MOST_IMAGES, seed: int = 0, settings: Settings | None = None
) -> LookAlikes:
    """Group the images that nobody has labelled.

    Args:
        folder: the gallery's.
        under: only images in this folder; empty for all.
        most: images to look at.
        seed: of the sample and of the clusters' start; another one gives other groups.
        settings: from the environment by default.

    Raises:
        EmptyGallery: nothing is indexed.
    """
    with Gallery(folder, settings) as gallery:
        found = unlabelled(gallery, most, under=under, seed=seed)
    if len(found.ids) < LEAST:
        return LookAlikes((), 0, len(found.ids), found.of)
    vectors = found.vectors / np.maximum(np.linalg.norm(found.vectors, axis=1, keepdims=True), 1e-12)
    numbers, clear = parted(vectors, seed)
    groups = _groups(found.ids, vectors, numbers, clear)
    return LookAlikes(groups, int(numbers.max()) + 1, len(found.ids), found.of)


def parted(vectors: Vectors, seed: int = 0) -> tuple[Ids, NDArray[np.float64]]:
    """The best of a few partitions by its mean silhouette; of equal ones that with fewer clusters.

    Args:
        vectors: [N, D], unit norm, N >= 2.
        seed: of the starts.

    Returns:
        [N] cluster numbers, [N] silhouettes.
    """
    rows = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))
    best: tuple[float, Ids, NDArray[np.float64]] | None = None
    for clusters in sorted({max(2, len(rows) // size) for size in SIZES}):
        generator = torch.Generator().manual_seed(seed)
        found = spherical_kmeans(rows, clusters, _nearest, generator, iterations=_ROUNDS)
        numbers = found.labels.numpy().astype(np.int64)
        values = silhouettes(vectors, numbers)
        mean = float(np.nan_to_num(values).mean())
        if best is None or mean > best[0] + 1e-9:
            best = (mean, numbers, np.nan_to_num(values))
    assert best is not None
    return best[1], best[2]


def _nearest(queries: Vectors, base: Vectors) -> Ids:
    """See ``NearestRow``: a few thousand rows and a few hundred centres are one product."""
    return np.asarray((queries @ base.T).argmax(axis=1), np.int64)


def _groups(ids: Ids, vectors: Vectors, numbers: Ids, clear: NDArray[np.float64]) -> tuple[tuple[int, ...], ...]:
    ranked = []
    for number in np.unique(numbers).tolist():
        members = np.flatnonzero(numbers == number)
        centre = vectors[members].sum(axis=0)
        # Of equal nearness the lower id comes first.
        nearest = members[np.lexsort((ids[members], -(vectors[members] @ centre)))][:SHOWN]
        # How many clearly belong together, by halves and quarters as they do.
        worth = float(np.maximum(clear[nearest], 0).sum())
        if len(nearest) >= LEAST and worth > 0:
            ranked.append((-worth, tuple(ids[nearest].tolist())))
    return tuple(group for _, group in sorted(ranked)[:MOST_GROUPS])
