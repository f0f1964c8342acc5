"""Softmax over cosines to learned class directions, with a margin for the right class.

- NormFace, no margin: Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", 2017, section 3.3:
  https://arxiv.org/abs/1704.06369
- CosFace, cos(theta) - m: Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", CVPR 2018,
  equation 4: https://arxiv.org/abs/1801.09414
- ArcFace, cos(theta + m): Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019,
  equation 3: https://arxiv.org/abs/1801.07698
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from retrieval.functional.labels import NO_LABEL
from retrieval.losses.pairs import check_classes
from retrieval.losses.precision import full_precision
from retrieval.losses.rows import mean_over_rows

KINDS = ("normface", "cosface", "arcface")


@full_precision
def cosine_softmax(
    embeddings: Tensor,
    labels: Tensor,
    *,
    weights: Tensor,
    scale: float = 64.0,
    margin: float = 0.35,
    kind: str = "cosface",
) -> Tensor:
    """Mean over rows of the cross-entropy of scale * cosine, the cosine of the right class lowered by the margin.

    Args:
        embeddings: [B, D], unit norm.
        labels: [B] in 0 to C - 1; rows of -1 take no part.
        weights: [C, D] parameter, one direction a class; normalised here.
        scale: s > 0, the inverse temperature. With few classes 16 to 32 learn better than 64.
        margin: m >= 0; a cosine for ``"cosface"`` (paper: 0.35), radians below pi for ``"arcface"`` (paper: 0.5);
            ``"normface"`` has none and does not read it.
        kind: ``"normface"``, ``"cosface"`` or ``"arcface"``.

    Returns:
        Scalar >= 0; 0 with a gradient of 0 when no row has a label.

    Raises:
        ValueError: an unknown kind, or a label without a weight.
    """
    if kind not in KINDS:
        raise ValueError(f"No cosine softmax of kind {kind!r}; there are {', '.join(KINDS)}.")
    check_classes(labels, len(weights))

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        own = labels[rows]
        if kind != "normface":
            right = own.clamp_min(0)[:, None]
            values = values.scatter(1, right, _lowered(values.gather(1, right), margin, kind))
        total = cross_entropy(scale * values, own, ignore_index=NO_LABEL, reduction="sum")
        return total, (own != NO_LABEL).sum()

    return mean_over_rows(embeddings, normalize(weights, dim=1), term)


def _lowered(cosine: Tensor, margin: float, kind: str) -> Tensor:
    """The cosine of the right class, less its margin."""
    if kind == "cosface":
        return cosine - margin
    # The derivative of the angle is infinite at both ends of the cosine.
    limit = 1 - torch.finfo(cosine.dtype).eps
    inner = cosine.clamp(-limit, limit)
    turned = inner * math.cos(margin) - (1 - inner.square()).sqrt() * math.sin(margin)
    # Beyond pi - m the turned angle would come up again; the line goes on falling (the authors' code).
    beyond = cosine < math.cos(math.pi - margin)
    return torch.where(beyond, cosine - margin * math.sin(margin), turned)
