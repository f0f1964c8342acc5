"""Sampler "class_balanced": every class equally often, whatever its size."""

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.mining.epochs import Ints, Singletons, check_run, classes_of, generator, of_rank, schedule, spread, whole


class ClassBalanced:
    """In each batch the classes come equally often, give or take one, and over an epoch too.

    An epoch has as many batches as the images fill, rounded up to a multiple of the ranks, and shows every class.
    The images of a class, shuffled anew in each epoch, come in turn: those of a small class several times, all of them
    equally often give or take one; of a large class a part. Where all classes are equally large and fill the batches,
    every image comes exactly once.

    Args:
        labels: [N] class numbers; an image's id is its place. Images of label -1 are in no batch.
        batch_size: of each rank, at least 2.
        seed: at least 0.
        rank, world: which of how many processes this is; each gets every world-th batch.
        singletons: what happens to classes of one image: ``"error"``, ``"drop"`` or ``"keep"``.

    Raises:
        BadValue: a batch size below 2, fewer than two classes, or singletons under ``"error"``.
        ValueError: a negative seed, a rank outside 0 to world - 1, or labels that are not one axis of integers.
    """

    def __init__(
        self, labels: Ints, batch_size: int, seed: int, rank: int = 0, world: int = 1, singletons: Singletons = "keep"
    ) -> None:
        check_run(batch_size, seed, rank, world)
        self._members = classes_of(labels, singletons)
        if len(self._members) < 2:
            raise BadValue(
                f"{len(self._members)} class{'' if len(self._members) == 1 else 'es'}: there is nothing to balance.",
                "Label images of at least two classes.",
            )
        self._size, self._seed, self._rank, self._world = batch_size, seed, rank, world
        self._count = whole(-(-sum(map(len, self._members)) // batch_size), world)

    def __len__(self) -> int:
        """Batches an epoch of this rank."""
        return self._count // self._world

    def batches(self, epoch: int) -> list[Ints]:
        """[batch_size] ids each, in no order. Raises ValueError: epoch < 0."""
        random = generator(self._seed, epoch)
        classes = len(self._members)
        # Every class stands in every batch so often; the places that remain go to different classes.
        always, slots = divmod(self._size, classes)
        further = spread(np.zeros(classes, np.int64), self._count * slots, self._count, random)
        rows = schedule(further, self._count, slots, random)
        everybody = np.tile(np.arange(classes), (self._count, always))
        rows = random.permuted(np.concatenate([everybody, rows], axis=1), axis=1)
        ids = np.empty(rows.size, np.int64)
        places = np.split(np.argsort(rows, axis=None, kind="stable"), np.cumsum(further + always * self._count)[:-1])
        for members, at in zip(self._members, places, strict=True):
            ids[at] = np.resize(random.permutation(members), len(at))
        return of_rank(ids.reshape(rows.shape), self._rank, self._world)
