"""Cross-entropy with soft labels: scores are to say what a distribution over the same classes says.

Between codes and prototype scores of two views: Caron et al., "Unsupervised Learning of Visual Features by Contrasting
Cluster Assignments" (SwAV), NeurIPS 2020, equation 2: https://arxiv.org/abs/2006.09882. Between teacher and student:
Caron et al., "Emerging Properties in Self-Supervised Vision Transformers" (DINO), ICCV 2021, equation 2:
https://arxiv.org/abs/2104.14294
"""

from torch import Tensor, dot

from retrieval.losses.precision import full_precision


@full_precision
def soft_cross_entropy(logits: Tensor, targets: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Mean over rows of -sum over k of target_k log softmax(logits / tau)_k.

    Args:
        logits: [N, K].
        targets: [N, K], each row >= 0 with sum 1; they get no gradient.
        temperature: tau > 0.

    Returns:
        Scalar >= 0, at least the targets' mean entropy; ln K where all logits of a row are alike; 0 for no rows.

    Raises:
        ValueError: the two shapes differ.
    """
    if logits.shape != targets.shape:
        raise ValueError(f"Logits {list(logits.shape)} and targets {list(targets.shape)} do not fit.")
    shares = (logits / temperature).log_softmax(dim=-1)
    return -dot(targets.detach().to(shares.dtype).flatten(), shares.flatten()) / max(1, len(logits))
