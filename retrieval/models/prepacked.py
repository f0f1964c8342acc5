"""Convolutions for the processor with oneDNN: weights laid out once, the activation computed on the way out.

These are the operators that torch's own compiler would call; no compiler is needed to call them. They are not a
public interface, so everything here is tried out and compared before it is used, and given up where it fails.
"""

import copy
from collections.abc import Sequence
from typing import Any, cast

import timm.layers
import torch
from torch import Tensor, nn

from retrieval.models.folding import chained, replace_module, same_output

_layers: Any = timm.layers  # carries no type hints

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.SiLU)


class PrepackedConv(nn.Module):
    """A convolution and the activation after it, in one call of oneDNN.

    Args:
        conv: ``nn.Conv2d`` or timm's ``Conv2dSame``, with zero padding in numbers; its weights are shared.
        activation: one of ``_ACTIVATIONS``, or None.
        input_shape: [B, C, H, W] for which the weights are laid out; others work as well.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None, input_shape: Sequence[int]) -> None:
        super().__init__()
        self.same = type(conv) is not nn.Conv2d
        self.kernel, self.stride, self.dilation, self.groups = (
            list(conv.kernel_size),
            list(conv.stride),
            list(conv.dilation),
            conv.groups,
        )
        self.padding = [0, 0] if self.same else list(cast(tuple[int, int], conv.padding))
        self.kind, self.scalars = _fused(activation)
        self.bias = None if conv.bias is None else conv.bias.detach()
        # Plain attributes: a reordered weight is opaque to state_dict, deepcopy and to().
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            conv.weight.detach(), self.padding, self.stride, self.dilation, self.groups, list(input_shape)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C', H', W']."""
        if self.same:
            x = _layers.pad_same(x, self.kernel, self.stride, self.dilation)
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x,
            self.weight,
            self.bias,
            self.padding,
            self.stride,
            self.dilation,
            self.groups,
            self.kind,
            self.scalars,
            "",
        )
        return result


def prepacked(backbone: nn.Module, example: Tensor, exact: nn.Module | None = None) -> nn.Module | None:
    """A copy with every plain convolution prepacked; None where oneDNN is missing, the result differs, or it is idle.

    Args:
        backbone: already folded, on the processor, float32 or bfloat16; not changed.
        example: [B, 3, S, S] of the same type.
        exact: the same backbone in float32: its biases are used as they are. oneDNN adds them in float32 anyway, and
            rounding the folded biases to bfloat16 is what costs most (MobileNetV2: mean cosine .9995 instead of .9991).
    """
    mkldnn: Any = torch.backends.mkldnn
    if not mkldnn.is_available() or not _mostly_convolutions(backbone):
        return None
    try:
        # The tolerance is bfloat16's own: rounding before or after the activation is not the same.
        packed = _prepack(backbone, example)
        if exact is not None:
            _take_biases(packed, exact)
        close = same_output(backbone, packed, example, 1e-4 if example.dtype == torch.float32 else 0.1)
    except (RuntimeError, AttributeError, NotImplementedError, TypeError):
        return None
    return packed if close else None


def _prepack(backbone: nn.Module, example: Tensor) -> nn.Module:
    packed = copy.deepcopy(backbone)
    following = dict(chained(packed, example, nn.Conv2d, _ACTIVATIONS))
    shapes = _input_shapes(packed, example)
    for name, module in list(packed.named_modules()):
        if name not in shapes or not _packable(module):
            continue
        activation_name = following.get(name)
        activation = None if activation_name is None else packed.get_submodule(activation_name)
        if type(activation) not in _ACTIVATIONS:  # a sub-class may compute something else
            activation, activation_name = None, None
        replace_module(packed, name, PrepackedConv(cast(nn.Conv2d, module), activation, shapes[name]))
        if activation_name is not None:
            replace_module(packed, activation_name, nn.Identity())
    return packed


def _take_biases(packed: nn.Module, exact: nn.Module) -> None:
    for name, module in packed.named_modules():
        if isinstance(module, PrepackedConv) and module.bias is not None:
            module.bias = cast(nn.Conv2d, exact.get_submodule(name)).bias


def _mostly_convolutions(backbone: nn.Module) -> bool:
    # A large transformer with its one convolution would be held in memory twice for nothing.
    packable = sum(p.numel() for m in backbone.modules() if _packable(m) for p in m.parameters(recurse=False))
    return 2 * packable > sum(p.numel() for p in backbone.parameters())


def _packable(module: nn.Module) -> bool:
    if not isinstance(module, nn.Conv2d):
        return False
    known = type(module) is nn.Conv2d or type(module).__name__ == "Conv2dSame"
    return known and module.padding_mode == "zeros" and not isinstance(module.padding, str)


def _fused(activation: nn.Module | None) -> tuple[str, list[float]]:
    """The operator's name for the activation, and its numbers."""
    if activation is None:
        return "none", []
    if isinstance(activation, nn.Hardtanh):  # ReLU6 is one
        return "hardtanh", [float(activation.min_val), float(activation.max_val)]
    return {nn.ReLU: "relu", nn.Hardswish: "hardswish", nn.SiLU: "swish"}[type(activation)], []


def _input_shapes(model: nn.Module, example: Tensor) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = {}

    def note(name: str, inputs: Any) -> None:
        shapes[name] = list(inputs[0].shape)

    handles = [
        module.register_forward_pre_hook(lambda _m, inputs, name=name: note(name, inputs))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        model(example)
    for handle in handles:
        handle.remove()
    return shapes
