"""A gallery that is replaced by a backup while a searcher has it open; roots above offline ones; single files."""

from pathlib import Path

from retrieval.workflows.backup import backup, restore
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.searching import Searcher
from retrieval.workflows.upkeep import missing_files, prune
from tests.conftest import draw


def test_an_open_searcher_sees_the_restored_gallery(indexed: tuple[Path, Path], tmp_path: Path) -> None:
    folder, photos = indexed
    backup(folder, tmp_path / "b.tar")
    draw(tmp_path / "more" / "new.jpg", 900)
    index_paths(folder, [tmp_path / "more"])
    with Gallery(folder) as gallery, Searcher(gallery) as searcher:
        query = (tmp_path / "more" / "new.jpg").read_bytes()
        assert searcher.by_image(query, 1).neighbours[0].paths == (str(tmp_path / "more" / "new.jpg"),)
        restore(tmp_path / "b.tar", folder)
        assert searcher.summary().images == 12
        assert str(photos) in searcher.by_image(query, 1).neighbours[0].paths[0]


def test_a_folder_above_an_offline_one_leaves_it_offline(tiny_model: Path, tmp_path: Path) -> None:
    drive, gallery = tmp_path / "p" / "nas", tmp_path / "g"
    draw(drive / "one.jpg", 1)
    draw(tmp_path / "p" / "two.jpg", 2)
    index_paths(gallery, [drive], model=str(tiny_model))
    drive.rename(tmp_path / "away")
    report = index_paths(gallery, [tmp_path / "p"])
    assert (report.new, report.missing, report.offline) == (1, 0, 1)
    assert prune(gallery) == 0
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        assert searcher.summary().images == 2
    (tmp_path / "away").rename(drive)
    report = index_paths(gallery, [tmp_path / "p"])
    assert (report.found, report.unchanged, report.embedded, report.offline) == (2, 2, 0, 0)
    with Gallery(gallery) as opened:
        assert len(opened.catalog.roots.all()) == 1


def test_a_singly_indexed_file_is_looked_at_again(tiny_model: Path, tmp_path: Path) -> None:
    gallery, one, other = tmp_path / "g", draw(tmp_path / "a" / "one.jpg", 1), draw(tmp_path / "a" / "other.jpg", 2)
    third = draw(tmp_path / "a" / "third.jpg", 4)
    index_paths(gallery, [one, other, third], model=str(tiny_model))
    draw(other, 3)
    one.unlink()
    report = index_paths(gallery, [])
    assert (report.found, report.changed, report.unchanged, report.missing) == (2, 1, 1, 1)
    assert missing_files(gallery) == [str(one)]
    other.unlink()
    assert index_paths(gallery, [other]).missing == 1
