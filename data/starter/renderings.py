"""What can be made of photographs: line drawings, silhouettes, and pictures put together from several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageFilter, ImageOps

SIDE = 160


def outline(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Dark lines on white where the brightness changes."""
    grey = ImageOps.autocontrast(_square(photo).convert("L").filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.6))))
    edges = ImageOps.autocontrast(grey.filter(ImageFilter.FIND_EDGES).crop((2, 2, SIDE - 2, SIDE - 2)), cutoff=1)
    return ImageOps.invert(edges).convert("RGB")


def pencil(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Dodged greys, as of a soft pencil."""
    grey = _square(photo).convert("L")
    soft = ImageOps.invert(grey).filter(ImageFilter.GaussianBlur(rng.uniform(2, 6)))
    base, veil = np.asarray(grey, np.float32), 255 - np.asarray(soft, np.float32)
    return Image.fromarray(np.clip(base * 255 / np.maximum(veil, 1), 0, 255).astype(np.uint8)).convert("RGB")


def ink(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Black and white, cut at a middling brightness, at times inverted."""
    grey = _square(photo).convert("L").filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
    cut = float(np.quantile(np.asarray(grey), rng.uniform(0.3, 0.7)))
    made = grey.point(lambda v: 255 if v > cut else 0)
    return (ImageOps.invert(made) if rng.random() < 0.3 else made).convert("RGB")


def posterised(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A handful of flat colours."""
    smooth = _square(photo).filter(ImageFilter.MedianFilter(5))
    return ImageOps.posterize(smooth, int(rng.integers(2, 4)))


LINES: tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...] = (outline, pencil, ink, posterised)


def collage(photos: Sequence[Image.Image], rng: np.random.Generator) -> Image.Image:
    """Two photographs beside, above, within or over one another, or four in a square."""
    kind = int(rng.integers(5))
    first, second = (_square(photo) for photo in photos[:2])
    if kind == 0:
        made, at = first.copy(), round(SIDE * rng.uniform(0.3, 0.7))
        box = (at, 0, SIDE, SIDE) if rng.random() < 0.5 else (0, at, SIDE, SIDE)
        made.paste(second.crop(box), box[:2])
        return made
    if kind == 1:
        side = round(SIDE * rng.uniform(0.4, 0.65))
        made = first.copy()
        made.paste(second.resize((side, side)), tuple(int(v) for v in rng.integers(0, SIDE - side, 2)))
        return made
    if kind == 2:
        return Image.blend(first, second, float(rng.uniform(0.3, 0.5)))
    if kind == 3:
        return ImageChops.multiply(first, ImageOps.autocontrast(second.convert("L")).convert("RGB"))
    half, made = SIDE // 2, Image.new("RGB", (SIDE, SIDE))
    for n, photo in enumerate(photos[:4]):
        made.paste(_square(photo).resize((half, half)), (n % 2 * half, n // 2 * half))
    return made


def _square(photo: Image.Image) -> Image.Image:
    return ImageOps.fit(photo.convert("RGB"), (SIDE, SIDE), Image.Resampling.BICUBIC)
