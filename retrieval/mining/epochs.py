"""What all samplers share: seeds, ranks, classes, and who stands in which batch."""

from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.core.errors import BadValue

Ints: TypeAlias = NDArray[np.int64]

Singletons: TypeAlias = Literal["error", "drop", "keep"]
"""What happens to classes of one image: refuse, leave them out, or repeat the one image (as different views, where
there is augmentation)."""

SINGLETONS: tuple[Singletons, ...] = ("error", "drop", "keep")


class Sampler(Protocol):
    """Batches of one size, a pure function of the seed and the epoch: to go on in an epoch, skip the first batches."""

    def __len__(self) -> int:
        """Batches an epoch of this rank; the same on every rank."""

    def batches(self, epoch: int) -> list[Ints]:
        """This rank's batches in order, [batch_size] ids each. Raises ValueError: epoch < 0."""


def check_run(batch_size: int, seed: int, rank: int, world: int) -> None:
    """Raises BadValue for a batch size below 2; ValueError for a negative seed or a rank outside 0 to world - 1."""
    if batch_size < 2:
        raise BadValue(f"A batch size of {batch_size} leaves nothing to compare.", "Use at least 2.")
    if seed < 0 or not 0 <= rank < world:
        raise ValueError(f"Seed {seed}, rank {rank} of {world}: all must be at least 0, and the rank below the world.")


def generator(seed: int, epoch: int) -> np.random.Generator:
    """The random numbers of one epoch, the same on every rank. Raises ValueError: epoch < 0."""
    if epoch < 0:
        raise ValueError(f"Epoch {epoch} is negative.")
    return np.random.default_rng([seed, epoch])


def whole(count: int, world: int) -> int:
    """``count`` rounded up, so that every rank gets equally many."""
    return -(-count // world) * world


def of_rank(batches: Ints, rank: int, world: int) -> list[Ints]:
    """Every world-th of the [K, batch_size] batches of all ranks."""
    return list(batches[rank::world])


def classes_of(labels: Ints, singletons: Singletons) -> list[Ints]:
    """The ids of each class, ascending; ids of label -1 stand in none.

    Raises:
        BadValue: there are singletons and the policy is ``"error"``, or an unknown policy.
        ValueError: labels are not one axis of integers.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"Labels must be one axis of integers, not {labels.dtype} of shape {labels.shape}.")
    if singletons not in SINGLETONS:
        raise BadValue(
            f"Unknown policy {singletons!r} for classes of one image.", f"Use one of {', '.join(SINGLETONS)}."
        )
    order = np.argsort(labels, kind="stable").astype(np.int64)
    order = order[np.searchsorted(labels[order], 0) :]
    numbers, starts = np.unique(labels[order], return_index=True)
    members = np.split(order, starts[1:]) if len(numbers) else []
    single = [int(number) for number, ids in zip(numbers, members, strict=True) if len(ids) == 1]
    if single and singletons == "error":
        raise BadValue(
            f"{len(single)} of {len(members)} classes have a single image, and so no positive (class numbers "
            f"{', '.join(map(str, single[:5]))}{', ...' if len(single) > 5 else ''}).",
            'Add images to them, or set singletons to "drop" (leave them out) or "keep" (repeat the image).',
        )
    return [ids for ids in members if len(ids) > 1 or singletons == "keep"]


def spread(copies: Ints, total: int, most: int, random: np.random.Generator) -> Ints:
    """``copies`` [C] raised until they sum up to ``total``, none above ``most``: everybody gets one more before anybody
    gets two more, and chance says who gets the last ones. ``total`` is at most C * most."""
    copies = copies.copy()
    while (missing := total - int(copies.sum())) > 0:
        open_ = np.flatnonzero(copies < most)
        copies[open_ if len(open_) <= missing else random.choice(open_, missing, replace=False)] += 1
    return copies


def schedule(copies: Ints, batches: int, slots: int, random: np.random.Generator) -> Ints:
    """Who stands in which batch, nobody twice in one.

    Args:
        copies: [C] in how many batches each is to stand, at most ``batches``; their sum is batches * slots.
        batches: K.
        slots: how many stand in each batch.
        random: of the draws.

    Returns:
        [K, slots] numbers 0 to C - 1; number c stands in exactly copies[c] rows.
    """
    left = copies.copy()
    rows = np.empty((batches, slots), np.int64)
    for number in range(batches if slots else 0):
        # Drawn without replacement, in proportion to what is left; the smallest keys win.
        keys = np.full(len(left), np.inf)
        np.divide(random.exponential(size=len(left)), left, out=keys, where=left > 0)
        # Who must stand in all batches that remain comes first. There are at most ``slots`` of them, since the sum of
        # what is left is slots times the batches that remain; for the same reason enough others have some left.
        keys[left == batches - number] = -1
        rows[number] = np.argpartition(keys, slots - 1)[:slots]
        left[rows[number]] -= 1
    # Those that had to stand in the last batches crowd there; the order of the batches is free.
    return random.permutation(rows)
