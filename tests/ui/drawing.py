"""Small pictures for tests, drawn on the spot."""

import io
import os
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

COLOURS = {"apple": (190, 40, 40), "grass": (40, 150, 60), "sky": (70, 120, 210)}

ODD_LABEL = """<b>"odd" & 'strange'"""
ODD_NAMES = (
    b"line\nbreak.png",
    b"caf\xe9.png",
    b"<img src=x onerror=alert(1)>.png",
    b"${alert(1)} {{value}} `x`.png",
    b'\'" onclick="alert(1)".png',
    b"n" * 251 + b".png",
)


def picture(colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (160, 120), kind: str = "PNG") -> bytes:
    """A coloured ground with shapes that depend on the colour and ``seed``: no two are copies of each other."""
    random = Random(f"{colour} {seed}")
    image = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(image)
    for n in range(9):
        x, y = random.randrange(size[0]), random.randrange(size[1])
        shade = tuple(min(255, max(0, c + 70 - n % 3 * 60)) for c in colour)
        draw.ellipse((x - 25, y - 25, x + 25 + seed % 9, y + 25), fill=shade)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def draw_folder(folder: Path, each: int = 5) -> None:
    """``each`` pictures of every colour in a folder of its name, and one picture for every odd file name."""
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for n in range(each):
            (folder / label / f"{label} {n}.png").write_bytes(picture(colour, n))
    odd = folder / ODD_LABEL
    odd.mkdir()
    for n, name in enumerate(ODD_NAMES):
        Path(os.fsdecode(bytes(odd) + b"/" + name)).write_bytes(picture((120, 60, 160), n + 20))
