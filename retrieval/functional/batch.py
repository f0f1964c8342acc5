"""One batch of labelled examples, on its way from a loader to a method."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """B examples.

    Attributes:
        inputs: [B, 3, S, S] float images that are augmented and normalised, or [B, F] features.
        labels: [B] int64 class numbers, 0 to C - 1; -1 where there is none.
        ids: [B] int64 positions in the dataset: which examples these are.
    """

    inputs: Tensor
    labels: Tensor
    ids: Tensor

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))
