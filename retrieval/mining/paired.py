"""Sampler "paired": every image once an epoch, and most images of a label beside another one of it.

For terms that need positives in batches that are otherwise drawn freely: in a set of many labels two images of one
would seldom meet.
"""

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.mining.epochs import Ints, check_run, classes_of, generator, of_rank, whole


class Paired:
    """All ids in a random order in which the images of a label follow each other by twos, cut into batches.

    The images of a label are paired anew in every epoch. Of an odd number one stays alone, as do images without a
    label. With an odd batch size, or behind an image that stands alone, a pair may lie on both sides of a cut. The last
    batches are filled up from the beginning, as ``Shuffled`` does.

    Args:
        labels: [N] class number of each image; -1 for none.
        batch_size: of each rank, at least 2 and at most N.
        seed: at least 0.
        rank, world: which of how many processes this is; each gets every world-th batch.

    Raises:
        BadValue: a batch size below 2 or above N.
        ValueError: a negative seed, a rank outside 0 to world - 1, or labels that are not one axis of integers.
    """

    def __init__(self, labels: Ints, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        check_run(batch_size, seed, rank, world)
        self._classes = classes_of(labels, "drop")
        n = len(labels)
        if n < batch_size:
            raise BadValue(
                f"{n} images do not fill a batch of {batch_size}.", f"Use a batch size of at most {n}, or add images."
            )
        paired = np.zeros(n, bool)
        for ids in self._classes:
            paired[ids] = True
        self._alone = np.flatnonzero(~paired).astype(np.int64)
        self._size, self._seed, self._rank, self._world = batch_size, seed, rank, world
        self._count = whole(-(-n // batch_size), world)

    def __len__(self) -> int:
        """Batches an epoch of this rank."""
        return self._count // self._world

    def batches(self, epoch: int) -> list[Ints]:
        """[batch_size] ids each. Raises ValueError: epoch < 0."""
        random = generator(self._seed, epoch)
        left, pairs = [self._alone], []
        for ids in self._classes:
            shuffled = random.permutation(ids)
            even = len(shuffled) // 2 * 2
            pairs.append(shuffled[:even].reshape(-1, 2))
            left.append(shuffled[even:])
        # A unit is a pair, or one image and a place that stays empty.
        singles = np.concatenate(left)
        units = np.concatenate([*pairs, np.stack([singles, np.full_like(singles, -1)], 1)])
        order = random.permutation(units).reshape(-1)
        order = order[order >= 0]
        # Repeated in whole, the order shows nothing twice within n places, and a batch is no longer than that.
        return of_rank(np.resize(order, (self._count, self._size)), self._rank, self._world)
