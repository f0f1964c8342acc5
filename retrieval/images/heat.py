"""Heat over a picture, for a file: how strongly each cell of a grid counts."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from retrieval.images.decode import Box

# Little that matches is dimmed, what is in the middle shows as it is, and the strongest glows. One hue and its absence,
# brighter the stronger: told apart also without seeing colours.
RAMP = (
    (0.0, (8, 16, 48, 0.84)),
    (0.35, (8, 16, 48, 0.5)),
    (0.6, (160, 120, 48, 0.14)),
    (1.0, (255, 176, 0, 0.58)),
)
"""(level, (red, green, blue, share of the colour in what is seen))."""

_GAP = 24
_LINE = 22
_PAPER, _INK, _FAINT = (255, 255, 255), (24, 24, 27), (95, 95, 105)


@dataclass(frozen=True, slots=True)
class Heated:
    """A picture and its heat.

    Attributes:
        picture: a JPEG of our own making; not for files of unknown origin, which are decoded by ``pool``.
        seen: left, top, right, bottom of the grid, as shares of the picture.
        levels: [h, w] in [0, 1].
        caption: one line; Latin letters are sure to be there.
    """

    picture: bytes
    seen: Box
    levels: NDArray[np.float32]
    caption: str


def coloured(levels: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Colours [..., 3] in [0, 255] and their opacity [..., 1] in [0, 1] of levels [...] in [0, 1], by ``RAMP``."""
    stops = [level for level, _ in RAMP]
    channels = [np.interp(levels, stops, [colour[n] for _, colour in RAMP]) for n in range(4)]
    return np.stack(channels[:3], axis=-1), channels[3][..., None]


def heat_over(one: Heated, side: int) -> Image.Image:
    """The picture within ``side`` pixels, heat where the grid lies, and grey around it."""
    picture = Image.open(io.BytesIO(one.picture)).convert("RGB")
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    left, top, right, bottom = (round(share * size[n % 2]) for n, share in enumerate(one.seen))
    inner = (max(1, right - left), max(1, bottom - top))
    pale = Image.blend(picture, Image.new("RGB", size, (235, 235, 238)), 0.75)
    pale.paste(_under_heat(picture.crop((left, top, left + inner[0], top + inner[1])), one.levels), (left, top))
    return pale


def _under_heat(picture: Image.Image, levels: NDArray[np.float32]) -> Image.Image:
    # Levels are made smooth, not colours: between two stops of the ramp lies another of its colours.
    grid = Image.fromarray(np.ascontiguousarray(levels, dtype=np.float32))
    colours, opacity = coloured(np.clip(np.asarray(grid.resize(picture.size, Image.Resampling.BILINEAR)), 0, 1))
    seen = np.asarray(picture, np.float64) * (1 - opacity) + colours * opacity
    return Image.fromarray(seen.round().astype(np.uint8))


def draw_side_by_side(pair: tuple[Heated, Heated], lines: Sequence[str], side: int = 560) -> bytes:
    """A PNG: both pictures with their captions, the scale of the colours, and ``lines`` below."""
    font, small = ImageFont.load_default(16), ImageFont.load_default(14)
    heated = [heat_over(one, side) for one in pair]
    height = max(one.height for one in heated)
    sheet = Image.new("RGB", (2 * side + 3 * _GAP, height + 3 * _GAP + _LINE * (3 + len(lines))), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for n, (one, image) in enumerate(zip(pair, heated, strict=True)):
        x = _GAP + n * (side + _GAP)
        draw.text((x, _GAP), _fitting(one.caption, font, side), _INK, font)
        sheet.paste(image, (x + (side - image.width) // 2, _GAP + _LINE + 6))
    y = height + 2 * _GAP + _LINE
    _draw_scale(sheet, draw, y, small)
    for n, line in enumerate(lines):
        draw.text((_GAP, y + _LINE * (n + 1) + 10), _fitting(line, small, 2 * side + _GAP), _FAINT, small)
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _draw_scale(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, y: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    low, high, width = "no match", "strongest match", 200
    x = _GAP + round(draw.textlength(low, font)) + 10
    bar = _under_heat(Image.new("RGB", (width, 14), (150, 150, 155)), np.linspace(0, 1, 64, dtype=np.float32)[None])
    draw.text((_GAP, y), low, _INK, font)
    sheet.paste(bar, (x, y + 1))
    draw.text((x + width + 10, y), high, _INK, font)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of a line as there is room for; names may be as long as a file system allows."""
    if font.getlength(text) <= width:
        return text
    kept = text[:200]
    while kept and font.getlength(kept + "…") > width:
        kept = kept[:-1]
    return kept + "…"
