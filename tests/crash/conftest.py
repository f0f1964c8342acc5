"""Fixtures of the crash suite: pictures and an encoder made once, a launcher, and uninterrupted galleries."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.support import Launcher, Truth, change_library, draw_library, make_small_model, read_truth


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("launcher"))
    yield launcher
    launcher.close()


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_model(tmp_path_factory.mktemp("models") / "small")


@dataclass(frozen=True)
class Uninterrupted:
    """A gallery that was made in one go, and brought up to date in one go after the photos changed.

    Attributes:
        before_change, photos: the gallery before the change, and the photos it was made of; copy them.
        gallery: after the change.
        first, second: what it held before and after the change.
        first_seconds, second_seconds: how long the two runs took.
    """

    photos: Path
    before_change: Path
    gallery: Path
    first: Truth
    second: Truth
    first_seconds: float
    second_seconds: float


@pytest.fixture(scope="session")
def uninterrupted(launcher: Launcher, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    """Three hundred pictures: twenty commits."""
    return _without_interruption(launcher, small_model, tmp_path_factory.mktemp("uninterrupted"), 300)


@pytest.fixture(scope="session")
def small(launcher: Launcher, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    """Eighty pictures: six commits."""
    return _without_interruption(launcher, small_model, tmp_path_factory.mktemp("small"), 80)


def _without_interruption(launcher: Launcher, model: Path, base: Path, count: int) -> Uninterrupted:
    photos = draw_library(base / "photos", count)
    gallery, changed = base / "gallery", Path(shutil.copytree(photos, base / "changed"))
    first_seconds = _timed_run(launcher, gallery, changed, model)
    before_change, first = Path(shutil.copytree(gallery, base / "before_change")), read_truth(gallery)
    change_library(changed)
    second_seconds = _timed_run(launcher, gallery, changed, model)
    return Uninterrupted(photos, before_change, gallery, first, read_truth(gallery), first_seconds, second_seconds)


def _timed_run(launcher: Launcher, gallery: Path, photos: Path, model: Path) -> float:
    start = time.monotonic()
    ended = launcher.run("index", gallery=gallery, photos=photos, model=model)
    assert ended.code == 0, ended.words
    return time.monotonic() - start


@pytest.fixture(scope="session")
def finished(
    launcher: Launcher, small_model: Path, small: Uninterrupted, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A gallery of ``small.photos``, which stay as they are; copy it."""
    gallery = tmp_path_factory.mktemp("finished") / "gallery"
    _timed_run(launcher, gallery, small.photos, small_model)
    return gallery


@pytest.fixture
def index(launcher: Launcher, small_model: Path) -> Callable[[Path, Path], None]:
    """A run that comes to its end."""

    def run(gallery: Path, photos: Path) -> None:
        ended = launcher.run("index", gallery=gallery, photos=photos, model=small_model)
        assert ended.code == 0, ended.words

    return run
