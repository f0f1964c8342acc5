"""Triplet loss: a positive must be closer than a negative by a margin.

Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR 2015,
equation 3 (https://arxiv.org/abs/1503.03832), there with squared distances; the soft margin is that of Hermans, Beyer
and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", 2017, section 2
(https://arxiv.org/abs/1703.07737).
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from retrieval.functional.distances import distances, over, root, squared_distances, widened
from retrieval.functional.labels import NO_LABEL
from retrieval.functional.mined import Triplets
from retrieval.functional.triplets import RULES, PositivePairs
from retrieval.losses.pairs import masks
from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import FAR
from retrieval.losses.rows import Evaluated, block_values, sum_over_rows


@full_precision
def triplet(
    embeddings: Tensor,
    labels: Tensor,
    *,
    mined: Triplets | None = None,
    margin: float = 0.2,
    squared: bool = False,
    soft: bool = False,
    select: str = "semihard",
) -> Tensor:
    """Mean of max(0, d(a, p) - d(a, n) + m) over the triplets where it is positive.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] integers; rows of -1 are in no triplet.
        mined: the triplets to take, exactly these; None selects here.
        margin: m > 0 in the unit of the distance.
        squared: d is the squared distance in place of the plain one; another margin is then right.
        soft: log(1 + exp(d(a, p) - d(a, n))) in place of the hinge, and the mean over all that are selected; the
            margin then only decides what ``select`` selects.
        select: which triplets of the batch: ``"all"``, ``"easy"``, ``"semihard"``, ``"hard"``, ``"mixed"``
            (``functional.triplets``), or ``"mined"``, with which ``mined`` must be given. No list of them is ever made:
            blocks of triplets are looked at, and memory does not grow with their number.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when there is no such triplet.

    Raises:
        ValueError: another ``select``, a margin that is not positive, or ``"mined"`` without triplets.
    """
    _check(margin, select, mined)
    if mined is not None:
        terms, count = _mined(embeddings, mined, margin, squared, soft)
        return terms.sum() / count.clamp_min(1)
    selected = _Selected(labels, embeddings.dtype, margin, squared, soft, select)
    total, count = sum_over_rows(embeddings, embeddings, selected, squared=True)
    return total / count.clamp_min(1)


@torch.no_grad()
@full_precision
def triplet_active(
    embeddings: Tensor,
    labels: Tensor,
    *,
    mined: Triplets | None = None,
    margin: float = 0.2,
    squared: bool = False,
    soft: bool = False,
    select: str = "semihard",
) -> Tensor:
    """Share in [0, 1] of the triplets that the loss averages over, among all of the batch, or among the mined ones.

    Arguments and errors as ``triplet``. With the hinge these are the ones selected that cost something; in the soft
    form everything that is selected does. 0 when there is no triplet.
    """
    _check(margin, select, mined)
    rows = widened(embeddings)
    if mined is not None:
        _, count = _mined(rows, mined, margin, squared, soft)
        return count / max(1, len(mined.anchor))
    _, count = sum_over_rows(rows, rows, _Selected(labels, rows.dtype, margin, squared, soft, select), squared=True)
    sizes: Tensor = torch.unique(labels[labels != NO_LABEL], return_counts=True)[1]
    return count / (sizes * (sizes - 1) * (sizes.sum() - sizes)).sum().clamp_min(1)


class _Selected:
    """The triplets of some anchors, from the anchors' squared distances to the whole batch, with their gradient.

    Triplets are looked at as blocks of (pair, row of the batch). The gradient is made by hand: that of a hinge is a
    count, and autograd would keep a block-sized tensor for each step on the way.
    """

    def __init__(self, labels: Tensor, dtype: torch.dtype, margin: float, squared: bool, soft: bool, kind: str) -> None:
        self._masks, self._pairs = masks(labels, None, dtype), PositivePairs(labels)
        self._margin, self._squared, self._soft = margin, squared, soft
        # Of all triplets those have a hinge loss that are mixed.
        self._kind = "mixed" if kind == "all" and not soft else kind

    def __call__(self, rows: slice, values: Tensor, wanted: bool) -> Evaluated:
        between = values if self._squared else values.sqrt_()
        anchors, positives = self._pairs.of_rows(rows)
        place = anchors - rows.start
        ap = between[place, positives]
        _, negative = self._masks(rows)
        between.add_(negative.neg_().add_(1), alpha=FAR)

        pull, push = torch.zeros_like(ap), torch.zeros_like(between)
        total, count = between.new_zeros(()), place.new_zeros(())
        step = max(1, block_values(between.device) // between.shape[1])
        for start in range(0, len(place), step):
            part = slice(start, start + step)
            slopes, loss, number = self._slopes(ap[part, None], between.index_select(0, place[part]))
            pull[part] = slopes.sum(dim=1)
            push.index_add_(0, place[part], slopes, alpha=-1)
            total, count = total + loss, count + number.to(torch.int64)
        if not self._soft:
            # The hinge is linear where it is not 0, so its sum follows from its slopes.
            count = pull.sum().to(torch.int64)
            total = self._margin * count.to(ap.dtype) + pull @ ap + (push * between).sum()
        if not wanted:
            return Evaluated(total, count, None)
        if not self._squared:
            push = over(push, between, between.square()).mul_(0.5)
            pull = over(pull, ap, ap.square()).mul_(0.5)
        push[place, positives] = pull
        return Evaluated(total, count, push)

    def _slopes(self, ap: Tensor, an: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[P, B] slopes with respect to d(a, p); the loss and the number of triplets, in the soft form alone."""
        chosen = self._chosen(ap, an)
        if not self._soft:
            return chosen, ap.new_zeros(()), ap.new_zeros(())
        gap = ap - an
        number = chosen.sum()
        loss = (softplus(gap) * chosen).sum()
        return chosen.mul_(gap.sigmoid_()), loss, number

    def _chosen(self, ap: Tensor, an: Tensor) -> Tensor:
        """[P, B] 1 for a triplet that is selected and has a loss, else 0: ``RULES`` as differences of float steps."""
        if self._kind == "hard":
            return torch.le(an, ap, out=torch.empty_like(an))
        end = ap + self._margin
        if self._kind == "easy" and not self._soft:
            return torch.zeros_like(an)
        below = ap.new_tensor(FAR / 2) if self._kind in ("all", "easy") else end
        chosen = torch.lt(an, below, out=torch.empty_like(an))
        above = {"semihard": ap, "easy": end}.get(self._kind)
        return chosen if above is None else chosen.sub_(torch.le(an, above, out=torch.empty_like(an)))


def _mined(embeddings: Tensor, mined: Triplets, margin: float, squared: bool, soft: bool) -> tuple[Tensor, Tensor]:
    """[T] losses of given triplets, and over how many of them the mean goes."""
    ap = _between(embeddings, mined.anchor, mined.positive, squared)
    an = _between(embeddings, mined.anchor, mined.negative, squared)
    if soft:
        return softplus(ap - an), mined.anchor.new_tensor(len(mined.anchor))
    terms = (ap - an + margin).clamp_min(0)
    return terms, terms.count_nonzero()


def _between(embeddings: Tensor, first: Tensor, second: Tensor, squared: bool) -> Tensor:
    """[T] distances; many are looked up in the matrix of all, few are computed one by one."""
    if len(first) * embeddings.shape[1] > len(embeddings) ** 2:
        return (squared_distances if squared else distances)(embeddings, embeddings)[first, second]
    squares = (embeddings[first] - embeddings[second]).square().sum(dim=1)
    return squares if squared else root(squares)


def _check(margin: float, select: str, mined: Triplets | None) -> None:
    if select not in (*RULES, "mined"):
        raise ValueError(f"No triplets {select!r} to select; there are {', '.join(RULES)}, mined.")
    if select == "mined" and mined is None:
        raise ValueError("With select = 'mined' a miner is needed.")
    if margin <= 0:
        raise ValueError(f"The margin must be positive, not {margin}.")
