"""Which triangle is seen in which pixel: a z-buffer that handles thousands of triangles at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drawing.mesh import Floats, Ints

BLOCK = 1_500_000  # pixels looked at in one go: bounds memory to some 100 MB


def rasterise(flat: Floats, nearness: Floats, size: int) -> tuple[NDArray[np.float32], Ints]:
    """Draw triangles into a square of size x size pixels.

    flat: (F, 3, 2), corners in pixels, y downwards. nearness: (F, 3), larger is closer, linear across the picture.
    Returns the nearness per pixel (size, size; -inf where empty) and the index of the triangle seen (-1 where none).
    """
    nearest = np.full(size * size, -np.inf, dtype=np.float32)
    seen = np.full(size * size, -1, dtype=np.int64)
    low = np.maximum(np.ceil(flat.min(axis=1) - 0.5), 0).astype(np.int64)
    high = np.minimum(np.floor(flat.max(axis=1) - 0.5), size - 1).astype(np.int64)
    extent = high - low + 1
    a, b, c = flat[:, 0], flat[:, 1], flat[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    alive = np.flatnonzero((extent > 0).all(axis=1) & (np.abs(area) > 1e-9))
    if not len(alive):
        return nearest.reshape(size, size), seen.reshape(size, size)
    weights = barycentric_planes(flat[alive], area[alive])
    level = np.ceil(np.log2(np.maximum(extent[alive], 1))).astype(np.int64)
    kind = level[:, 0] * 32 + level[:, 1]
    pixels, values, owners = [], [], []
    for value in np.unique(kind):
        members = np.flatnonzero(kind == value)
        width, height = 1 << int(value) // 32, 1 << int(value) % 32
        step = max(1, BLOCK // (width * height))
        for start in range(0, len(members), step):
            some = members[start : start + step]
            x = low[alive[some], 0][:, None, None] + np.arange(width)[None, None, :]
            y = low[alive[some], 1][:, None, None] + np.arange(height)[None, :, None]
            w = weights[some]
            parts = [
                w[:, k, 0, None, None] * (x + 0.5) + (w[:, k, 1, None, None] * (y + 0.5) + w[:, k, 2, None, None])
                for k in range(3)
            ]
            inside = (parts[0] >= -1e-7) & (parts[1] >= -1e-7) & (parts[2] >= -1e-7) & (x < size) & (y < size)
            which, row, column = np.nonzero(inside)
            near = nearness[alive[some]]
            depth = sum(parts[k][which, row, column] * near[which, k] for k in range(3))
            pixels.append((low[alive[some], 1][which] + row) * size + low[alive[some], 0][which] + column)
            values.append(np.asarray(depth, dtype=np.float32))
            owners.append(alive[some][which])
    pixel, value_, owner = np.concatenate(pixels), np.concatenate(values), np.concatenate(owners)
    np.maximum.at(nearest, pixel, value_)
    won = value_ == nearest[pixel]
    seen[pixel[won]] = owner[won]
    return nearest.reshape(size, size), seen.reshape(size, size)


def barycentric_planes(flat: Floats, area: Floats) -> Floats:
    """For triangles (F, 3, 2) of twice the area (F,): (F, 3, 3), rows (p, q, r) with weight = p x + q y + r."""
    planes = np.empty((len(flat), 3, 3))
    for k in range(3):
        b, c = flat[:, (k + 1) % 3], flat[:, (k + 2) % 3]
        planes[:, k, 0] = (b[:, 1] - c[:, 1]) / area
        planes[:, k, 1] = (c[:, 0] - b[:, 0]) / area
        planes[:, k, 2] = (b[:, 0] * c[:, 1] - c[:, 0] * b[:, 1]) / area
    return planes
