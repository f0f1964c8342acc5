"""InfoNCE between queries and keys: explicit negatives, those of the batch, or both.

van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018, equation 4
(https://arxiv.org/abs/1807.03748); with explicit negatives alone the form of He et al., "Momentum Contrast", CVPR
2020, equation 1 (https://arxiv.org/abs/1911.05722); the symmetric form is that of Radford et al., "Learning
Transferable Visual Models From Natural Language Supervision", 2021, figure 3 (https://arxiv.org/abs/2103.00020).
"""

import torch
from torch import Tensor

from retrieval.losses.precision import full_precision
from retrieval.losses.reductions import masked_logsumexp
from retrieval.losses.rows import mean_over_rows


@full_precision
def info_nce_queries(
    queries: Tensor,
    keys: Tensor,
    negatives: Tensor | None = None,
    *,
    temperature: float = 0.07,
    in_batch: bool = True,
    symmetric: bool = False,
) -> Tensor:
    """Mean over queries q of -log exp(q k+/tau) / sum over its candidates k of exp(q k/tau), k+ among them.

    Args:
        queries: [N, D], unit norm.
        keys: [N, D], unit norm; row i is the positive of query i.
        negatives: [K, D], unit norm, for all queries; a queue, for example.
        temperature: tau > 0.
        in_batch: the other queries' keys are negatives too.
        symmetric: the mean of this and of the same with queries and keys exchanged; with ``in_batch`` alone.

    Returns:
        Scalar >= 0; ln(number of candidates) where all embeddings are alike.

    Raises:
        ValueError: shapes that do not fit, no negatives of either kind, or ``symmetric`` with explicit negatives or
            without those of the batch.
    """
    if queries.shape != keys.shape:
        raise ValueError(f"Queries {list(queries.shape)} and keys {list(keys.shape)} do not fit.")
    if negatives is None and not in_batch:
        raise ValueError("Without negatives of the batch, explicit ones are needed.")
    if symmetric and (negatives is not None or not in_batch):
        raise ValueError("The symmetric form is defined for the negatives of the batch alone.")
    loss = _one_way(queries, keys, negatives, temperature, in_batch)
    return (loss + _one_way(keys, queries, None, temperature, in_batch)) / 2 if symmetric else loss


def _one_way(queries: Tensor, keys: Tensor, negatives: Tensor | None, temperature: float, in_batch: bool) -> Tensor:
    candidates = keys if negatives is None else torch.cat([keys, negatives])
    numbers = torch.arange(len(queries), device=queries.device)

    def term(rows: slice, values: Tensor) -> tuple[Tensor, Tensor]:
        logits = values / temperature
        right = logits.gather(1, numbers[rows, None])[:, 0]
        candidate = None
        if not in_batch:
            candidate = torch.ones(logits.shape, dtype=logits.dtype, device=logits.device)
            candidate[:, : len(keys)] = 0
            candidate.diagonal(rows.start).fill_(1)
        return (masked_logsumexp(logits, candidate) - right).sum(), numbers.new_tensor(len(logits))

    return mean_over_rows(queries, candidates, term)
