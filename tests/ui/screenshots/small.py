"""Small files of pictures of the pages: they are downloaded with every clone."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import REPOSITORY

_EXACT = 96


def keep_for_readme(screenshot: bytes, name: str) -> Path:
    """Write a PNG with a palette into ``.github``; gives its path.

    Args:
        screenshot: a PNG.
        name: of the file, without its ending.
    """
    path = REPOSITORY / ".github" / f"{name}.png"
    _few_colours(Image.open(io.BytesIO(screenshot)).convert("RGB")).save(path, optimize=True)
    return path


def _few_colours(whole: Image.Image) -> Image.Image:
    """With 256 colours: those of the page itself as they are, the others for the photos.

    A palette chosen for the whole would give the page's ground and its cards one white, and the map's labels one brown.
    """
    counted = sorted(whole.getcolors(whole.width * whole.height) or [], reverse=True)
    exact = [value for _, colour in counted[:_EXACT] for value in colour]
    mixed = whole.quantize(256 - len(exact) // 3, dither=Image.Dither.NONE).getpalette() or []
    palette = np.array(exact + mixed).reshape(-1, 3)[:256]
    pixels = np.asarray(whole).reshape(-1, 3)
    colours, place = np.unique(pixels, axis=0, return_inverse=True)
    # Pillow's own look-up is by approximate colours, and would miss the exact ones.
    nearest = np.concatenate(
        [((some[:, None] - palette) ** 2).sum(2).argmin(1) for some in np.array_split(colours.astype(int), 64)]
    )
    small = Image.fromarray(nearest[place.reshape(-1)].astype(np.uint8).reshape(whole.height, whole.width), "P")
    small.putpalette(palette.astype(np.uint8).tobytes())
    return small
