"""An encoder's embedding of one picture, cell by cell of the last feature grid before pooling.

Where the backbone averages its grid and all behind it is affine (linear head, projections, batch-norm), the cells
carry exact parts of the embedding: see ``retrieval.functional.matching``. Norms on the way are divisions by one number
for one picture, and so are carried through exactly too. Otherwise (other pooling, a class token, a head with hidden
layers) each cell is embedded as if it were the whole picture, which is an approximation.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.core.errors import NoGrid
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Pixels
from retrieval.functional.distances import widened
from retrieval.functional.matching import scaled_by_mean
from retrieval.models.encoder import Encoder, Projection, unit_norm

_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Cells:
    """One picture.

    Attributes:
        parts: [h, w, D] float32, on the processor. If ``exact`` they sum to ``whole``; otherwise each is a cell's own
            embedding, with unit norm.
        whole: [D] the picture's embedding, unit norm.
        exact: see ``parts``.
    """

    parts: Tensor
    whole: Tensor
    exact: bool


def embed_cells(encoder: Encoder, preprocessing: Preprocessing, pixels: Pixels) -> list[Cells]:
    """The cells of pictures.

    Args:
        encoder: in evaluation mode; float32.
        preprocessing: mean and std.
        pixels: [n, S, S, 3] uint8, made by this ``preprocessing``.

    Raises:
        NoGrid: the encoder keeps no grid whose cells lie where the picture's parts do.
    """
    mean, std = (torch.tensor(values).mul(255.0).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    images = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float().sub_(mean).div_(std)
    with torch.inference_mode():
        pooled = [_pooled(encoder, image[None]) for image in images]
        # Of one kind, so that they can be compared with each other.
        exact = _is_affine(encoder) and all(_is_mean(one) for one in pooled)
        return [_cells(encoder, one, exact) for one in pooled]


@dataclass(frozen=True, slots=True)
class _Pooled:
    """One picture in the backbone: what ``forward_features`` gave, its grid [h, w, C], and what was pooled [F]."""

    features: Tensor
    grid: Tensor
    pooled: Tensor

    @property
    def flat(self) -> Tensor:
        """[h * w, C] the grid's cells, row by row."""
        return widened(self.grid.flatten(0, 1))


def _pooled(encoder: Encoder, image: Tensor) -> _Pooled:
    backbone: Any = encoder.backbone
    if not hasattr(backbone, "forward_features") or not hasattr(backbone, "forward_head"):
        raise _no_grid()
    features = backbone.forward_features(image)
    if not isinstance(features, Tensor):
        raise _no_grid()
    return _Pooled(features, _grid(backbone, features), widened(backbone.forward_head(features)[0]))


def _cells(encoder: Encoder, one: _Pooled, exact: bool) -> Cells:
    height, width = one.grid.shape[:2]
    whole = _behind(encoder, one.pooled[None])[0]
    if exact:
        parts = _carried(encoder, one.flat) / (height * width)
    else:
        parts = _behind(encoder, _each_alone(encoder.backbone, one))
    return Cells(parts.reshape(height, width, -1), whole, exact)


def _behind(encoder: Encoder, pooled: Tensor) -> Tensor:
    """[N, D] embeddings, unit norm, of what a backbone pooled [N, F]."""
    return unit_norm(encoder.projections(widened(encoder.head(pooled))))


# -- the grid -------------------------------------------------------------------------------------------------------


def _grid(backbone: nn.Module, features: Tensor) -> Tensor:
    """[h, w, C] of what ``forward_features`` gave for one image: a map in either layout, or tokens."""
    if features.ndim == 4:
        grid = features[0] if _is_channels_last(backbone, features) else features[0].permute(1, 2, 0)
        if grid.shape[0] * grid.shape[1] > 1:
            return grid
    if features.ndim == 3:
        tokens = features[0, _prefix(backbone) :]
        height, width = _token_grid(backbone, len(tokens))
        if height * width == len(tokens) > 1:
            return tokens.reshape(height, width, -1)
    raise _no_grid()


def _is_channels_last(backbone: nn.Module, features: Tensor) -> bool:
    layout = str(getattr(backbone, "output_fmt", "")).upper()
    if layout.endswith(("NHWC", "NCHW")):
        return layout.endswith("NHWC")
    channels = getattr(backbone, "num_features", None)
    return features.shape[1] != channels and features.shape[3] == channels


def _prefix(backbone: nn.Module) -> int:
    """Tokens that stand before those of the picture's patches: the class, registers."""
    return int(getattr(backbone, "num_prefix_tokens", 0))


def _token_grid(backbone: nn.Module, tokens: int) -> tuple[int, int]:
    size = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    if isinstance(size, tuple) and len(size) == 2 and size[0] * size[1] == tokens:
        return int(size[0]), int(size[1])
    return isqrt(tokens), isqrt(tokens)


# -- exact parts ----------------------------------------------------------------------------------------------------


def _is_mean(one: _Pooled) -> bool:
    """Whether what the backbone gives is the mean of its grid: looked at, not concluded from names."""
    mean = one.flat.mean(dim=0)
    if mean.shape != one.pooled.shape:
        return False
    return bool((mean - one.pooled).norm() <= _TOLERANCE * one.pooled.norm().clamp(min=1e-12))


def _layers(encoder: Encoder) -> list[nn.Module]:
    head = list(encoder.head) if isinstance(encoder.head, nn.Sequential) else [encoder.head]
    return [*head, *encoder.projections]


def _is_affine(encoder: Encoder) -> bool:
    return all(isinstance(layer, nn.Identity | nn.Linear | nn.BatchNorm1d) for layer in _layers(encoder))


def _carried(encoder: Encoder, cells: Tensor) -> Tensor:
    """[N, D] cells behind head, projections and unit norm; their mean is the picture's embedding."""
    for layer in _layers(encoder):
        if isinstance(layer, Projection):
            cells = nn.functional.linear(scaled_by_mean(cells), layer.weight, layer.bias)
        else:
            cells = layer(cells)
    return scaled_by_mean(cells)


# -- approximate ones -----------------------------------------------------------------------------------------------


def _each_alone(backbone: Any, one: _Pooled) -> Tensor:
    """[N, F] what the backbone would pool of each cell if the picture had nothing else."""
    if one.features.ndim == 3:
        # In the place of every token there is: whatever the pooling takes, it is this cell.
        alone = one.flat[:, None, :].expand(-1, _prefix(backbone) + 1, -1)
    elif _is_channels_last(backbone, one.features):
        alone = one.flat[:, None, None, :]
    else:
        alone = one.flat[:, :, None, None]
    try:
        return widened(backbone.forward_head(alone.contiguous()))
    except (RuntimeError, IndexError, ValueError) as error:  # a pooling that takes no other size than the whole grid's
        raise _no_grid() from error


def _no_grid() -> NoGrid:
    return NoGrid(
        "This encoder does not keep where in a picture its features lie, so nothing can be said of parts.",
        "Searching works all the same; encoders made of convolutions or of patches do keep it.",
    )
