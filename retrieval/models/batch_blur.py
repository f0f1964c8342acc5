"""Gaussian blur of a batch of pictures, each with its own width: one pass along rows, one along columns.

As sums of shifted pictures: a convolution with a group for each picture takes twice as long on a CPU for few large
pictures, and has to be prepared anew for every number of them.
"""

from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

_REACH = 3
"""A kernel ends after so many standard deviations; what is cut off there is less than a level of 255."""


def blurred(pictures: Tensor, sigmas: Tensor, most: float) -> Tensor:
    """Blur each picture, mirroring it at its edges.

    Args:
        pictures: [B, 3, H, W] floats; H and W are at least 2.
        sigmas: [B] standard deviations in pixels, above 0 and at most ``most``.
        most: settles the size of the kernel for all, so that a picture's blur does not depend on the others'.

    Returns:
        [B, 3, H, W].
    """
    reach = min(max(1, ceil(_REACH * most)), min(pictures.shape[2:]) - 1)
    kernels = gaussian_kernels(sigmas, reach)[:, :, None, None, None]
    for axis, edges in ((3, (reach, reach, 0, 0)), (2, (0, 0, reach, reach))):
        size, padded = pictures.shape[axis], F.pad(pictures, edges, mode="reflect")
        pictures = pictures * kernels[:, reach]
        for step in range(reach):
            pair = padded.narrow(axis, step, size) + padded.narrow(axis, 2 * reach - step, size)
            pictures.addcmul_(pair, kernels[:, step])
    return pictures


def gaussian_kernels(sigmas: Tensor, reach: int) -> Tensor:
    """[B, 2 * reach + 1] weights for each of [B] standard deviations; they sum up to 1."""
    offsets = torch.arange(-reach, reach + 1, device=sigmas.device, dtype=sigmas.dtype)
    return torch.softmax(-0.5 * (offsets / sigmas[:, None]).square(), 1)
