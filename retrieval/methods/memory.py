"""How much memory the losses of a recipe may take, said before a run starts; for miners see ``mining.memory``.

What counts are the tensors of one step, forward and backward: ``tests/methods/test_memory.py`` measures them for every
loss.
"""

from collections.abc import Iterable

import torch

from retrieval.losses import LOSSES, LossSpec
from retrieval.losses.nce import nce
from retrieval.losses.rows import block_values
from retrieval.methods.inputs import INSTANCE_NOISE, NOISE
from retrieval.methods.terms import Term

ROW_WORK = 44
"""Bytes for each entry of the embeddings: raw and normalised, as every process sees them, as the loss takes them, and
the gradients of these."""

SQUARE_WORK = 20
"""Bytes for each entry of a (dimension, dimension) matrix: losses over correlations make a few."""

PAIR_WORK = 48
"""Bytes for each entry of a block of (row, row) matrices: similarities, masks, all that is made of them, gradients."""

CLASS_WORK = 32
"""Bytes for each entry of a (row, class) matrix."""

NOISE_WORK = 20
"""Bytes for each entry of the noise of every query, the largest that noise-contrastive estimation holds."""

STATE_WORK = 16
"""Bytes for each entry of what a loss learns or remembers: itself, its gradient or what replaces it, two more."""


def losses_memory(
    terms: Iterable[Term], batch: int, dimension: int, classes: int, examples: int, device: str = "cpu"
) -> int:
    """An upper bound of what one step of a sum of losses takes beside the encoder, its miners apart.

    Args:
        terms: of the sum; what they hold waits for one way back, so that it adds up.
        batch: B, rows of the batch (of all processes together, since losses see the gathered batch).
        dimension: D.
        classes: C, classes that train.
        examples: n, images that train.
        device: on which the losses are computed: a GPU takes larger blocks.

    Returns:
        Bytes, in float32.
    """
    block = min(batch * batch, max(batch, block_values(torch.device(device))))
    return sum(_of_one(LOSSES[term.loss], batch, dimension, classes, examples, block) for term in terms)


def _of_one(spec: LossSpec, batch: int, dimension: int, classes: int, examples: int, block: int) -> int:
    states = {name: state.shape(classes, dimension, examples) for name, state in spec.state.items()}
    bytes_ = ROW_WORK * batch * dimension + SQUARE_WORK * dimension * dimension
    bytes_ += sum(STATE_WORK * torch.Size(shape).numel() for shape in states.values())
    if spec.inputs == "instances":
        return bytes_ + PAIR_WORK * batch * min(INSTANCE_NOISE, examples)
    if any(shape[:1] == (classes,) for shape in states.values()):
        return bytes_ + CLASS_WORK * batch * classes
    if spec.function is nce:
        pairs = batch // 2
        return bytes_ + pairs * min(NOISE, max(0, pairs - 1)) * (NOISE_WORK * dimension + PAIR_WORK)
    return bytes_ + PAIR_WORK * block
