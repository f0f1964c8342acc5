"""A map of embeddings in the plane: a dot an image, and pictures where there is room for one."""

import base64
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.markup import tag, text

Floats = NDArray[np.float64]

WIDTH = 1080.0
SHORTEST, TALLEST = 460.0, 860.0
SIDE = 42.0
_GAP = 3.0
_EDGE = SIDE / 2 + 8


def layout(places: Floats) -> tuple[Floats, float]:
    """Places [N, 2] in a box of ``WIDTH`` by the height that is returned, both axes on one scale, the middle in the
    middle; the y axis points down."""
    low, high = places.min(axis=0), places.max(axis=0)
    extent = np.maximum(high - low, 1e-9)
    inner = WIDTH - 2 * _EDGE
    height = float(np.clip(inner * extent[1] / extent[0] + 2 * _EDGE, SHORTEST, TALLEST))
    scale = min(inner / extent[0], (height - 2 * _EDGE) / extent[1])
    centred = (places - (low + high) / 2) * [scale, -scale]
    return centred + np.array([WIDTH / 2, height / 2]), height


def shown_pictures(boxed: Floats) -> list[int]:
    """Rows of [N, 2] boxed places whose pictures have room: in order, each that touches none before it."""
    kept: list[int] = []
    for row, place in enumerate(boxed):
        if not kept or bool(np.all(np.abs(boxed[kept] - place).max(axis=1) >= SIDE + _GAP)):
            kept.append(row)
    return kept


def picture_map(
    places: Floats, colours: Sequence[str], pictures: Mapping[int, bytes], titles: Sequence[str], label: str
) -> str:
    """The map as SVG.

    Args:
        places: [N, 2] of the images.
        colours: class of each dot and ring: ``"same"``, ``"other"`` or ``"plain"``.
        pictures: small JPEGs by row; of those with room, the ones that are here are shown.
        titles: what is said when the pointer rests on an image.
        label: what the map shows, for those who do not see it.
    """
    boxed, height = layout(places)
    dots = "".join(
        tag("circle", tag("title", text(title, 120)), cx=float(x), cy=float(y), r=4, class_=f"spot {colour}")
        for (x, y), colour, title in zip(boxed, colours, titles, strict=True)
    )
    drawn = ""
    for row in shown_pictures(boxed):
        if row not in pictures:
            continue
        x, y = (float(value) - SIDE / 2 for value in boxed[row])
        data = base64.b64encode(pictures[row]).decode()
        # The attribute's name and value are ours; only the title holds what a stranger wrote.
        image = (
            f'<image class="thumb" x="{x:.6g}" y="{y:.6g}" width="{SIDE:g}" height="{SIDE:g}" '
            f'preserveAspectRatio="xMidYMid slice" href="data:image/jpeg;base64,{data}">'
            f"{tag('title', text(titles[row], 120))}</image>"
        )
        ring = tag("rect", x=x, y=y, width=SIDE, height=SIDE, rx=7, class_=f"ring {colours[row]}")
        drawn += image + ring
    box = f"0 0 {WIDTH:g} {height:.6g}"
    return tag("svg", dots + drawn, class_="map", viewBox=box, role="img", aria_label=label)
