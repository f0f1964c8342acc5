"""One batch of examples, on its way from a loader to a method."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """B examples.

    Attributes:
        inputs: [B, 3, S, S] float images that are augmented and normalised, or [B, F] features.
        labels: [B] int64 class numbers, 0 to C - 1; -1 where there is none.
        ids: [B] int64 positions in the dataset: which examples these are.
        others: further views of the same examples in the same order, for methods that learn from several; each has B
            rows, and may have another size than ``inputs`` (multi-crop).
        targets: [B, T] float32, what a teacher said of ``inputs``; None where nobody has been asked.
    """

    inputs: Tensor
    labels: Tensor
    ids: Tensor
    others: tuple[Tensor, ...] = ()
    targets: Tensor | None = None

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        inputs, labels, ids = (part.to(device, non_blocking=True) for part in self[:3])
        others = tuple(view.to(device, non_blocking=True) for view in self.others)
        targets = None if self.targets is None else self.targets.to(device, non_blocking=True)
        return Batch(inputs, labels, ids, others, targets)
