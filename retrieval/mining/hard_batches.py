"""Sampler of anchors together with their hard examples from the whole dataset."""

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.core.types import NO_ID
from retrieval.mining.epochs import Ints, check_run, generator, of_rank, whole
from retrieval.mining.hard_examples import HardExamples


class HardBatches:
    """Each batch is groups of an anchor, its hard positives and its hard negatives, group by group.

    An epoch takes every image that has a positive as an anchor once; the last batches are filled up from the beginning
    of the order. An image that the batch holds already is not added again, the next hardest comes in its place: what
    is in the batch serves all its anchors. Only where no other is left, images are repeated, the hardest first.

    The batches depend on the seed, the epoch and the embeddings that ``examples`` was given last.

    Args:
        examples: refreshed before batches are asked for, and after it by the rhythm of the caller.
        batch_size: of each rank; a multiple of 1 + positives + negatives.
        seed: at least 0.
        positives, negatives: how many an anchor gets, at least 1 each.
        farthest: whether the hard positives are the farthest; otherwise the nearest, the better choice where labels
            are noisy or a class has several faces.
        rank, world: which of how many processes this is; each gets every world-th batch.

    Raises:
        BadValue: a batch size that does not fit.
        ValueError: positives or negatives below 1, a negative seed, or a rank outside 0 to world - 1.
    """

    def __init__(
        self,
        examples: HardExamples,
        batch_size: int,
        seed: int,
        positives: int = 1,
        negatives: int = 1,
        farthest: bool = True,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        check_run(batch_size, seed, rank, world)
        if positives < 1 or negatives < 1:
            raise ValueError(f"{positives} positives and {negatives} negatives: at least 1 each is needed.")
        group = 1 + positives + negatives
        if batch_size % group:
            raise BadValue(
                f"A batch of {batch_size} does not divide into anchors with {positives} positives and {negatives} "
                "negatives.",
                f"Use a multiple of {group}.",
            )
        self._examples, self._size, self._seed = examples, batch_size, seed
        self._positives, self._negatives, self._farthest = positives, negatives, farthest
        self._anchors, self._rank, self._world = batch_size // group, rank, world

    def __len__(self) -> int:
        """Batches an epoch of this rank. Raises BadValue as ``batches``."""
        return whole(-(-len(self._anchored()) // self._anchors), self._world) // self._world

    def batches(self, epoch: int, start: int = 0, count: int | None = None) -> list[Ints]:
        """[batch_size] ids each.

        Args:
            epoch: from 0; decides the order of the anchors.
            start, count: only these batches of the epoch; all from ``start`` on by default. Where the embeddings are
                refreshed in the middle of an epoch, its later batches are asked for again.

        Raises:
            BadValue: no class has two images, or there is one class only.
            ValueError: epoch < 0.
        """
        order = generator(self._seed, epoch).permutation(self._anchored())
        anchors = np.resize(order, (len(self) * self._world, self._anchors))
        rows = list(of_rank(anchors, self._rank, self._world))[start:]
        return [self._batch(row) for row in (rows if count is None else rows[:count])]

    def _anchored(self) -> Ints:
        """Ids that have a positive and a negative among the embeddings."""
        ids = self._examples.ids
        _, member, sizes = np.unique(self._examples.labels[ids], return_inverse=True, return_counts=True)
        anchored: Ints = ids[sizes[member] > 1] if len(sizes) > 1 else ids[:0]
        if not len(anchored):
            raise BadValue(
                f"{len(sizes)} classes, {np.count_nonzero(sizes > 1)} of them with two or more images: no image has "
                "both a positive and a negative.",
                "Label images of at least two classes, two or more each.",
            )
        return anchored

    def _batch(self, anchors: Ints) -> Ints:
        # Even if the whole batch stands first among an anchor's neighbours, enough others follow.
        positives = self._examples.positives(anchors, self._positives + self._size, self._farthest)
        negatives = self._examples.negatives(anchors, self._negatives + self._size)
        used = set(anchors.tolist())
        batch: list[int] = []
        for anchor, near, far in zip(anchors.tolist(), positives, negatives, strict=True):
            batch += [anchor, *_take(near, self._positives, used), *_take(far, self._negatives, used)]
        return np.array(batch, np.int64)


def _take(candidates: Ints, count: int, used: set[int]) -> list[int]:
    """The first ``count`` candidates that are not used, then used ones over and over; marks them as used."""
    found = candidates[candidates != NO_ID].tolist()
    fresh = [number for number in found if number not in used][:count]
    used.update(fresh)
    repeated: list[int] = np.resize(found, count - len(fresh)).tolist()
    return fresh + repeated
