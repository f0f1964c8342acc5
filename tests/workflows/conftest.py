"""Fixtures of the workflows' tests: galleries that are ready to index into, and small folders of pictures."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from retrieval.core.settings import load_settings
from retrieval.images.pool import DecodePool
from retrieval.models.card import ModelCard
from retrieval.models.encoder import Encoder
from retrieval.models.runtime import EncoderRuntime
from retrieval.workflows import filling
from retrieval.workflows.encoders import open_runtime
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.models import create_model
from retrieval.workflows.training import TrainReport, train
from retrieval.workflows.upkeep import remove_root

from .support import BETTER, DIMENSION, PLATT, copy_gallery, fill, index
from .training_support import request


class _Lasting(DecodePool):
    """A real pool that outlives the run that closes it: starting a worker takes longer than most of these tests."""

    def close(self) -> None:
        pass

    def really_close(self) -> None:
        super().close()


_RUNTIMES: dict[tuple[str, int], EncoderRuntime] = {}


def _prepared_once(gallery: Gallery, encoder: Encoder, card: ModelCard, *, remember: bool = False) -> EncoderRuntime:
    # The weights were read and verified by the caller; only folding and packing them is saved.
    key = (card.fingerprint, gallery.settings.threads)
    if key not in _RUNTIMES:
        _RUNTIMES[key] = open_runtime(gallery, encoder, card, remember=remember)
    return _RUNTIMES[key]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder that is smaller still than the others' and tells drawn pictures well apart: 0.1M weights."""
    return _untrained(tmp_path_factory.mktemp("models") / "tiny", seed=0)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture with other weights: another embedding space."""
    return _untrained(tmp_path_factory.mktemp("models") / "other", seed=1)


def _untrained(folder: Path, seed: int) -> Path:
    options = {"backbone": "test_efficientnet", "untrained": True, "input_size": 32}
    card, _ = create_model(folder, **options, seed=seed, name=folder.name)
    assert card["dimension"] == DIMENSION
    return folder


@pytest.fixture(scope="session")
def _pool() -> Iterator[_Lasting]:
    pool = _Lasting(2, load_settings({}).limits)
    yield pool
    pool.really_close()


@pytest.fixture(autouse=True)
def _fast(_pool: _Lasting, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """All runs share one pool of decoders and one prepared runtime, except where a test asks for ``own_pools``."""
    if "own_pools" in request.fixturenames:
        return
    monkeypatch.setattr("retrieval.workflows.encoders.open_runtime", _prepared_once)

    def shared(*_: Any, **__: Any) -> DecodePool:
        return _pool

    for module in ("duplicates", "filling", "index_run", "searching", "views"):
        monkeypatch.setattr(f"retrieval.workflows.{module}.DecodePool", shared)


@pytest.fixture
def own_pools() -> None:
    """Each run starts and ends its own decoders, as outside of the tests."""


@pytest.fixture(scope="session")
def _blank_once(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    base = tmp_path_factory.mktemp("blank")
    # Images are indexed and forgotten: runtime and rate are then measured, which takes longest.
    index(base / "gallery", fill(base / "photos", range(900, 920)), model=str(tiny_model))
    assert remove_root(base / "gallery", base / "photos") == 20
    return base / "gallery"


@pytest.fixture
def gallery(_blank_once: Path, tmp_path: Path) -> Path:
    """A gallery with a space and an encoder, without images."""
    return copy_gallery(_blank_once, tmp_path / "gallery")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``photos/{red,blue}/NNNN.png``: six pictures in two folders."""
    fill(tmp_path / "photos" / "red", range(3))
    fill(tmp_path / "photos" / "blue", range(3, 6))
    return tmp_path / "photos"


@pytest.fixture(scope="session")
def _six_once(tmp_path_factory: pytest.TempPathFactory, _blank_once: Path) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("six")
    fill(base / "photos" / "red", range(3))
    fill(base / "photos" / "blue", range(3, 6))
    copy_gallery(_blank_once, base / "gallery")
    index(base / "gallery", base / "photos")
    return base / "gallery", base / "photos"


@pytest.fixture
def six(_six_once: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """(gallery, photos): an own copy of a gallery of six pictures; the pictures must not be changed."""
    return copy_gallery(_six_once[0], tmp_path / "gallery"), _six_once[1]


@pytest.fixture
def run_folder(tmp_path: Path, other_model: Path) -> Callable[..., Path]:
    """A training run's folder, as ``train`` leaves it; ``change`` is written over what would be proven."""

    def make(**change: Any) -> Path:
        folder = tmp_path / "run"
        shutil.copytree(other_model, folder / "encoder")
        (folder / "metrics.json").write_text(json.dumps({**BETTER, **change}))
        (folder / "recipe.json").write_text(json.dumps({"recipe": "quick-head", "data": "d" * 64}))
        (folder / "calibration.json").write_text(json.dumps(PLATT))
        return folder

    return make


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images a commit, and one under way at a time."""
    flow = filling.embed_files

    def one_by_one(items: Any, *arguments: Any, **options: Any) -> Any:
        for item in items:
            yield from flow([item], *arguments, **options)

    monkeypatch.setattr(filling, "_BATCH_IMAGES", 2)
    monkeypatch.setattr(filling, "embed_files", one_by_one)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve classes of six pictures: a class is a colour, the picture around it is chance."""
    folder = tmp_path_factory.mktemp("dataset")
    random = np.random.default_rng(0)
    for number in range(12):
        colour = random.integers(0, 256, 3)
        for n in range(6):
            pixels = np.clip(colour + random.normal(0, 40, (40, 40, 3)), 0, 255).astype(np.uint8)
            path = folder / f"class{number:02d}" / f"{n}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture(scope="module")
def trained(dataset: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    out = tmp_path_factory.mktemp("runs") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETRIEVAL_DATA", str(out.parent / "data"))
        return out, train(request(dataset, out, tiny_model))
