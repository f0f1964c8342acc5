"""Sampler "m_per_class": batches of P classes with M images each, and epochs that waste no image.

The batches of Hermans, Beyer and Leibe, "In Defense of the Triplet Loss", 2017, section 2 ("PK batches"):
https://arxiv.org/abs/1703.07737. There classes are drawn with no regard to what an epoch has shown already.
"""

import numpy as np

from retrieval.core.errors import BadValue
from retrieval.mining.epochs import Ints, Singletons, check_run, classes_of, generator, of_rank, schedule, spread, whole


class MPerClass:
    """Each batch holds ``batch_size / per_class`` different classes with ``per_class`` images each, class by class.

    An epoch shows every image at least once. The images of a class, shuffled, are cut into groups of M. The last group
    is filled up from the beginning, and where batches have places left, classes give a further group, each class one
    before any gives two. So the images of one class come equally often, give or take one; and an image stands twice
    in a batch only where its class has fewer than M. The number of batches is the smallest that can hold all groups
    without a class twice in one batch: all groups by the places in a batch, or the groups of the largest class if
    they are more, rounded up to a multiple of the ranks. What is shown again is batches * batch_size - images: where
    no class is that large and M divides the classes' sizes, less than one batch a rank.

    Args:
        labels: [N] class numbers; an image's id is its place. Images of label -1 are in no batch.
        batch_size: of each rank; a multiple of ``per_class``, at least twice as large.
        per_class: M, at least 2.
        seed: at least 0.
        rank, world: which of how many processes this is; each gets every world-th batch.
        singletons: what happens to classes of one image: ``"error"``, ``"drop"`` or ``"keep"`` (the image is repeated
            M times).

    Raises:
        BadValue: sizes that do not fit, too few classes for a batch, or singletons under ``"error"``.
        ValueError: a negative seed, a rank outside 0 to world - 1, or labels that are not one axis of integers.
    """

    def __init__(
        self,
        labels: Ints,
        batch_size: int,
        per_class: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        singletons: Singletons = "error",
    ) -> None:
        check_run(batch_size, seed, rank, world)
        if per_class < 2:
            raise BadValue(f"{per_class} images a class leave an image without a positive.", "Use at least 2.")
        if batch_size % per_class or batch_size < 2 * per_class:
            raise BadValue(
                f"A batch of {batch_size} cannot hold two or more classes with {per_class} images each.",
                f"Use a multiple of {per_class}, from {2 * per_class}.",
            )
        self._members = classes_of(labels, singletons)
        self._slots = batch_size // per_class
        if len(self._members) < self._slots:
            raise _too_few(len(self._members), batch_size, per_class, singletons)
        self._per_class, self._seed, self._rank, self._world = per_class, seed, rank, world
        self._groups = np.array([-(-len(ids) // per_class) for ids in self._members], np.int64)
        count = max(-(-int(self._groups.sum()) // self._slots), int(self._groups.max()))
        self._count = whole(count, world)

    def __len__(self) -> int:
        """Batches an epoch of this rank."""
        return self._count // self._world

    def batches(self, epoch: int) -> list[Ints]:
        """[batch_size] ids each. Raises ValueError: epoch < 0."""
        random = generator(self._seed, epoch)
        groups = spread(self._groups, self._count * self._slots, self._count, random)
        rows = schedule(groups, self._count, self._slots, random)
        ids = np.empty((self._count * self._slots, self._per_class), np.int64)
        # All places of a class, in the order of the batches, take the groups of its shuffled images in turn.
        places = np.split(np.argsort(rows, axis=None, kind="stable"), np.cumsum(groups)[:-1])
        for members, at in zip(self._members, places, strict=True):
            ids[at] = np.resize(random.permutation(members), (len(at), self._per_class))
        return of_rank(ids.reshape(self._count, -1), self._rank, self._world)


def _too_few(classes: int, batch_size: int, per_class: int, singletons: Singletons) -> BadValue:
    usable = "" if singletons == "keep" else " with two or more images"
    if classes < 2:
        return BadValue(
            f"{classes} class{'' if classes == 1 else 'es'}{usable}: there is nothing to tell apart.",
            "Label images of at least two classes, two or more each.",
        )
    return BadValue(
        f"{classes} classes{usable}, but a batch of {batch_size} with {per_class} a class needs "
        f"{batch_size // per_class}.",
        f"Use a batch size of at most {classes * per_class}, or more images a class.",
    )
