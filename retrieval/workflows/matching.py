"""Where two pictures match: what each cell of their feature grids has to do with the score."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Pixels, Region
from retrieval.images.heat import RAMP
from retrieval.images.jobs import BytesResult, FileResult
from retrieval.images.region import seen_share

__all__ = ["MOST_CELLS", "RAMP", "EmbedsCells", "Explanation", "Heat", "ToMatch", "as_bytes", "explained"]

if TYPE_CHECKING:
    from retrieval.models.cells import Cells

MOST_CELLS = 16
"""Cells a side; a finer grid is put together to so many, which bounds what is computed and sent."""

_LEAST_RANGE = 0.1
"""Of cosines: what differs by less is not shown as if it were strong and weak."""


class EmbedsCells(Protocol):
    """An encoder that tells what its cells give."""

    @property
    def spec(self) -> Preprocessing:
        """How files become its input."""

    def embed_cells(self, pixels: Pixels) -> "list[Cells]":
        """Of [n, S, S, 3] uint8. Raises NoGrid."""


@dataclass(frozen=True, slots=True)
class ToMatch:
    """A decoded picture, and the part of it that was asked for."""

    decoded: BytesResult | FileResult
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class Heat:
    """One of the two pictures.

    Attributes:
        width, height: in pixels, upright.
        seen: left, top, right and bottom of what the encoder sees, as shares of width and height in [0, 1]. The grid
            divides exactly this into equal cells.
        values: [h, w] what each cell adds to the score, or how near it alone is to the other picture: see
            ``Explanation.exact``.
        levels: [h, w] the same in [0, 1], to be shown: 1 is the strongest of this picture, and 0 is what adds nothing,
            or where values are cosines the weakest.
    """

    width: int
    height: int
    seen: tuple[float, float, float, float]
    values: NDArray[np.float32]
    levels: NDArray[np.float32]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "width": self.width,
            "height": self.height,
            "seen": [round(share, 6) for share in self.seen],
            "values": _listed(self.values),
            "levels": _listed(self.levels),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where two pictures match.

    Attributes:
        query, image: what was searched with, and the image of the gallery.
        pairs: [cells of query, cells of image] row by row of their grids: what each pair has to do with each other.
        score: cosine of the two embeddings, in [-1, 1], computed in float32.
        exact: the values of each picture, and ``pairs``, sum to the score. Otherwise the encoder pools in a way that no
            sum can tell; values are then cosines of single cells with the other picture's embedding, and of single
            cells with each other.
    """

    query: Heat
    image: Heat
    pairs: NDArray[np.float32]
    score: float
    exact: bool

    @property
    def pair_levels(self) -> NDArray[np.float32]:
        """``pairs`` in [0, 1], to be shown: 1 is the strongest, 0 what adds nothing, or no more than the average."""
        return _levels(self.pairs, 0.0 if self.exact else float(self.pairs.mean()))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without the pairs, which are many."""
        pictures = {"query": self.query.to_dict(), "image": self.image.to_dict()}
        return {"score": self.score, "exact": self.exact, **pictures}


def explained(encoder: EmbedsCells, pictures: Sequence[ToMatch]) -> Explanation:
    """The explanation of a query and an image, in this order.

    Raises:
        ImageError: one of them could not be decoded.
        NoGrid: the encoder keeps no grid.
    """
    from retrieval.functional.matching import cell_contributions, coarser, pair_contributions

    for one in pictures:
        if one.decoded.error is not None:
            raise one.decoded.error
    pixels = [one.decoded.pixels for one in pictures if one.decoded.pixels is not None]
    first, second = encoder.embed_cells(np.stack(pixels))
    exact = first.exact and second.exact
    grids = [coarser(one.parts, MOST_CELLS, summed=exact) for one in (first, second)]
    flat = [grid.flatten(0, 1) for grid in grids]
    values = [cell_contributions(flat[0], second.whole), cell_contributions(flat[1], first.whole)]
    heats = [
        _heat(one, each.reshape(grid.shape[:2]).numpy(), encoder.spec, exact)
        for one, each, grid in zip(pictures, values, grids, strict=True)
    ]
    pairs = pair_contributions(*flat).numpy()
    return Explanation(heats[0], heats[1], pairs, round(float(first.whole @ second.whole), 6), exact)


def _heat(one: ToMatch, values: NDArray[np.float32], spec: Preprocessing, exact: bool) -> Heat:
    assert one.decoded.facts is not None
    size = (one.decoded.facts.width, one.decoded.facts.height)
    levels = _levels(values, 0.0 if exact else min(float(values.min()), float(values.max()) - _LEAST_RANGE))
    return Heat(*size, seen_share(size, spec, one.region), values, levels)


def _levels(values: NDArray[np.float32], nothing: float) -> NDArray[np.float32]:
    """In [0, 1]: 0 at ``nothing`` and below, 1 at the largest; all 0 where none is above it."""
    span = float(values.max()) - nothing
    if span <= 0:
        return np.zeros_like(values)
    levels: NDArray[np.float32] = np.clip((values - nothing) / span, 0, 1).astype(np.float32)
    return levels


def as_bytes(levels: NDArray[np.float32]) -> bytes:
    """Levels in [0, 1] as one byte each, row by row."""
    return (levels * 255).round().astype(np.uint8).tobytes()


def _listed(values: NDArray[np.float32]) -> list[list[float]]:
    return [[round(value, 6) for value in row] for row in values.tolist()]
