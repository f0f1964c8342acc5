"""Small files of pictures of the pages: they are downloaded with every clone."""

import io
from pathlib import Path

from PIL import Image

from tests.conftest import REPOSITORY


def keep_for_readme(screenshot: bytes, name: str) -> Path:
    """Write a PNG with a palette into ``.github``; gives its path.

    Args:
        screenshot: a PNG.
        name: of the file, without its ending.
    """
    whole = Image.open(io.BytesIO(screenshot)).convert("RGB")
    # Maximum coverage: by how often a colour occurs, those of the dots on the map would be lost.
    small = whole.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    path = REPOSITORY / ".github" / f"{name}.png"
    small.save(path, optimize=True)
    return path
