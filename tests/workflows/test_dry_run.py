"""``--dry-run``: says what there is to do and changes nothing at all."""

from pathlib import Path

import pytest

from retrieval.catalog import Catalog
from retrieval.core.errors import BadValue, EmptyGallery, ModelMismatch, NoSuchPath
from retrieval.workflows.indexing import estimate_index

from .support import DIMENSION, contents, counts, fill, index, save


def test_a_dry_run_changes_not_one_byte(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    more = fill(tmp_path / "more", range(30, 33))
    before, pictures = contents(gallery), contents(photos)
    estimate = estimate_index(gallery, [photos, more], workers=1)
    assert contents(gallery) == before
    assert contents(photos) == pictures
    assert (estimate.plan.found, estimate.plan.unchanged, estimate.plan.to_read) == (9, 6, 3)
    assert estimate.plan.bytes_to_read == sum(path.stat().st_size for path in more.iterdir())
    assert estimate.bytes > 3 * 2 * DIMENSION
    assert counts(index(gallery, photos, more)) == {"found": 9, "new": 3, "unchanged": 6, "embedded": 3}


def test_a_dry_run_copies_neither_catalog_nor_encoder(
    six: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("copied")

    monkeypatch.setattr("shutil.copytree", refuse)
    monkeypatch.setattr("shutil.copyfile", refuse)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    monkeypatch.setattr(Catalog, "copy_to", refuse)
    gallery, photos = six
    # In a process of its own no rate is known, and the encoder is used.
    assert estimate_index(gallery, [photos, fill(tmp_path / "more", range(30, 33))], workers=1).plan.to_read == 3


def test_a_dry_run_leaves_the_rows_alone_that_another_process_is_about_to_commit(six: tuple[Path, Path]) -> None:
    gallery, photos = six
    (vectors,) = gallery.glob("spaces/*/vectors.f16")
    with open(vectors, "ab") as file:
        file.write(b"a row that is being written")
    before = contents(gallery)
    estimate_index(gallery, [photos], workers=1)
    assert contents(gallery) == before


@pytest.mark.parametrize("first", [".", "red", "red/0000.png"])
@pytest.mark.parametrize("then", [".", "red", "red/0001.png", "blue"])
def test_a_dry_run_finds_what_the_run_then_does_whatever_the_roots_are(
    gallery: Path, folder: Path, first: str, then: str
) -> None:
    index(gallery, folder / first)
    before = contents(gallery)
    plan = estimate_index(gallery, [folder / then], workers=1).plan
    assert contents(gallery) == before
    report = index(gallery, folder / then)
    assert (plan.found, plan.unchanged, plan.to_read) == (report.found, report.unchanged, report.new)


def test_a_dry_run_for_a_gallery_that_is_not_there_yet_makes_none(tmp_path: Path, tiny_model: Path) -> None:
    photos = fill(tmp_path / "photos", range(2))
    model = contents(tiny_model)
    estimate = estimate_index(tmp_path / "gallery", [photos], model=str(tiny_model), workers=1)
    assert (estimate.plan.found, estimate.plan.to_read) == (2, 2)
    # The encoder is the larger part of a small gallery.
    assert estimate.bytes > (tiny_model / "model.safetensors").stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]
    assert contents(tiny_model) == model


def test_a_dry_run_tells_of_moves_missing_files_and_offline_folders_without_noting_them(
    gallery: Path, folder: Path, tmp_path: Path
) -> None:
    drive = fill(tmp_path / "drive", range(40, 42))
    index(gallery, folder, drive)
    drive.rename(tmp_path / "unplugged")
    aside = (folder / "red" / "0000.png").rename(tmp_path / "aside.png")
    before = contents(gallery)
    estimate = estimate_index(gallery, [], workers=1)
    assert (estimate.plan.found, estimate.plan.unchanged, estimate.offline) == (5, 5, 2)
    assert estimate.seconds is None
    assert contents(gallery) == before
    index(gallery)
    aside.rename(folder / "red" / "0000.png")
    before = contents(gallery)
    assert estimate_index(gallery, [], workers=1).plan.unchanged == 6
    assert contents(gallery) == before


def test_a_dry_run_refuses_what_the_run_would_refuse(six: tuple[Path, Path], other_model: Path, tmp_path: Path) -> None:
    gallery, photos = six
    before = contents(gallery)
    with pytest.raises(NoSuchPath):
        estimate_index(gallery, [photos / "typo"])
    with pytest.raises(ModelMismatch):
        estimate_index(gallery, [photos], model=str(other_model))
    with pytest.raises(EmptyGallery):
        estimate_index(tmp_path / "none", [])
    save(tmp_path / "strangers" / "a.png", 1)
    with pytest.raises(BadValue, match="not a gallery"):
        estimate_index(tmp_path / "strangers", [photos])
    assert contents(gallery) == before
