"""Noise-contrastive estimation: is this sample data, or one of m samples of noise?

Gutmann and Hyvärinen, "Noise-contrastive estimation: A new estimation principle for unnormalized statistical models",
AISTATS 2010, equations 3 and 4 (http://proceedings.mlr.press/v9/gutmann10a.html), for m noise samples a data sample;
with the model P = exp(s/tau) / Z of Wu, Xiong, Yu and Lin, "Unsupervised Feature Learning via Non-Parametric Instance
Discrimination", CVPR 2018, equations 4 to 8 (https://arxiv.org/abs/1805.01978). The normaliser Z and the probability of
the noise are part of it: without them it is another loss.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from retrieval.losses.precision import full_precision


@full_precision
def nce(
    queries: Tensor,
    keys: Tensor,
    noise: Tensor,
    noise_probability: Tensor | float,
    key_probability: Tensor | float | None = None,
    *,
    log_z: Tensor,
    temperature: float = 0.07,
) -> Tensor:
    """Mean over queries of -log sigma(l(key)) - sum over the noise of log sigma(-l(noise)).

    The logit of a sample x is l(x) = s/tau - log Z - log(m P_noise(x)): log of the model's density over m times that of
    the noise.

    Args:
        queries: [N, D], unit norm.
        keys: [N, D], unit norm: the data sample of each query.
        noise: [m, D] for all queries, or [N, m, D], unit norm.
        noise_probability: P_noise of the noise samples, in (0, 1]: a number or [m] or [N, m].
        key_probability: P_noise of the keys: a number or [N]; None takes ``noise_probability``, then a number.
        log_z: scalar; learned (it has a gradient), or estimated once by ``estimated_log_z``.
        temperature: tau > 0.

    Returns:
        Scalar > 0; 0 with a gradient of 0 for no queries.

    Raises:
        ValueError: shapes that do not fit, or no noise.
    """
    if queries.shape != keys.shape or noise.ndim not in (2, 3) or not noise.shape[-2]:
        raise ValueError(f"Queries {list(queries.shape)}, keys {list(keys.shape)}, noise {list(noise.shape)}: no fit.")
    key_probability = noise_probability if key_probability is None else key_probability
    of_keys = torch.as_tensor(key_probability, dtype=queries.dtype, device=queries.device)
    of_noise = torch.as_tensor(noise_probability, dtype=queries.dtype, device=queries.device)
    if of_keys.ndim > 1 or (of_keys.ndim == 1 and len(of_keys) != len(queries)):
        raise ValueError(f"The keys' probabilities {list(of_keys.shape)} are not one a query.")
    samples = noise.shape[-2]
    wrong = queries @ noise.T if noise.ndim == 2 else torch.einsum("nd,nmd->nm", queries, noise)
    right = (queries * keys).sum(dim=1)
    is_key = right / temperature - log_z - of_keys.log() - math.log(samples)
    is_noise = wrong / temperature - log_z - of_noise.log() - math.log(samples)
    return (softplus(-is_key).sum() + softplus(is_noise).sum()) / max(1, len(queries))


@torch.no_grad()
def estimated_log_z(similarities: Tensor, instances: int, temperature: float) -> Tensor:
    """log of n times the mean of exp(s/tau): Wu's estimate of the normaliser, made once from the first batches.

    Args:
        similarities: of any shape, between queries and samples drawn evenly from the n instances.
        instances: n.
        temperature: tau > 0.

    Returns:
        Scalar.

    Raises:
        ValueError: no similarity is given.
    """
    if not similarities.numel():
        raise ValueError("Without a similarity there is nothing to estimate the normaliser from.")
    # On the processor where the device has no float64.
    values = similarities.cpu() if similarities.device.type == "mps" else similarities
    logits = values.double().flatten() / temperature
    mean = logits.logsumexp(dim=0) - math.log(logits.numel())
    found = (mean + math.log(instances)).to(torch.promote_types(similarities.dtype, torch.float32))
    return found.to(similarities.device)
