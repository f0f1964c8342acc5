"""The demonstration: which encoder it indexes with, and what it says when its lesson is stopped."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retrieval.core.errors import BadValue, DiskFull, Interrupted, RetrievalError
from retrieval.models.folder import read_card
from retrieval.workflows.demo import DEMO_MODEL, demo_model, has_earlier_starter, lesson, refuse_other_pictures
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.recipes import load_recipe
from retrieval.workflows.training import TrainingHooks

from .support import contents, fill, index, save


def test_a_new_gallery_begins_with_the_demo_s_encoder_and_one_that_has_another_keeps_it(
    gallery: Path, tmp_path: Path
) -> None:
    assert demo_model(tmp_path / "nowhere") == DEMO_MODEL
    assert not (tmp_path / "nowhere").exists()
    assert demo_model(gallery) is None


def test_the_demo_s_own_encoder_is_named_again_so_that_a_damaged_copy_is_replaced(folder: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "demo"
    index(gallery, folder / "red", model=DEMO_MODEL)
    assert demo_model(gallery) == DEMO_MODEL
    (weights,) = gallery.glob("models/*/model.safetensors")
    weights.unlink()
    index(gallery, folder, model=demo_model(gallery))
    assert weights.is_file()


def test_a_demo_with_the_starter_of_an_earlier_version_goes_on_with_it(
    folder: Path, tmp_path: Path, tiny_model: Path
) -> None:
    gallery, earlier = tmp_path / "demo", tmp_path / "earlier"
    shutil.copytree(tiny_model, earlier)
    (earlier / "card.json").write_bytes(replace(read_card(earlier), name=DEMO_MODEL).to_bytes())
    index(gallery, folder / "red", model=str(earlier))
    with Gallery(gallery) as opened:
        assert has_earlier_starter(opened.live_space())
    assert demo_model(gallery) is None
    assert index(gallery, folder, model=demo_model(gallery)).new > 0


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of two sample images, in the place of the project's own."""
    for number in range(2):
        for n in range(2):
            save(tmp_path / "samples" / f"class{number}" / f"{n}.jpg", 500 + 10 * number + n, format="JPEG")
    monkeypatch.setattr("retrieval.workflows.demo.samples_folder", lambda: tmp_path / "samples")
    return tmp_path / "samples"


@pytest.mark.usefixtures("samples")
def test_the_demo_refuses_a_gallery_of_other_pictures(six: tuple[Path, Path]) -> None:
    before = contents(six[0])
    with pytest.raises(BadValue, match="holds other images") as refused:
        refuse_other_pictures(six[0])
    assert "Leave out --gallery" in refused.value.hint
    assert contents(six[0]) == before


def test_the_demo_takes_a_gallery_that_is_not_there_or_empty_or_its_own(
    gallery: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_other_pictures(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    refuse_other_pictures(gallery)
    index(gallery, samples)
    # Somebody's own pictures may have come to the samples since.
    index(gallery, fill(tmp_path / "photos", range(3)))
    refuse_other_pictures(gallery)
    # A checkout that was moved; then samples that were drawn anew.
    moved = samples.rename(tmp_path / "moved")
    monkeypatch.setattr("retrieval.workflows.demo.samples_folder", lambda: moved)
    refuse_other_pictures(gallery)
    monkeypatch.setattr("retrieval.workflows.demo.samples_folder", lambda: samples)
    fill(samples / "class0", range(600, 602))
    refuse_other_pictures(gallery)


@pytest.fixture
def taught(gallery: Path, tmp_path: Path) -> tuple[Path, str]:
    """(gallery, fingerprint): twelve folders of three pictures."""
    for number in range(12):
        fill(tmp_path / "photos" / f"class{number:02d}", range(10 * number, 10 * number + 3))
    return gallery, index(gallery, tmp_path / "photos").space


def test_a_lesson_that_is_stopped_says_how_the_demo_goes_on_and_it_does(
    taught: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, fingerprint = taught
    short = load_recipe("quick-head", {"epochs": "6", "dimension": "8", "trials": "[1.0]"})
    monkeypatch.setattr("retrieval.workflows.recipes.load_recipe", lambda _: short)
    asked = itertools.count()
    with pytest.raises(Interrupted, match="Stopped after") as stopped:
        lesson(gallery, fingerprint, TrainingHooks(stop=lambda: next(asked) >= 2))
    assert stopped.value.hint == "The same command goes on from here."
    assert stopped.value.exit_code == 130
    run, metrics = lesson(gallery, fingerprint, TrainingHooks())
    assert metrics["comparison"]
    # Another time it is only looked up.
    assert lesson(gallery, fingerprint, TrainingHooks(stop=_fails)) == (run, metrics)
    # With samples that were drawn anew the former lesson is not theirs.
    monkeypatch.setattr("retrieval.workflows.demo.samples_folder", lambda: tmp_path / "photos")
    with pytest.raises(AssertionError, match="trained again"):
        lesson(gallery, fingerprint, TrainingHooks(stop=_fails))
    with Gallery(gallery) as opened:
        assert opened.live_space().fingerprint == fingerprint


@pytest.mark.parametrize(
    ("error", "word"),
    [(DiskFull("Full.", "Free some space and run the same command with --resume."), "Free some space"),
     (Interrupted("Stopped.", "The same command with --resume goes on from here."), "The same command")],
)  # fmt: skip
def test_no_hint_of_the_lesson_names_an_option_that_the_demo_lacks(
    error: RetrievalError, word: str, taught: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.workflows.training.train", _raises(error))
    with pytest.raises(type(error)) as caught:
        lesson(*taught, TrainingHooks())
    assert caught.value.message == error.message
    assert word in caught.value.hint
    assert "--" not in caught.value.hint


def _raises(error: RetrievalError) -> Callable[..., Any]:
    def raising(*_: Any, **__: Any) -> Any:
        raise error

    return raising


def _fails() -> bool:
    raise AssertionError("it was trained again")
