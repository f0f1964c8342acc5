"""Training on the labels of a gallery, and from the encoder of one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.models.folder import verify_folder
from retrieval.workflows.backup import backup, restore
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.recipes import load_recipe
from retrieval.workflows.status import status
from retrieval.workflows.training import Request, TrainingHooks, train

from .training_support import ONE_RATE, QUICK, request, tiny_full


@pytest.fixture
def shelf(dataset: Path, tiny_model: Path, tmp_path: Path) -> tuple[Path, Path]:
    """(gallery, photos): a labelled gallery whose photos may be changed."""
    from retrieval.workflows.labels import import_folders

    shutil.copytree(dataset, tmp_path / "photos")
    index_paths(tmp_path / "gallery", [tmp_path / "photos"], model=str(tiny_model))
    import_folders(tmp_path / "gallery")
    return tmp_path / "gallery", tmp_path / "photos"


def test_fine_tuning_leaves_out_what_cannot_be_reached(shelf: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = shelf
    for number in range(0, 12, 3):
        (photos / f"class{number:02d}" / "0.png").unlink()
    said: list[str] = []
    asked = Request("gallery", tiny_full(epochs="1"), tmp_path / "run", gallery=gallery, workers=1)
    report = train(asked, hooks=TrainingHooks(say=said.append))
    assert report.images == 68
    assert any("4 labelled images cannot be reached" in line for line in said)


def test_a_split_that_a_table_gave_to_a_gallery_is_kept_to(shelf: tuple[Path, Path], tmp_path: Path) -> None:
    from retrieval.workflows.labels import import_csv

    gallery, photos = shelf
    parts = {0: "test", 1: "val"}
    rows = [
        f"{path},{path.parent.name},{parts.get(int(path.stem), 'train')}\n" for path in sorted(photos.rglob("*.png"))
    ]
    table = tmp_path / "table.csv"
    table.write_text("path,label,split\n" + "".join(rows))
    import_csv(gallery, table)
    report = train(
        Request(
            "gallery", load_recipe("quick-head", {**QUICK, **ONE_RATE}), tmp_path / "run", gallery=gallery, workers=1
        )
    )
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert (report.split, split["kind"]) == ("given", "given")
    assert {Path(path).stem for path in split["test"]} == {"0"}
    assert {Path(path).stem for path in split["val"]} == {"1"}


def test_the_split_of_a_gallery_goes_where_the_gallery_goes(shelf: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, _ = shelf
    recipe = load_recipe("quick-head", {**QUICK, **ONE_RATE})
    train(Request("gallery", recipe, tmp_path / "one", gallery=gallery, workers=1))
    first = json.loads((tmp_path / "one" / "split.json").read_text())
    backup(gallery, tmp_path / "gallery.tar")
    restore(tmp_path / "gallery.tar", tmp_path / "elsewhere")
    another = load_recipe("quick-head", {**QUICK, **ONE_RATE, "seed": "9"})
    train(Request("gallery", another, tmp_path / "two", gallery=tmp_path / "elsewhere", workers=1))
    assert json.loads((tmp_path / "two" / "split.json").read_text()) == first
    assert status(tmp_path / "elsewhere", check=True).agree


def test_a_gallery_trains_on_its_own_vectors_without_reading_a_file(
    dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from retrieval.workflows.labels import import_folders

    copy = tmp_path / "photos"
    shutil.copytree(dataset, copy)
    gallery = tmp_path / "gallery"
    index_paths(gallery, [copy], model=str(tiny_model))
    import_folders(gallery)
    shutil.rmtree(copy)
    recipe = load_recipe("quick-head", {**QUICK, **ONE_RATE})
    report = train(Request("gallery", recipe, tmp_path / "run", gallery=gallery, workers=1))
    assert (report.images, report.classes) == (72, 12)
    assert verify_folder(tmp_path / "run" / "encoder").dimension == 16


def test_the_start_of_a_folder_of_photos_is_the_gallerys_encoder(
    dataset: Path, tiny_model: Path, other_model: Path, tmp_path: Path
) -> None:
    index_paths(tmp_path / "gallery", [dataset / "class00"], model=str(other_model))
    said: list[str] = []
    asked = replace(request(dataset, tmp_path / "run", None, **ONE_RATE), gallery=tmp_path / "gallery")
    train(asked, hooks=TrainingHooks(say=said.append))
    start = json.loads((tmp_path / "run" / "recipe.json").read_text())["start"]
    assert start["fingerprint"] == verify_folder(other_model).fingerprint
    assert any("gallery's encoder other" in line and "--model" in line for line in said)
