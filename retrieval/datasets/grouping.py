"""Groups of near-duplicates: re-saved, scaled or slightly retouched copies of one picture.

The perceptual hash finds candidates, a small picture confirms them. A hash alone would join different line drawings
and studio shots, most of whose bits say "no difference here"; joined in chains they would become one group.

The two thresholds were chosen on five sets of pictures (flowers, groceries, line drawings, photos, objects): of copies
that were re-saved at JPEG quality 30, halved, made into WebP or more colourful all are found, of copies cropped by 2 %
a side most; of 18,400 different pictures fewer than 50 pairs are joined, nearly all of one class.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Hashes = NDArray[np.uint64]

THUMBNAIL_SIDE = 12
"""Width and height of the RGB picture that confirms a candidate."""

DISTANCE = 8
"""Bits in which the hashes of two copies may differ, of 64, where a thumbnail confirms."""

HASH_ONLY_DISTANCE = 3
"""The same where nothing confirms."""

SIMILARITY = 0.98
"""Least correlation of two copies' thumbnails."""

_HASH_BITS = 64
_INFORMATIVE = 8
"""A hash says something only if at least so many of its bits are set and as many are not; needed without thumbnails."""
_FLAT = 1.0
"""Variance, in squared levels, below which a thumbnail shows noise: two flat pictures are not confirmed by it."""
_LARGE_RUN = 512
_MAX_DEPTH = 2
_PAIRS_AT_ONCE = 1 << 14


def near_duplicate_groups(
    phashes: Ids,
    digests: Sequence[bytes | None] | None = None,
    *,
    thumbnails: NDArray[np.uint8] | None = None,
    given: Sequence[int | None] | None = None,
    distance: int | None = None,
    similarity: float = SIMILARITY,
) -> Ids:
    """Which images belong together.

    Two images are joined if they have the same digest, the same given group, or near hashes confirmed by their
    thumbnails; groups are the connected components. The result does not depend on the order of the images, besides the
    groups' numbers. Exact: every pair of hashes within ``distance`` is found, by pieces of which at least one must be
    equal, not by comparing all pairs.

    Args:
        phashes: [N] int64 difference hashes (``retrieval.images.phash``).
        digests: SHA-256 of each image; None where it is unknown.
        thumbnails: [N, T, T, 3] uint8, T = ``THUMBNAIL_SIDE``; None takes the hash at its word, within fewer bits and
            only where it says something.
        given: group numbers from elsewhere (product shots, say); None: alone.
        distance: most bits that may differ, 0 to 31; by default ``DISTANCE`` with thumbnails and
            ``HASH_ONLY_DISTANCE`` without.
        similarity: least correlation of two thumbnails, in [0, 1].

    Returns:
        [N] int64: the smallest position in each image's group; an image alone has its own.

    Raises:
        ValueError: lengths do not fit, or ``distance`` is out of its range.
    """
    total = len(phashes)
    for other in (digests, thumbnails, given):
        if other is not None and len(other) != total:
            raise ValueError(f"{total} hashes, but {len(other)} digests, thumbnails or groups.")
    if distance is None:
        distance = HASH_ONLY_DISTANCE if thumbnails is None else DISTANCE
    if not 0 <= distance < _HASH_BITS // 2:
        raise ValueError(f"The distance {distance} is not between 0 and {_HASH_BITS // 2 - 1} bits.")
    sets = _Sets(total)
    sets.join_equal(digests or ())
    sets.join_equal(given or ())
    hashes = np.asarray(phashes, np.int64).view(np.uint64)
    telling = np.arange(total)
    if thumbnails is None:
        ones = np.bitwise_count(hashes).astype(np.int64)
        telling = np.flatnonzero((ones >= _INFORMATIVE) & (ones <= _HASH_BITS - _INFORMATIVE))
    for pairs in hash_pairs(hashes[telling], distance):
        sets.join(telling[pairs], thumbnails, similarity)
    return sets.representatives()


def connected(*keys: Sequence[object | None]) -> Ids:
    """[N] the smallest position of everything that is joined by an equal key in any of the equally long sequences;
    None joins nothing."""
    sets = _Sets(len(keys[0]))
    for sequence in keys:
        sets.join_equal(sequence)
    return sets.representatives()


def connected_pairs(pairs: Ids) -> Ids:
    """What is joined by pairs of numbers.

    Args:
        pairs: [P, 2] int64.

    Returns:
        [n] the smallest number in the group of each of the n different numbers in ``pairs``, these in ascending order.
    """
    numbers, places = np.unique(pairs, return_inverse=True)
    sets = _Sets(len(numbers))
    sets.join(places.reshape(-1, 2).astype(np.int64), None, 0.0)
    joined: Ids = numbers[sets.representatives()]
    return joined


def confirmed(left: NDArray[np.uint8], right: NDArray[np.uint8], similarity: float = SIMILARITY) -> NDArray[np.bool_]:
    """[P] whether two thumbnails show the same picture; brightness and contrast do not count, colours do.

    Args:
        left, right: [P, T, T, 3] uint8, T = ``THUMBNAIL_SIDE``.
        similarity: least correlation, in [0, 1].
    """
    blocks = [slice(start, start + _PAIRS_AT_ONCE) for start in range(0, len(left), _PAIRS_AT_ONCE)]
    return np.concatenate([np.empty(0, bool), *(_same_picture(left[b], right[b], similarity) for b in blocks)])


def hash_pairs(hashes: Hashes, distance: int) -> Iterator[Ids]:
    """All pairs of positions whose hashes differ in at most ``distance`` bits, in blocks [P, 2]; some come twice."""
    rows = np.arange(len(hashes), dtype=np.int64)
    yield from _pairs(hashes, rows, np.arange(_HASH_BITS), distance, 0)


def _pairs(hashes: Hashes, rows: Ids, bits: Ids, distance: int, depth: int) -> Iterator[Ids]:
    # Cut into one piece more than may differ: two near hashes are equal in one of the pieces at least.
    for piece in np.array_split(bits, distance + 1):
        keys = _extracted(hashes[rows], piece)
        order = np.argsort(keys, kind="stable")
        keys, sorted_rows = keys[order], rows[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.empty(0, np.int64)
        ends = np.append(starts[1:], len(keys))
        rest = np.setdiff1d(bits, piece)
        # Pictures with large even areas share pieces by the thousand: these are told apart by the remaining bits.
        deeper = (ends - starts > _LARGE_RUN) & (depth < _MAX_DEPTH) & (len(rest) > distance)
        here = np.repeat(~deeper, ends - starts)
        yield from _neighbours(hashes, keys[here], sorted_rows[here], distance)
        for start, end in zip(starts[deeper], ends[deeper], strict=True):
            yield from _pairs(hashes, sorted_rows[start:end], rest, distance, depth + 1)


def _neighbours(hashes: Hashes, keys: Hashes, rows: Ids, distance: int) -> Iterator[Ids]:
    """Compare every row with those behind it that have the same key: all rows one step apart, then two, ..."""
    left = np.arange(len(rows) - 1) if len(rows) else np.empty(0, np.int64)
    step = 1
    while len(left):
        left = left[left + step < len(rows)]
        left = left[keys[left] == keys[left + step]]
        near = left[np.bitwise_count(hashes[rows[left]] ^ hashes[rows[left + step]]) <= distance]
        if len(near):
            yield np.stack([rows[near], rows[near + step]], axis=1)
        step += 1


def _extracted(hashes: Hashes, bits: Ids) -> Hashes:
    """The given bits of each hash, side by side."""
    keys = np.zeros(len(hashes), np.uint64)
    for place, bit in enumerate(bits.tolist()):
        keys |= ((hashes >> np.uint64(bit)) & np.uint64(1)) << np.uint64(place)
    return keys


def _same_picture(left: NDArray[np.uint8], right: NDArray[np.uint8], similarity: float) -> NDArray[np.bool_]:
    """[P] whether the thumbnails [P, T, T, 3] correlate: brightness and contrast do not count, colours do."""
    one, other = _centred(left), _centred(right)
    floor = _FLAT * one.shape[1]
    scale = np.sqrt((one**2).sum(1) + floor) * np.sqrt((other**2).sum(1) + floor)
    alike: NDArray[np.bool_] = (one * other).sum(1) >= similarity * scale
    return alike


def _centred(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    centred: NDArray[np.float32] = values - values.mean(1, keepdims=True)
    return centred


class _Sets:
    """Disjoint sets of positions; the smallest position stands for its set."""

    def __init__(self, total: int) -> None:
        self._parent = list(range(total))

    def join_equal(self, keys: Sequence[object | None]) -> None:
        first: dict[object, int] = {}
        for position, key in enumerate(keys):
            if key is not None:
                self._join(first.setdefault(key, position), position)

    def join(self, pairs: Ids, thumbnails: NDArray[np.uint8] | None, similarity: float) -> None:
        """Join the pairs [P, 2] that are confirmed (all, without thumbnails)."""
        for start in range(0, len(pairs), _PAIRS_AT_ONCE):
            block = pairs[start : start + _PAIRS_AT_ONCE]
            if thumbnails is not None:
                block = block[_same_picture(thumbnails[block[:, 0]], thumbnails[block[:, 1]], similarity)]
            for left, right in block.tolist():
                self._join(left, right)

    def representatives(self) -> Ids:
        return np.array([self._find(position) for position in range(len(self._parent))], np.int64)

    def _join(self, left: int, right: int) -> None:
        left, right = self._find(left), self._find(right)
        self._parent[max(left, right)] = min(left, right)

    def _find(self, position: int) -> int:
        parent = self._parent
        while parent[position] != position:
            parent[position] = position = parent[parent[position]]
        return position
