"""Sampler "shuffled": every image once an epoch, in a new order."""

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.mining.epochs import Ints, check_run, generator, of_rank, whole


class Shuffled:
    """All ids in a random order, cut into batches.

    The last batches are filled up from the beginning of the order, so that all have one size and every rank equally
    many: fewer than batch_size * world ids come again, and none stands twice in a batch.

    Args:
        n: number of images; their ids are 0 to n - 1.
        batch_size: of each rank, at least 2 and at most n.
        seed: at least 0.
        rank, world: which of how many processes this is; each gets every world-th batch.

    Raises:
        BadValue: a batch size below 2 or above n.
        ValueError: a negative seed, or a rank outside 0 to world - 1.
    """

    def __init__(self, n: int, batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        check_run(batch_size, seed, rank, world)
        if n < batch_size:
            raise BadValue(
                f"{n} images do not fill a batch of {batch_size}.", f"Use a batch size of at most {n}, or add images."
            )
        self._n, self._size, self._seed, self._rank, self._world = n, batch_size, seed, rank, world
        self._count = whole(-(-n // batch_size), world)

    def __len__(self) -> int:
        """Batches an epoch of this rank."""
        return self._count // self._world

    def batches(self, epoch: int) -> list[Ints]:
        """[batch_size] ids each. Raises ValueError: epoch < 0."""
        order = generator(self._seed, epoch).permutation(self._n).astype(np.int64)
        # Repeated in whole, the order shows nothing twice within n places, and a batch is no longer than that.
        return of_rank(np.resize(order, (self._count, self._size)), self._rank, self._world)
