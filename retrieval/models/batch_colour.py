"""Changes of colour on a batch of pictures, each with its own parameters.

The definitions are torchvision's (https://docs.pytorch.org/vision/stable/transforms.html, ``adjust_brightness`` and
its sisters on floats): values are clamped to [0, 1] after every step, hue turns in the HSV cone. Nothing is rounded to
8 bits between steps.
"""

import torch
from torch import Tensor

_LUMA = (0.2989, 0.587, 0.114)

ORDERS = tuple(
    (tuple(kinds), before)
    for kinds in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    for before in range(4)
)
"""The 24 orders of the four steps of a jitter: in which order brightness (0), contrast (1) and saturation (2) come,
and before which of the three (3: after all) the hue is turned."""


def jittered(pictures: Tensor, orders: Tensor, factors: Tensor, turns: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue, in each picture's own order.

    The order is drawn for each picture as in the papers' pipelines: contrast after brightness is another picture than
    brightness after contrast, since both clamp. Brightness, contrast and saturation are one operation, a blend with
    black, with the mean luma, with the luma; so three blends over the whole batch do for all orders.

    Args:
        pictures: [B, 3, H, W] float32 in [0, 1]; overwritten.
        orders: [B] int64, which of ``ORDERS``.
        factors: [B, 3] of brightness, contrast, saturation; at least 0, and 1 changes nothing.
        turns: [B] of the hue, in full circles, in [-0.5, 0.5].

    Returns:
        [B, 3, H, W] in [0, 1], on the same memory.
    """
    table = torch.tensor([(*kinds, before) for kinds, before in ORDERS], device=pictures.device)[orders]
    for step in range(4):
        rows = (table[:, 3] == step).nonzero()[:, 0]
        pictures.index_copy_(0, rows, hue_turned(pictures.index_select(0, rows), turns[rows]))
        if step < 3:
            kinds = table[:, step]
            _blend(pictures, kinds, factors.gather(1, kinds[:, None])[:, 0])
    return pictures


def hue_turned(pictures: Tensor, turns: Tensor) -> Tensor:
    """[B, 3, H, W] in [0, 1], each with its hue turned by so many full circles ([B], in [-0.5, 0.5])."""
    red, green, blue = pictures.unbind(1)
    high, low = torch.maximum(red, green).maximum(blue), torch.minimum(red, green).minimum(blue)
    chroma = high - low
    # Where there is no colour, chroma is 0 and any hue does.
    over = chroma.clamp(min=1e-12).reciprocal_()
    # In sixths of a circle from red. A choice by 0 or 1 in floats takes half the time of one by comparison.
    not_red, not_green = ((high - channel).mul_(1e30).clamp_(max=1) for channel in (red, green))
    hue = torch.lerp((blue - red).mul_(over).add_(2), (red - green).mul_(over).add_(4), not_green)
    hue = torch.lerp((green - blue).mul_(over), hue, not_red)
    hue.add_(6 * turns[:, None, None])
    hue.sub_((hue / 6).floor_().mul_(6))
    shares = torch.empty_like(pictures)
    torch.sub(hue, 3, out=shares[:, 0]).abs_().sub_(1)
    torch.sub(hue, 2, out=shares[:, 1]).abs_().neg_().add_(2)
    torch.sub(hue, 4, out=shares[:, 2]).abs_().neg_().add_(2)
    return shares.clamp_(0, 1).mul_(chroma[:, None]).add_(low[:, None])


def greyed(pictures: Tensor) -> Tensor:
    """[B, 3, H, W], each replaced by its luma."""
    return _luma(pictures).expand(-1, 3, -1, -1)


def solarised(pictures: Tensor) -> Tensor:
    """[B, 3, H, W] in [0, 1] with x → 1 - x where x ≥ 1/2."""
    # Both branches at once: above the half, 1 - x is the smaller of the two.
    return torch.minimum(pictures, 1 - pictures)


def _blend(pictures: Tensor, kinds: Tensor, factors: Tensor) -> None:
    """x → f x + (1 - f) y, clamped, in place; y is black, the mean luma or the luma."""
    luma = _luma(pictures)
    # Two sums, each along memory: with a single picture, too, no thread takes a part of a sum, which would round anew.
    mean = luma.mean(3, keepdim=True).mean(2, keepdim=True)
    column = (slice(None), None, None, None)
    rest = (1 - factors)[column]
    other = luma.mul_(rest * (kinds == 2)[column]).add_(mean.mul_(rest * (kinds == 1)[column]))
    pictures.mul_(factors[column]).add_(other).clamp_(0, 1)


def _luma(pictures: Tensor) -> Tensor:
    """[B, 1, H, W]."""
    red, green, blue = (pictures[:, channel, None] for channel in range(3))
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])
