"""Diagnostics of an embedding: is it spread out, and over how many of its dimensions?

Alignment and uniformity: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and
Uniformity on the Hypersphere", ICML 2020: https://arxiv.org/abs/2005.10242. Effective rank: Garrido et al., "RankMe:
Assessing the Downstream Performance of Pretrained Self-Supervised Representations by Their Rank", ICML 2023, equation
1: https://arxiv.org/abs/2210.02885.

All of them depend on how many examples are looked at (the rank of N rows is at most N), so callers take a fixed
number: ``SAMPLE`` rows, or all where there are fewer, and state N beside the value.
"""

import torch
from torch import Tensor

SAMPLE = 512
"""N, the number of rows that the values of one report are computed from."""


def sample(count: int, size: int = SAMPLE, seed: int = 0) -> Tensor:
    """[min(count, size)] int64 places of ``count`` rows, ascending, drawn without replacement; the same every time."""
    if count < 0 or size < 1:
        raise ValueError(f"{size} of {count} rows cannot be drawn.")
    if count <= size:
        return torch.arange(count)
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(count, generator=generator)[:size].sort().values


@torch.no_grad()
def alignment(embeddings: Tensor, labels: Tensor, alpha: float = 2.0) -> Tensor:
    """Mean of |x - y| ** alpha over the positive pairs i < j, those of the same label; 0 is best.

    Args:
        embeddings: [N, D], unit norm.
        labels: [N] class numbers; rows of -1 have no label and are in no pair.
        alpha: exponent of the distance, > 0.

    Returns:
        Scalar >= 0 in float64; NaN where there is no positive pair.

    Raises:
        ValueError: shapes that do not fit.
    """
    _check(embeddings)
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(f"Labels {tuple(labels.shape)} do not fit embeddings {tuple(embeddings.shape)}.")
    upper = torch.triu(labels[:, None] == labels[None, :], diagonal=1) & (labels >= 0)[:, None]
    return _squared(embeddings)[upper].pow(alpha / 2).mean()


@torch.no_grad()
def uniformity(embeddings: Tensor, t: float = 2.0) -> Tensor:
    """log of the mean of exp(-t |x_i - x_j|²) over all pairs i < j; the more negative, the more evenly spread.

    Args:
        embeddings: [N, D], unit norm.
        t: > 0.

    Returns:
        Scalar in [-4 t, 0] in float64: 0 where all rows are one point; NaN for fewer than two rows.

    Raises:
        ValueError: shapes that do not fit.
    """
    _check(embeddings)
    if len(embeddings) < 2:
        return embeddings.new_full((), torch.nan, dtype=torch.float64)
    rows, columns = torch.triu_indices(len(embeddings), len(embeddings), 1, device=embeddings.device)
    exponents = -t * _squared(embeddings)[rows, columns]
    # A log-sum-exp, so that large t underflows nowhere.
    return exponents.logsumexp(0) - torch.log(torch.tensor(float(len(rows)), dtype=torch.float64))


@torch.no_grad()
def tolerance(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Mean cosine over the positive pairs i < j, those of the same label; 1 is best.

    Wang and Liu, "Understanding the Behaviour of Contrastive Loss", CVPR 2021, section 3.3.2: how far an embedding
    keeps samples together that may be positives: https://arxiv.org/abs/2012.09740. Of unit vectors it is
    1 - alignment / 2 (with alpha = 2).

    Args:
        embeddings: [N, D], unit norm.
        labels: [N] class numbers; rows of -1 have no label and are in no pair.

    Returns:
        Scalar in [-1, 1] in float64; NaN where there is no positive pair.

    Raises:
        ValueError: shapes that do not fit.
    """
    return 1 - alignment(embeddings, labels) / 2


@torch.no_grad()
def singular_values(embeddings: Tensor, *, centred: bool = False) -> Tensor:
    """[min(N, D)] singular values of the embedding matrix in float64, descending.

    Args:
        embeddings: [N, D].
        centred: whether the mean row is taken off first. RankMe does not; a principal component analysis does.

    Raises:
        ValueError: shapes that do not fit.
    """
    _check(embeddings)
    rows = embeddings.double()
    if centred:
        rows = rows - rows.mean(dim=0)
    values: Tensor = torch.linalg.svdvals(rows.cpu())
    return values


@torch.no_grad()
def effective_rank(embeddings: Tensor, *, centred: bool = False) -> Tensor:
    """RankMe: exp(-Σ p_k log p_k) with p_k = σ_k / Σ σ + 1e-7 over the min(N, D) singular values.

    Args:
        embeddings: [N, D]; which layer they are of is for the caller to say.
        centred: see ``singular_values``.

    Returns:
        Scalar in float64, right to about 1e-6, from about 1 (one direction) to about min(N, D); NaN for rows that are
        all zero.

    Raises:
        ValueError: shapes that do not fit, or no rows.
    """
    _check(embeddings)
    if not embeddings.numel():
        raise ValueError("The effective rank of nothing is not defined.")
    rows = embeddings.double().cpu()
    if centred:
        rows = rows - rows.mean(dim=0)
    # By the smaller Gram matrix, a third of the time of a singular value decomposition: squaring loses singular values
    # below 1e-8 of the largest, a tenth of what the definition adds to each share anyway.
    gram = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    sigma = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    shares = sigma / sigma.sum() + 1e-7
    return torch.exp(-(shares * shares.log()).sum())


@torch.no_grad()
def dimension_std(embeddings: Tensor) -> Tensor:
    """[D] standard deviation of each dimension over the rows (N - 1 in the denominator), in float64.

    Embeddings that are spread evenly over the unit sphere have about 1 / √D in each; all 0 is complete collapse.

    Raises:
        ValueError: shapes that do not fit, or fewer than two rows.
    """
    _check(embeddings)
    if len(embeddings) < 2:
        raise ValueError(f"{len(embeddings)} rows have no standard deviation.")
    return embeddings.double().std(dim=0)


def _squared(embeddings: Tensor) -> Tensor:
    """[N, N] squared distances in float64, exactly 0 between equal rows.

    From one product of matrices, a twentieth of the time that the differences take. What it loses, some 1e-16 of the
    rows' squares, is lost to float32 embeddings anyway; below that, distances are rounding and count as 0.
    """
    rows = embeddings.double()
    squares = rows.square().sum(dim=1)
    sums = squares[:, None] + squares[None, :]
    distances = torch.addmm(sums, rows, rows.T, alpha=-2)
    return distances.where(distances > 64 * torch.finfo(torch.float64).eps * sums, 0.0)


def _check(embeddings: Tensor) -> None:
    if embeddings.ndim != 2:
        raise ValueError(f"Embeddings are rows and columns, not {tuple(embeddings.shape)}.")
