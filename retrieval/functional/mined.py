"""What a miner gives to a loss: positions in the batch, as two named types."""

from typing import NamedTuple

from torch import Tensor


class Pairs(NamedTuple):
    """Pairs of one batch.

    Attributes:
        positives: [P, 2] int64, (anchor, positive): same label, never the same row twice.
        negatives: [N, 2] int64, (anchor, negative): another label.
    """

    positives: Tensor
    negatives: Tensor


class Triplets(NamedTuple):
    """Triplets of one batch; the three are equally long.

    Attributes:
        anchor: [T] int64 rows.
        positive: [T] int64, same label as the anchor, another row.
        negative: [T] int64, another label than the anchor.
    """

    anchor: Tensor
    positive: Tensor
    negative: Tensor
