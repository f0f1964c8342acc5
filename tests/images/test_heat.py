"""Heat over a picture: where it lies, and that strong, middling and weak are told apart."""

import io

import numpy as np
import pytest
from PIL import Image

from retrieval.images.heat import Heated, coloured, draw_side_by_side, heat_over


def heated(levels: list[list[float]], seen: tuple[float, float, float, float] = (0, 0, 1, 1), **more: str) -> Heated:
    out = io.BytesIO()
    Image.new("RGB", (200, 100), (128, 128, 128)).save(out, "JPEG")
    return Heated(out.getvalue(), seen, np.array(levels, np.float32), more.get("caption", "a"))


def luminance(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(float) @ np.array([0.2126, 0.7152, 0.0722])


def test_over_an_even_picture_stronger_is_always_brighter() -> None:
    colours, opacity = coloured(np.linspace(0, 1, 101, dtype=np.float32))
    brightness = luminance(128 * (1 - opacity) + colours * opacity)
    assert (np.diff(brightness) > 0).all()
    assert brightness[-1] > 3 * brightness[0]


def test_the_heat_lies_where_the_grid_does() -> None:
    # A strong cell at the right of the second row, in the middle half of the picture; around it nothing is looked at.
    image = np.asarray(heat_over(heated([[0, 0, 0, 0], [0, 0, 0, 1]], (0.25, 0, 0.75, 1)), 200))
    assert image.shape == (100, 200, 3)
    strong, weak = image[80, 140], image[20, 60]
    assert luminance(strong) > luminance(weak) + 60
    assert strong[0] > strong[2] + 60
    for outside in (image[50, 20], image[50, 180]):
        assert np.ptp(outside) < 12
        assert luminance(outside) > 190


@pytest.mark.parametrize("size", [(20, 4000), (4000, 20)])
def test_a_very_long_picture_and_a_very_long_name_are_drawn(size: tuple[int, int]) -> None:
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "JPEG")
    long = Heated(out.getvalue(), (0.4999, 0.0, 0.5001, 1.0), np.zeros((1, 2), np.float32), "n" * 5000)
    sheet = Image.open(io.BytesIO(draw_side_by_side((long, heated([[0, 1]])), ["x" * 5000, ""], side=160)))
    assert sheet.format == "PNG"
    assert sheet.width < 500
