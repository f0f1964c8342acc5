"""Batch norms folded into the convolutions before them: fewer passes over memory, the same result.

Which convolution feeds which batch norm is not read off the order of the modules, which promises nothing, but
observed: one picture is run, and a pair is folded where the very tensor that a convolution gave went into a batch
norm unchanged. What the modules cannot show (a tensor that is also used elsewhere) shows in the result, which is
compared; where it differs, nothing is folded.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import timm.layers
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

_layers: Any = timm.layers  # carries no type hints

TOLERANCE = 1e-4
"""Largest difference that folding may make, as a share of the largest value of the output."""

Pair: TypeAlias = tuple[str, str]
"""Names of a module and of the one that takes its output."""


def folded(backbone: nn.Module, example: Tensor) -> nn.Module:
    """A copy of ``backbone`` with its batch norms folded away where that is exact; itself where nothing folds.

    Args:
        backbone: in evaluation mode; not changed.
        example: [B, 3, S, S] float32, something that is not constant.
    """
    pairs = chained(backbone, example, nn.Conv2d, nn.BatchNorm2d)
    if not pairs:
        return backbone
    slim = copy.deepcopy(backbone)
    for conv_name, norm_name in pairs:
        conv, norm = slim.get_submodule(conv_name), slim.get_submodule(norm_name)
        rest = _after_norm(norm)
        if rest is None or not _foldable(conv, norm):
            continue
        _fold(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm))
        replace_module(slim, norm_name, rest)
    return slim if same_output(backbone, slim, example, TOLERANCE) else backbone


def chained(model: nn.Module, example: Tensor, first: type[nn.Module], then: Any) -> list[Pair]:
    """Pairs of modules, each run exactly once, of which the second took the first's output as it was.

    Args:
        model: in evaluation mode.
        example: [B, 3, S, S].
        first: type of the giving module.
        then: type, or tuple of types, of the taking module.
    """
    made: dict[int, tuple[str, Tensor, int]] = {}
    pairs: list[Pair] = []
    runs: Counter[str] = Counter()

    def taking(name: str, inputs: Any) -> None:
        runs[name] += 1
        source = made.get(id(inputs[0])) if inputs else None
        # The version tells whether the tensor was changed in place in between, as residual additions do.
        if source is not None and source[1] is inputs[0] and source[2] == inputs[0]._version:
            pairs.append((source[0], name))

    def giving(name: str, output: Any) -> None:
        runs[name] += 1
        if isinstance(output, Tensor):
            made[id(output)] = (name, output, output._version)

    with _hooks(model, first, giving, then, taking), torch.no_grad():
        model(example)
    return [pair for pair in pairs if all(runs[name] == 1 for name in pair)]


def same_output(a: nn.Module, b: nn.Module, example: Tensor, tolerance: float) -> bool:
    """Whether both give the same for ``example``, up to a share of the largest value."""
    with torch.no_grad():
        expected, got = a(example), b(example)
    if expected.shape != got.shape or not torch.isfinite(got).all():
        return False
    scale = expected.abs().max().clamp(min=1e-12)
    return bool((expected - got).abs().max() <= tolerance * scale)


def replace_module(model: nn.Module, name: str, new: nn.Module) -> None:
    """Put ``new`` where ``name`` was."""
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)


@contextmanager
def _hooks(
    model: nn.Module,
    first: type[nn.Module],
    giving: Callable[[str, Any], None],
    then: Any,
    taking: Callable[[str, Any], None],
) -> Iterator[None]:
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, first):
            handles.append(module.register_forward_hook(lambda _m, _i, output, name=name: giving(name, output)))
        if isinstance(module, then):
            handles.append(module.register_forward_pre_hook(lambda _m, inputs, name=name: taking(name, inputs)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _after_norm(norm: nn.Module) -> nn.Module | None:
    """What remains of a batch norm that is folded away; None for kinds that are not known."""
    if type(norm) is nn.BatchNorm2d:
        return nn.Identity()
    if type(norm) is _layers.BatchNormAct2d and isinstance(norm.get_submodule("drop"), nn.Identity):
        return norm.get_submodule("act")
    return None


def _foldable(conv: nn.Module, norm: nn.Module) -> bool:
    # Sub-classes may standardise their weights or pad in their own way; padding does not matter, weights do.
    known = type(conv) is nn.Conv2d or type(conv).__name__ == "Conv2dSame"
    return known and isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    weight, bias = fuse_conv_bn_weights(conv.weight, conv.bias, mean, var, norm.eps, norm.weight, norm.bias)
    conv.weight, conv.bias = weight.requires_grad_(False), bias.requires_grad_(False)
