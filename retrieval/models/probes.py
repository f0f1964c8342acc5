"""Probe embeddings: stored with a space, they show whether a library upgrade changed what the encoder gives."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Pixels, Vectors

PROBES = 4

AGREEMENT = 0.995
"""Least cosine between two runs of one encoder; bfloat16 against float32 stays above it, another model does not."""


class Embedder(Protocol):
    """What is needed of a runtime."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How its images are made."""

    def embed(self, pixels: Pixels) -> Vectors:
        """[n, S, S, 3] → [n, D]."""


def probe_pixels(spec: Preprocessing) -> Pixels:
    """[4, S, S, 3] pictures that depend on the input size only: rings, stripes, a chequerboard, coloured blocks.

    All have hard edges: a smooth picture gives faint features, whose direction half precision alone would turn
    further than ``AGREEMENT`` allows.
    """
    size = spec.input_size
    y, x = np.mgrid[0:size, 0:size].astype(np.float64) / max(1, size - 1)
    rings = [np.hypot(x - 0.3, y - 0.6) * 36, np.hypot(x - 0.7, y - 0.4) * 28, np.hypot(x - 0.5, y - 0.9) * 20]
    stripes = [x * 48, (x + y) * 40, y * 56]
    board = (np.floor(x * 15.999) + np.floor(y * 15.999)) % 2
    pictures = np.stack(
        [
            np.sin(np.stack(rings, axis=-1)) > 0,
            np.sin(np.stack(stripes, axis=-1)) > 0,
            board[..., None] * [0.9, 0.6, 0.1] + 0.05,
            _blocks(16)[(y * 15.999).astype(int), (x * 15.999).astype(int)],
        ]
    )
    pixels: Pixels = np.clip(np.rint(pictures * 255), 0, 255).astype(np.uint8)
    return pixels


def probe_embeddings(runtime: Embedder) -> Vectors:
    """[4, D] what the runtime makes of ``probe_pixels``."""
    return runtime.embed(probe_pixels(runtime.preprocessing))


def probes_agree(a: Vectors, b: Vectors) -> bool:
    """Whether two sets of probe embeddings [4, D] come from the same encoder: every cosine at least ``AGREEMENT``."""
    return a.shape == b.shape and bool(np.min(cosines(a, b), initial=1.0) >= AGREEMENT)


def cosines(a: Vectors, b: Vectors) -> NDArray[np.float64]:
    """[n] cosine of each row of ``a`` with the same row of ``b``; −1 where one is zero or not finite."""
    first, second = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = np.sum(first * second, axis=1) / norms
    return np.asarray(np.where(np.isfinite(result), result, -1.0), dtype=np.float64)


def _blocks(cells: int) -> NDArray[np.float64]:
    """[cells, cells, 3] colours in [0, 1] from a generator of our own: numpy's may differ between versions."""
    state, values = 12345, []
    for _ in range(cells * cells * 3):
        state = (state * 1103515245 + 12345) % 2**31
        values.append((state >> 16) % 256 / 255)
    return np.array(values).reshape(cells, cells, 3)
