"""Near-duplicates in a list of results: each copy goes below the first picture that it is a copy of.

A catalog keeps a perceptual hash of each image and no thumbnail to confirm it with, as ``datasets.grouping`` has. The
hash decides, where it says something at all, and the embedding may object: of 240 photos of flowers90 and grocery no
two have hashes within 10 bits, while their copies, saved again as JPEG of quality 30 or halved, stay within 6. The
embeddings alone would not do: the shared MobileNetV2 gives such copies cosines from 0.69 on, and different photos up to
0.90.
"""

import numpy as np

from retrieval.core.types import Ids, Vectors

BITS = 8
"""Most bits of 64 in which the hashes of two copies differ; as in ``datasets.grouping`` where something confirms."""

TELLING = 8
"""A hash with fewer bits set, or fewer not set, is that of an even picture: it says nothing, and joins nothing."""

COSINE = 0.65
"""Least cosine of two copies."""


def first_of_each(vectors: Vectors, phashes: Ids) -> Ids:
    """[n] position of the picture that each result stands below: its own where it is no copy of an earlier one.

    In order of rank, and by comparison with those that stand for themselves only: what is decided of the first results
    does not change when more of them are looked at, so that pages do not depend on each other.

    Args:
        vectors: [n, D] unit norm, best first.
        phashes: [n] int64 difference hashes.
    """
    hashes = np.asarray(phashes, np.int64).view(np.uint64)
    ones = np.bitwise_count(hashes)
    telling = (ones >= TELLING) & (ones <= 64 - TELLING)
    leaders = np.arange(len(hashes), dtype=np.int64)
    first: list[int] = []
    for place in np.flatnonzero(telling).tolist():
        known = np.array(first, np.int64)
        near = known[np.bitwise_count(hashes[known] ^ hashes[place]) <= BITS]
        same = near[vectors[near] @ vectors[place] >= COSINE]
        if len(same):
            leaders[place] = same[0]
        else:
            first.append(place)
    return leaders
