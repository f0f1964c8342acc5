"""Fixtures for all tests: a tiny encoder, folders of drawn pictures, and the shared real images where they are."""

import os

# Where several processes share the tests (`make test`), each computes in one thread: the pictures are tiny, and twice
# as many threads as cores wait for each other. Read by torch, FAISS and NumPy when they are loaded, so it stands first.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

import itertools
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_OUT = "PYTEST_XDIST_WORKER" in os.environ


if not os.environ.get("CI"):
    # A quarter of the usual examples at a desk; hypothesis has a profile of its own for CI.
    hypothesis.settings.register_profile("desk", max_examples=25)
    hypothesis.settings.load_profile("desk")


def need(condition: object, reason: str) -> None:
    """Skip for a missing component, except in CI, where everything that can be installed must be there."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"In CI nothing is skipped: {reason}")
    pytest.skip(reason)


def pytest_configure() -> None:
    """Float32, in this process and in all it starts, whatever the processor is quickest in.

    In bf16 the last digits of an embedding depend on the processor and on how many images share its batch, so that
    two runs could not be compared closely. What measures and uses half precision has tests of its own.
    """
    os.environ["RETRIEVAL_PRECISION"] = "fp32"
    if SHARED_OUT:
        # Training and galleries set the number of threads themselves: to all cores, if they are not told.
        os.environ["RETRIEVAL_THREADS"] = "1"


@pytest.fixture(scope="session")
def _nobodies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new folder at every ``next``; ``mktemp`` would read the names of all that there are, thousands of times."""
    folder = tmp_path_factory.mktemp("nobody")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, _nobodies: Iterator[Path]) -> None:
    """No test may touch the user's own gallery or settings."""
    for name in [name for name in os.environ if name.startswith("RETRIEVAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RETRIEVAL_PRECISION", "fp32")
    if SHARED_OUT:
        monkeypatch.setenv("RETRIEVAL_THREADS", "1")
    nobody = next(_nobodies)
    nobody.mkdir()
    for name in ("GALLERY", "DATA", "CACHE"):
        monkeypatch.setenv(f"RETRIEVAL_{name}", str(nobody / name.lower()))


@pytest.fixture(scope="session")
def shared() -> Path:
    """``../shared`` with real images and weights; skipped where it is absent."""
    folder = REPOSITORY.parent / "shared"
    need((folder / "data").is_dir(), "the shared images are not beside the repository")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder folder: untrained ResNet-10t at 32 pixels, 512 dimensions, for what trains or has two spaces.

    Galleries that several tests share have the starter, like every new one.
    """
    return make_model(tmp_path_factory.mktemp("models") / "tiny", seed=0)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture with other weights: another embedding space."""
    return make_model(tmp_path_factory.mktemp("models") / "other", seed=1)


def make_model(folder: Path, seed: int) -> Path:
    """An untrained tiny encoder in ``folder``."""
    from retrieval.workflows.models import create_model

    create_model(folder, backbone="resnet10t", untrained=True, seed=seed, input_size=32, name=folder.name)
    return folder


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture of coloured rectangles; every seed gives another one, the same one every time."""
    generator = np.random.default_rng(seed)
    width, height = size
    pixels = np.full((height, width, 3), generator.integers(0, 256, 3), np.uint8)
    for _ in range(6):
        left, top = generator.integers(0, width - 8), generator.integers(0, height - 8)
        right, bottom = left + generator.integers(8, width), top + generator.integers(8, height)
        pixels[top:bottom, left:right] = generator.integers(0, 256, 3)
    return Image.fromarray(pixels)


def draw(path: Path, seed: int, size: tuple[int, int] = (64, 48)) -> Path:
    """Save ``picture(seed)``; the format follows the ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures in three class folders: ``photos/{apple,pear,plum}/N.jpg``."""
    folder = tmp_path / "photos"
    for number, label in enumerate(("apple", "pear", "plum")):
        for n in range(4):
            draw(folder / label / f"{n}.jpg", 10 * number + n)
    return folder


@pytest.fixture(scope="session")
def _indexed_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    # With the default encoder, as a user has it.
    from retrieval.workflows.indexing import index_paths

    base = tmp_path_factory.mktemp("indexed")
    for number, label in enumerate(("apple", "pear", "plum")):
        for n in range(4):
            draw(base / "photos" / label / f"{n}.jpg", 10 * number + n)
    index_paths(base / "gallery", [base / "photos"])
    return base / "gallery", base / "photos"


@pytest.fixture
def indexed(_indexed_once: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """(gallery, photos): an own copy of an indexed gallery; the twelve photos it was made from must not be changed."""
    shutil.copytree(_indexed_once[0], tmp_path / "gallery")
    return tmp_path / "gallery", _indexed_once[1]


@pytest.fixture
def make_photos(tmp_path: Path) -> Callable[..., Path]:
    """Draw ``count`` pictures into a folder below the test's own."""

    def make(name: str, count: int, start: int = 0) -> Path:
        for n in range(start, start + count):
            draw(tmp_path / name / f"{n:05d}.jpg", n)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The command ``retrieval`` of this environment, as a list for ``subprocess``."""
    return [sys.executable, "-m", "retrieval"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who finds a gallery's write lock taken is refused soon: nobody lets go of it while the test waits."""
    monkeypatch.setattr("retrieval.workflows.layout._PATIENCE", 0.05)
