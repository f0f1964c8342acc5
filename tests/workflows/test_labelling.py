"""Labelling in a sitting: what is shown, what is answered, and what is said of how far one is."""

import os
from pathlib import Path

import pytest

from retrieval.catalog import AUTOMATIC, Entry
from retrieval.core.errors import BadValue, EmptyGallery, NoSuchPath
from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.types import Filters
from retrieval.datasets.splits import grouped
from retrieval.workflows import labels as workflow
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.labelling import ENOUGH, PAGE, Shelf, answer, progress, take_away, tile_page, tiles
from retrieval.workflows.searching import Searcher

from .support import carried, fill, index


@pytest.fixture
def plain(gallery: Path, tmp_path: Path) -> tuple[Path, list[int]]:
    """A gallery of 60 pictures without any label, and their ids."""
    index(gallery, fill(tmp_path / "photos", range(60)))
    with Gallery(gallery) as opened:
        return gallery, opened.catalog.images.passing(opened.live_space().id, Filters()).tolist()


def mark(gallery: Path, labels: dict[int, str]) -> None:
    """Give automatic labels, as ``auto_label`` does."""
    with Gallery(gallery) as opened, opened.writing():
        entries = [Entry(i, label, AUTOMATIC, 0.9) for i, label in labels.items()]
        opened.catalog.labels.change("automatic", entries)
        opened.catalog.seal()


def test_answers_are_one_operation_and_automatic_labels_make_way(plain: tuple[Path, list[int]]) -> None:
    gallery, ids = plain
    mark(gallery, {ids[0]: "cup", ids[1]: "cup", ids[2]: "cup"})
    before = carried(gallery)
    report = answer(gallery, {ids[0]: "cup", ids[1]: " mug"})
    assert (report.added, report.removed) == (2, 2)
    seen = {tile.id: (tile.labels, tile.automatic) for tile in tiles(gallery, ids[:4])}
    assert seen == {
        ids[0]: (("cup",), None),
        ids[1]: (("mug",), None),
        ids[2]: ((), ("cup", 0.9)),
        ids[3]: ((), None),
    }
    workflow.undo(gallery)
    assert carried(gallery) == before
    answer(gallery, {ids[5]: "cup"})
    answer(gallery, {ids[5]: "tea"})
    assert tiles(gallery, [ids[5]])[0].labels == ("cup", "tea")
    answer(gallery, {ids[5]: "tea"}, only=True)
    assert tiles(gallery, [ids[5]])[0].labels == ("tea",)


def test_labels_are_taken_away_one_or_all(plain: tuple[Path, list[int]]) -> None:
    gallery, ids = plain
    for label in ("cup", "mug"):
        answer(gallery, dict.fromkeys(ids[:3], label))
    assert take_away(gallery, ids[:2], "cup").removed == 2
    assert take_away(gallery, ids[1:3]).removed == 3
    assert [tile.labels for tile in tiles(gallery, ids[:4])] == [("mug",), (), (), ()]
    assert take_away(gallery, ids[:3], "nothing").operation is None


def test_one_wrong_answer_changes_nothing(plain: tuple[Path, list[int]]) -> None:
    gallery, ids = plain
    with pytest.raises(NoSuchPath, match="no image 99999"):
        answer(gallery, {ids[0]: "cup", 99999: "cup"})
    with pytest.raises(BadValue, match="empty"):
        answer(gallery, {ids[0]: "cup", ids[1]: "  "})
    with pytest.raises(NoSuchPath, match="no image 99999"):
        take_away(gallery, [ids[0], 99999])
    assert carried(gallery) == {}


def test_pages_hold_every_image_once_in_order(plain: tuple[Path, list[int]]) -> None:
    gallery, ids = plain
    first, second = (tile_page(gallery, Shelf(), number) for number in (1, 2))
    assert [tile.id for tile in (*first.tiles, *second.tiles)] == ids
    assert (len(first.tiles), first.pages, first.total, first.number) == (PAGE, 2, 60, 1)
    assert tile_page(gallery, Shelf(), 99).number == 2
    assert tile_page(gallery, Shelf(), -1).number == 1
    assert {tile.name for tile in (*first.tiles, *second.tiles)} == {f"{n:04d}.png" for n in range(60)}


def test_shelves_are_what_a_filter_by_hand_gives(plain: tuple[Path, list[int]], tmp_path: Path) -> None:
    gallery, ids = plain
    fill(tmp_path / "more" / "box", range(100, 103))
    index(gallery, tmp_path / "more")
    answer(gallery, dict.fromkeys(ids[:5], "cup"))
    answer(gallery, dict.fromkeys(ids[4:7], "mug"))
    mark(gallery, {ids[2]: "pot", ids[9]: "pot"})
    under = os.fspath(tmp_path / "photos")

    def on(shelf: Shelf) -> list[int]:
        return [tile.id for n in (1, 2) for tile in tile_page(gallery, shelf, n).tiles]

    assert on(Shelf("label", "cup")) == ids[:5] * 2
    assert tile_page(gallery, Shelf("label", "cup")).total == 5
    assert tile_page(gallery, Shelf("label", "no such")).total == 0
    # What is automatic only is not labelled yet; what lies in a folder got its name.
    assert tile_page(gallery, Shelf()).total == 60 - 7
    assert ids[9] in on(Shelf())
    assert ids[2] not in on(Shelf())
    assert tile_page(gallery, Shelf("all")).total == 63
    assert tile_page(gallery, Shelf("all", under=under)).total == 60
    assert tile_page(gallery, Shelf("automatic", under=under)).total == 2
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        near = searcher.by_id(ids[0], 100, Shelf().filters())
        assert near.searched == 53
        assert {one.id for one in near.neighbours} == set(ids) - set(ids[:7])
        somebody = searcher.by_id(ids[0], 100, Filters(labelled=True))
        assert len(somebody.neighbours) == 9


def test_the_head_counts_and_says_what_to_do_next(plain: tuple[Path, list[int]]) -> None:
    gallery, ids = plain
    mark(gallery, {ids[50]: "cup", ids[51]: "cup"})
    at = progress(gallery)
    assert (at.images, at.labelled, at.automatic, at.step, at.labels) == (60, 0, 2, "begin", ())
    assert at.last is not None
    assert (at.last.kind, at.last.labels, at.last.images) == ("automatic", ("cup",), 2)
    answer(gallery, dict.fromkeys(ids[:ENOUGH], "cup"))
    assert progress(gallery).step == "begin"
    answer(gallery, {ids[20]: "mug", ids[21]: "mug", ids[22]: "pot"})
    at = progress(gallery)
    assert (at.labelled, at.step, at.missing) == (11, "more", (("mug", 6),))
    assert at.thin == (("mug", 2), ("pot", 1))
    assert at.recent == ("pot", "mug", "cup")
    answer(gallery, dict.fromkeys(ids[22:29], "mug"))
    at = progress(gallery)
    assert (at.step, at.missing) == ("teach", (("pot", 7),))
    assert at.labels == (("mug", 9), ("cup", 8), ("pot", 1))
    answer(gallery, dict.fromkeys(ids, "all"))
    assert (progress(gallery).step, progress(gallery).labelled, progress(gallery).automatic) == ("done", 60, 0)


def test_the_last_change_is_named_as_it_was(plain: tuple[Path, list[int]]) -> None:
    gallery, ids = plain
    assert progress(gallery).last is None
    answer(gallery, {ids[0]: "d", ids[1]: "c", ids[2]: "b", ids[3]: "a"})
    last = progress(gallery).last
    assert last is not None
    assert (last.kind, last.labels, last.distinct, last.images) == ("set", ("a", "b", "c"), 4, 4)
    take_away(gallery, ids[:2])
    last = progress(gallery).last
    assert last is not None
    assert (last.kind, last.labels, last.distinct, last.images) == ("unset", ("c", "d"), 2, 2)
    undone, _ = workflow.undo(gallery, last.operation)
    assert undone.kind == "unset"
    assert len(carried(gallery)) == 4


def test_enough_is_the_fewest_that_reach_every_side_of_the_split() -> None:
    def sides(images: int) -> set[str]:
        labelled = Labelled([LabelledImage(f"/{n}".encode(), "cup", digest=bytes([n]) * 32) for n in range(images)], "")
        split = grouped(labelled, 0)
        return {name for name in ("train", "val", "test") if len(getattr(split, name))}

    assert sides(ENOUGH) == {"train", "val", "test"}


def test_nothing_is_said_of_what_is_not_there(gallery: Path, tmp_path: Path) -> None:
    assert progress(gallery).step == "index"
    with pytest.raises(EmptyGallery):
        progress(tmp_path / "nowhere")
    with pytest.raises(EmptyGallery):
        tile_page(tmp_path / "nowhere", Shelf())
