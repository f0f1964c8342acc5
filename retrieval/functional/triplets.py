"""Kinds of triplets, and all (anchor, positive) pairs of a batch in blocks of a bounded size.

The kinds are those of Schroff, Kalenichenko and Philbin, "FaceNet", CVPR 2015, section 3.2
(https://arxiv.org/abs/1503.03832). With d(a, p) and d(a, n) the distances of an anchor to its positive and to its
negative, and m the margin:

=========  =================================================================================
all        every triplet
easy       d(a, n) > d(a, p) + m: the hinge loss is 0
semihard   d(a, p) < d(a, n) < d(a, p) + m
hard       d(a, n) <= d(a, p)
mixed      semihard or hard, d(a, n) < d(a, p) + m: every triplet that has a hinge loss
=========  =================================================================================

The tie d(a, n) = d(a, p) is hard. As neither semihard nor hard it would be lost, and when an encoder collapses every
triplet is a tie: miners would find nothing, and the loss would show 0 where it is m.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from retrieval.functional.labels import NO_LABEL

Rule = Callable[[Tensor, Tensor, float], Tensor]
"""(d(a, p) [P, 1], d(a, n) [P, B], margin) to bool [P, B]. Which columns are negatives at all is the caller's affair;
a column at a distance beyond all others' is in ``all`` and ``easy`` and in no other kind."""


def _all(ap: Tensor, an: Tensor, margin: float) -> Tensor:
    return torch.ones_like(an, dtype=torch.bool)


def _easy(ap: Tensor, an: Tensor, margin: float) -> Tensor:
    return an > ap + margin


def _semihard(ap: Tensor, an: Tensor, margin: float) -> Tensor:
    return (an > ap).logical_and_(an < ap + margin)


def _hard(ap: Tensor, an: Tensor, margin: float) -> Tensor:
    return an <= ap


def _mixed(ap: Tensor, an: Tensor, margin: float) -> Tensor:
    return an < ap + margin


RULES: Mapping[str, Rule] = {
    "all": _all,
    "easy": _easy,
    "semihard": _semihard,
    "hard": _hard,
    "mixed": _mixed,
}


class PositivePairs:
    """All (anchor, positive) pairs of a batch, in the order of the anchors; none is stored.

    Args:
        labels: [B] integers; rows with label -1 are in no pair.
    """

    def __init__(self, labels: Tensor) -> None:
        codes, counts = torch.unique(labels, return_inverse=True, return_counts=True)[1:]
        self._order = codes.argsort(stable=True)
        self._first = (counts.cumsum(0) - counts)[codes]
        place = torch.empty_like(self._order)
        place[self._order] = torch.arange(len(labels), device=labels.device)
        self._rank = place - self._first
        positives = (counts[codes] - 1).masked_fill_(labels == NO_LABEL, 0)
        self._ends = positives.cumsum(0)
        self._starts = self._ends - positives
        self._bounds: list[int] = [0, *self._ends.tolist()]

    def __len__(self) -> int:
        """How many pairs there are."""
        return self._bounds[-1]

    def of_rows(self, rows: slice) -> tuple[Tensor, Tensor]:
        """The pairs of some anchors.

        Args:
            rows: of the batch, with step 1.

        Returns:
            anchors [P] and positives [P], rows of the batch.
        """
        start, stop, _ = rows.indices(len(self._bounds) - 1)
        return self.numbered(self._bounds[start], self._bounds[max(start, stop)])

    def numbered(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """The pairs from number ``start`` to before ``stop``, out of ``len(self)``: anchors [P] and positives [P]."""
        numbers = torch.arange(start, stop, device=self._ends.device)
        anchors = torch.searchsorted(self._ends, numbers, right=True)
        step = numbers - self._starts[anchors]
        # The anchor itself stands among its class's members and is stepped over.
        step += step >= self._rank[anchors]
        return anchors, self._order[self._first[anchors] + step]


def blocks(labels: Tensor, most_values: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All (anchor, positive) pairs of a batch, in blocks for which a [P, B] tensor stays small.

    Args:
        labels: [B] integers; rows with label -1 are in no pair.
        most_values: most entries of a [P, B] tensor; a block has one pair at least.

    Yields:
        anchors [P] and positives [P], in the order of the anchors.
    """
    pairs = PositivePairs(labels)
    step = max(1, most_values // max(1, len(labels)))
    for start in range(0, len(pairs), step):
        yield pairs.numbered(start, min(start + step, len(pairs)))
