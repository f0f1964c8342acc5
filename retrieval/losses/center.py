"""Center loss: embeddings are drawn to the centre of their class, and the centres follow by a rule of their own.

Wen, Zhang, Li and Qiao, "A Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016, equations 2
and 4: https://ydwen.github.io/papers/WenECCV16.pdf. It has no term that keeps classes apart, and is used beside
softmax or triplet.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from retrieval.functional.labels import NO_LABEL
from retrieval.losses.pairs import check_classes, known
from retrieval.losses.precision import full_precision


@full_precision
def center(embeddings: Tensor, labels: Tensor, *, centres: Tensor, reduction: str = "mean") -> Tensor:
    """Half the squared distance of each row to the centre of its class.

    Args:
        embeddings: [B, D], raw.
        labels: [B] in 0 to C - 1; rows of -1 take no part.
        centres: [C, D]; no gradient flows into them, they follow ``updated_centres``.
        reduction: ``"sum"`` is equation 2, to be added to a softmax that is summed too. ``"mean"`` divides by the
            rows, as this package's softmax does: the paper's lambda then keeps its meaning, whatever the batch size.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when no row has a label.

    Raises:
        ValueError: another reduction, or a label without a centre.
    """
    if reduction not in ("mean", "sum"):
        raise ValueError(f"No reduction {reduction!r}; there are mean, sum.")
    check_classes(labels, len(centres))
    away = (embeddings - centres.detach()[labels.clamp_min(0)]).square().sum(dim=1)
    total = away.masked_fill(labels == NO_LABEL, 0).sum() / 2
    return total if reduction == "sum" else total / known(labels).clamp_min(1)


@torch.no_grad()
def updated_centres(
    centres: Tensor,
    embeddings: Tensor,
    labels: Tensor,
    rate: float = 0.5,
    reduce: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Wen's rule: c_j - alpha * sum over the rows of class j of (c_j - x) / (1 + their number).

    Args:
        centres: [C, D], left as they are.
        embeddings: [B, D], raw, of this process.
        labels: [B] in 0 to C - 1; rows of -1 take no part.
        rate: alpha in [0, 1].
        reduce: sums a tensor over all processes; the result is then that of one process with all rows.

    Returns:
        [C, D] the new centres; that of a class without rows does not move.

    Raises:
        ValueError: a label without a centre.
    """
    sums, counts = _sums(embeddings.to(centres.dtype), labels, len(centres))
    if reduce is not None:
        sums, counts = reduce(sums), reduce(counts)
    counts = counts[:, None]
    return centres - rate * (counts * centres - sums) / (1 + counts)


@torch.no_grad()
def exact_centres(embeddings: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The mean of each class: cheap when the backbone is frozen and all embeddings are at hand.

    Args:
        embeddings: [N, D], raw.
        labels: [N] in 0 to classes - 1; rows of -1 take no part.
        classes: C.

    Returns:
        [C, D]; 0 for a class without rows.

    Raises:
        ValueError: a label beyond the classes.
    """
    sums, counts = _sums(embeddings, labels, classes)
    return sums / counts[:, None].clamp_min(1)


def _sums(embeddings: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """[C, D] sums and [C] numbers of the rows of each class, both of the embeddings' type."""
    check_classes(labels, classes)
    having = labels != NO_LABEL
    rows, numbers = embeddings[having], labels[having]
    sums = embeddings.new_zeros(classes, embeddings.shape[1]).index_add_(0, numbers, rows)
    counts = embeddings.new_zeros(classes).index_add_(0, numbers, torch.ones_like(rows[:, 0]))
    return sums, counts
