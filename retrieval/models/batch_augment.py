"""Views of a batch of pictures as tensors: the encoder's inputs for methods that learn without labels.

Crop, flip, jitter, grey, blur and solarise come in the order of SimCLR's and BYOL's pipelines, each for the whole
batch at once. Definitions are torchvision's (v2) on floats: after the crop, which is rounded to 8 bits as it is there,
nothing is rounded any more. What is drawn for a view depends on its example's key and its number alone; the pixels
that come of it may differ in the last bits of a float between devices, and by a level of 255 where a crop is rounded.

Random resized crop: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015; the pipeline: Chen et al., "A Simple
Framework for Contrastive Learning of Visual Representations", ICML 2020, appendix A; solarising: Grill et al.,
"Bootstrap Your Own Latent", NeurIPS 2020, appendix B; multi-crop: Caron et al., "Unsupervised Learning of Visual
Features by Contrasting Cluster Assignments", NeurIPS 2020.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.functional.counter import Keys, keys_of
from retrieval.models.batch_blur import blurred
from retrieval.models.batch_colour import greyed, jittered, solarised
from retrieval.models.look_draws import LookDraws, draw_looks
from retrieval.models.looks import Look
from retrieval.models.resample import resized_crops

Pictures = Tensor | Sequence[Tensor]
"""[B, 3, H, W] uint8, on any device; or, on the CPU, B of [3, H, W] uint8 of any sizes."""

_CACHED = 1 << 20
"""Values that are worked on at once on a CPU: four megabytes, which stay in its caches."""


class BatchAugment:
    """Makes the views of a batch.

    Args:
        looks: how each view is made, e.g. ``looks_for("byol", 224)``.
        mean, std: per channel, for values scaled to [0, 1]; of the encoder's preprocessing.

    Raises:
        ValueError: there is no look.
    """

    def __init__(
        self, looks: Sequence[Look], mean: tuple[float, float, float], std: tuple[float, float, float]
    ) -> None:
        if not looks:
            raise ValueError("There is no look to make a view of.")
        self.looks = tuple(look for look in looks for _ in range(look.count))
        self._scale = 1 / torch.tensor(std)[:, None, None]
        self._shift = -torch.tensor(mean)[:, None, None] * self._scale

    @property
    def sides(self) -> tuple[int, ...]:
        """Width and height of each view, in pixels."""
        return tuple(look.size for look in self.looks)

    def __call__(self, pictures: Pictures, keys: Keys) -> tuple[Tensor, ...]:
        """The views of B pictures.

        Args:
            pictures: uint8.
            keys: [B], one of each example (``functional.counter.keys_of``).

        Returns:
            For each view [B, 3, S, S] float32, normalised, where the pictures are.

        Raises:
            ValueError: not as many keys as pictures, pictures that are not uint8, or pictures of several sizes that
                are not on the CPU.
        """
        device = pictures.device if isinstance(pictures, Tensor) else None
        views = tuple(torch.empty((len(pictures), 3, side, side), device=device) for side in self.sides)
        self.fill(pictures, keys, views)
        return views

    def fill(self, pictures: Pictures, keys: Keys, views: Sequence[Tensor]) -> None:
        """The same, written to ``views``. Raises ValueError as calling does."""
        if len(pictures) != len(keys):
            raise ValueError(f"{len(pictures)} pictures, but {len(keys)} keys.")
        sizes = np.array([(picture.shape[2], picture.shape[1]) for picture in pictures], np.int64).reshape(-1, 2)
        for number, (look, view) in enumerate(zip(self.looks, views, strict=True)):
            drawn = draw_looks(look, keys_of(keys, number), sizes)
            step = max(1, _CACHED // (3 * look.size**2)) if view.device.type == "cpu" else max(1, len(view))
            for start in range(0, len(view), step):
                part = slice(start, start + step)
                self._made(pictures[part], look, LookDraws._make(values[part] for values in drawn), view[part])

    def _made(self, pictures: Pictures, look: Look, drawn: LookDraws, out: Tensor) -> None:
        boxes, flips, orders, factors, turns, _, sigmas, _ = (
            torch.from_numpy(values).to(out.device) for values in drawn
        )
        crops = resized_crops(pictures, boxes, look.size, flips, look.filter)
        view = crops.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
        recoloured = (drawn.factors != 1).any(1) | (drawn.turns != 0)
        _change(view, recoloured, lambda x, rows: jittered(x, orders[rows], factors[rows], turns[rows]))
        _change(view, drawn.greys, lambda x, rows: greyed(x))
        _change(view, drawn.sigmas > 0, lambda x, rows: blurred(x, sigmas[rows], look.sigma[1]))
        _change(view, drawn.solarised, lambda x, rows: solarised(x))
        torch.mul(view, self._scale.to(out.device), out=out).add_(self._shift.to(out.device))


def _change(view: Tensor, which: NDArray[np.bool_], change: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Change some pictures in place; the others keep every bit, whatever stands beside them."""
    if which.any():
        rows = torch.from_numpy(which.nonzero()[0]).to(view.device)
        view.index_copy_(0, rows, change(view.index_select(0, rows), rows))
