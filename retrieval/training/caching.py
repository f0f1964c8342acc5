"""Gradient caching: the gradient of one large batch with the memory of a small one.

Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021, section 3.2:
https://arxiv.org/abs/2101.06983

The batch is embedded in chunks without gradient; the loss of all embeddings together gives the gradient with respect to
each of them; then each chunk is embedded once more, with the same random numbers, and its part of that gradient is
sent through it. The sum is the gradient of the whole batch exactly, as long as an example's embedding does not depend
on what else stands in its chunk: batch-norm in training mode does, and is refused. The encoder is run forward twice.

This bounds the memory of the encoder; that of the loss is bounded by the losses themselves, which walk in blocks.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from retrieval.core.errors import BadValue
from retrieval.functional.batch import Batch
from retrieval.methods.method import Method, StepOutput
from retrieval.training.randomness import set_torch_states, torch_states, torch_states_kept


def refuse_mixing(module: nn.Module) -> None:
    """Raise BadValue if a batch-norm layer in ``module``, as it is now, takes its statistics from the batch."""
    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm) and (layer.training or layer.running_mean is None):
            raise BadValue(
                f"Gradient caching is not exact here: the batch-norm layer {name or type(layer).__name__!r} would take "
                "its statistics from each chunk in place of the whole batch.",
                "Use batch_norm = frozen and a head without batch-norm, or leave chunk out.",
            )


def refuse_uncacheable(method: Method) -> None:
    """Raise BadValue if a method does not embed a batch piece by piece."""
    if type(method).embed is Method.embed:
        raise BadValue(
            f"{type(method).__name__} takes a batch as a whole, so that there is no gradient caching.",
            "Leave chunk out, and use a smaller batch_size, or accumulate.",
        )


def cached_backward(
    method: Method,
    batch: Batch,
    chunk: int,
    *,
    backward: Callable[[Tensor], None],
    autocast: Callable[[], AbstractContextManager[Any]],
) -> StepOutput:
    """Add the gradient of the batch's loss to ``method``'s parameters, ``chunk`` examples at a time.

    Args:
        method: gives ``embed`` and ``loss_of``.
        batch: of B examples.
        chunk: examples a piece; the last piece may be smaller.
        backward: sends the loss backward; may scale it.
        autocast: the precision of the forward passes.

    Returns:
        The step's output; its loss has been used up.

    Raises:
        BadValue: see ``refuse_mixing``.
    """
    refuse_mixing(method.encoder)
    pieces = torch.split(batch.inputs, chunk)
    states, outputs = [], []
    # Each pass has an autocast block of its own: the weights that it casts without gradient are cached until its end.
    with torch.no_grad(), autocast():
        for piece in pieces:
            states.append(torch_states(batch.inputs.device))
            outputs.append(method.embed(piece))
    whole = _joined(outputs)
    leaves = [leaf for leaf in _tensors(whole) if leaf.requires_grad]
    with autocast():
        step = method.loss_of(whole, batch)
    backward(step.loss)
    gradients = [torch.split(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad, chunk) for leaf in leaves]
    with torch_states_kept(batch.inputs.device):
        for i, piece in enumerate(pieces):
            set_torch_states(states[i], batch.inputs.device)
            with autocast():
                again = list(_tensors(method.embed(piece)))
            # Not through ``backward``: these gradients carry its scale already.
            ends = [(end, part[i]) for end, part in zip(again, gradients, strict=True) if end.requires_grad]
            if ends:
                torch.autograd.backward([end for end, _ in ends], [part for _, part in ends])
    return step


def _tensors(output: Any) -> Iterator[Tensor]:
    """All tensors of nested tuples and lists, in order."""
    if isinstance(output, Tensor):
        yield output
    else:
        for part in output:
            yield from _tensors(part)


def _joined(outputs: list[Any]) -> Any:
    """Outputs of the chunks as one output of the same build, of fresh leaves that collect gradients."""
    first = outputs[0]
    if isinstance(first, Tensor):
        return torch.cat(outputs).requires_grad_(True)
    parts = [_joined([output[i] for output in outputs]) for i in range(len(first))]
    return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
