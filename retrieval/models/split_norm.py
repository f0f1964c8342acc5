"""Split batch-norm: one device computes the statistics that several would, each from its own part of the batch.

What it is for: where the query's and the key's batch-norm see the same images together, the statistics betray which
key belongs to which query. He et al. 2020 (https://arxiv.org/abs/1911.05722, section 3.3) shuffle the keys' batch over
devices; on one device their CIFAR notebook splits the batch of each layer in its place:
https://colab.research.google.com/github/facebookresearch/moco/blob/colab-notebook/colab/moco_cifar10_demo.ipynb
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from retrieval.core.errors import BadValue
from retrieval.models.encoder import EncoderOutput


def trained_norms(module: nn.Module) -> list[_BatchNorm]:
    """Batch-norm layers that take their statistics from the batch, as the module is now."""
    return [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.training]


def in_splits(
    run: Callable[[Tensor], EncoderOutput], norms: Sequence[_BatchNorm], images: Tensor, splits: int
) -> EncoderOutput:
    """Encode a batch in parts, so that each batch-norm layer normalises each part by itself.

    The layers' running statistics move once, towards the mean of the parts' statistics, as those of the notebook's
    layer do; any backbone can be used as it is.

    Args:
        run: encodes images; its batch-norm layers are ``norms``.
        norms: of which the momentum is set for each part and put back.
        images: [B, 3, S, S].
        splits: number of parts, 1 for a plain batch; nearly equal where B is no multiple of it.

    Returns:
        The whole batch's output, in its order.

    Raises:
        BadValue: parts of one image, which have no statistics.
    """
    if splits <= 1 or not norms:
        return run(images)
    if len(images) < 2 * splits:
        raise BadValue(
            f"A batch of {len(images)} images cannot be split into {splits} parts of two and more for batch-norm.",
            "Use a larger batch_size, or a smaller moco.splits (1: the whole batch together).",
        )
    parts = []
    for number, part in enumerate(images.tensor_split(splits)):
        with _weighing(norms, number, splits):
            parts.append(run(part))
    return EncoderOutput(*(torch.cat(values) for values in zip(*parts, strict=True)))


@contextmanager
def _weighing(norms: Sequence[_BatchNorm], number: int, splits: int) -> Iterator[None]:
    """Momenta with which, after the last part, every part weighs m / splits and what was before 1 - m."""
    kept = [norm.momentum for norm in norms]
    for norm, momentum in zip(norms, kept, strict=True):
        if momentum is not None:
            share = momentum / splits
            norm.momentum = share / (1 - (splits - 1 - number) * share)
    try:
        yield
    finally:
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum
