"""Pictures and files for the tests of ``retrieval.images``."""

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from retrieval.core.settings import Limits
from retrieval.images.pool import DecodePool

from .support import eventually

PLUGINS = Path(__file__).parent / "plugins"


def draw_photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture with a photo's statistics: detail falls off with frequency, plus a few hard edges; not symmetrical."""
    noise = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    frequency[0, 0] = 1
    layers = []
    for _ in range(3):
        spectrum = np.fft.fft2(noise.normal(size=(height, width))) / frequency**1.6
        layer = np.real(np.fft.ifft2(spectrum))
        layers.append((layer - layer.min()) / np.ptp(layer) * 255)
    pixels = np.stack(layers, axis=-1)
    pixels[: height // 4, : width // 3] = (230, 40, 30)
    pixels[height // 2 : height // 2 + height // 8, width // 2 :] = (20, 60, 220)
    return Image.fromarray(pixels.astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """``image`` as a file's bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """300 x 200 pixels."""
    return draw_photo(300, 200)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], bytes]:
    """Writes a file below the test's folder and returns its path as bytes."""

    def _write(name: str, content: bytes) -> bytes:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return str(path).encode()

    return _write


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the pool's workers find the modules in ``plugins/`` the way this process would."""
    monkeypatch.syspath_prepend(str(PLUGINS))


@pytest.fixture
def nothing_is_left_behind(shared_pool):
    """No process, dead or alive, and no thread of a pool outlives its test."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    threads = set(threading.enumerate())
    yield
    # First the threads: a pool that was closed by one of its own cannot wait for that one.
    assert eventually(lambda: not set(threading.enumerate()) - threads)
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert left == []


@pytest.fixture(scope="package")
def shared_pool():
    """One pool for all tests that do no harm to it; started on its first job."""
    with DecodePool(2, Limits(seconds=20, max_bytes=200_000, max_pixels=1_000_000)) as pool:
        pool.warm()
        assert eventually(lambda: len(pool.pids()) == 2)
        yield pool
