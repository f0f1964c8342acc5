"""Committing what was read: what became of every file."""

import os
from pathlib import Path

import pytest

from retrieval.catalog import Root

from .support import World, counted, digest_of, facts_of, outcome, write


def test_new_contents_are_embedded_once_each(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    write(photos / "b", b"2")
    assert counted(world.index(root)[0]) == {"new": 2, "embedded": 2}
    assert world.contents() == {digest_of(b"1").hex(), digest_of(b"2").hex()}
    assert counted(world.index(root)[0]) == {"unchanged": 2}


def test_everything_of_an_image_is_kept(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"f/a", b"content"))
    image = world.image(b"content")
    record = world.catalog.images.records([image])[image]
    facts = facts_of(b"content")
    assert (record.digest, record.width, record.height, record.format, record.bytes, record.captured) == (
        facts.digest.hex(),
        facts.width,
        facts.height,
        facts.format,
        facts.bytes,
        None,
    )
    assert [(f.path, f.state, f.offline) for f in record.files] == [
        (os.fsdecode(os.path.join(root.path, b"f/a")), "present", False)
    ]
    assert world.sql("SELECT phash FROM images") == [(len(b"content"),)]


def test_two_copies_of_a_new_content_in_one_batch_are_one_image(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    write(photos / "b", b"1")
    assert counted(world.index(root)[0]) == {"new": 1, "copied": 1, "embedded": 1}
    assert len(world.findable()) == 1


@pytest.mark.parametrize("batch", [1, 10])
def test_a_copy_of_a_known_content_is_not_embedded(world: World, root: Root, photos: Path, batch: int) -> None:
    write(photos / "a", b"1")
    world.index(root)
    write(photos / "b", b"1")
    write(photos / "c", b"1")
    assert counted(world.index(root, batch)[0]) == {"copied": 2, "unchanged": 1}


def test_a_renamed_file_is_moved_and_keeps_its_record(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    world.index(root)
    before = world.sql("SELECT id, image_id FROM files")
    (photos / "a").rename(photos / "b")
    counts, missing = world.index(root)
    assert (counted(counts), missing) == ({"moved": 1}, 0)
    assert world.sql("SELECT id, image_id FROM files") == before
    assert counts.claimed == [before[0][0]]
    assert world.catalog.files.known(root.id, [b"a", b"b"]).keys() == {b"b"}


def test_a_file_that_was_missing_and_is_elsewhere_now_is_moved(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    world.index(root)
    (photos / "a").rename(photos.parent / "away")
    assert world.index(root)[1] == 1
    (photos.parent / "away").rename(photos / "b")
    assert counted(world.index(root)[0]) == {"moved": 1}
    assert world.catalog.files.states()["missing"] == 0


def test_one_of_several_lost_places_is_claimed_by_each_moved_file(world: World, root: Root, photos: Path) -> None:
    for name in ("a", "b", "c"):
        write(photos / name, b"1")
    world.index(root)
    for name in ("a", "b"):
        (photos / name).rename(photos / f"{name}2")
    write(photos / "d", b"1")
    counts, missing = world.index(root)
    assert (counted(counts), missing) == ({"moved": 2, "copied": 1, "unchanged": 1}, 0)


def test_an_edited_file_is_changed_and_the_former_content_cannot_be_found(
    world: World, root: Root, photos: Path
) -> None:
    write(photos / "a", b"1")
    world.index(root)
    write(photos / "a", b"2")
    assert counted(world.index(root)[0]) == {"changed": 1, "embedded": 1}
    assert world.contents() == {digest_of(b"2").hex()}
    write(photos / "a", b"1")
    assert counted(world.index(root)[0]) == {"changed": 1}
    assert world.contents() == {digest_of(b"1").hex()}


def test_a_touched_file_is_unchanged_and_is_not_read_again_next_time(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    world.index(root)
    write(photos / "a", b"1")
    assert counted(world.index(root)[0]) == {"unchanged": 1}
    (known,) = world.catalog.files.known(root.id, [b"a"]).values()
    assert known.mtime_ns == (photos / "a").stat().st_mtime_ns


def test_two_files_that_swap_names_are_changed_and_both_stay_findable(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    write(photos / "b", b"2")
    world.index(root)
    (photos / "a").rename(photos / "t")
    (photos / "b").rename(photos / "a")
    (photos / "t").rename(photos / "b")
    assert counted(world.index(root)[0]) == {"changed": 2}
    assert world.contents() == {digest_of(b"1").hex(), digest_of(b"2").hex()}
    record = world.catalog.images.records([world.image(b"1")])[world.image(b"1")]
    assert record.paths == (str(photos / "b"),)


@pytest.mark.parametrize("batch", [1, 10])
def test_a_content_that_another_one_drove_from_its_name_is_moved(
    world: World, root: Root, photos: Path, batch: int
) -> None:
    """a becomes b, and a new picture is called a."""
    write(photos / "a", b"1")
    world.index(root)
    (photos / "a").rename(photos / "b")
    write(photos / "a", b"2")
    assert counted(world.index(root, batch)[0]) == {"changed": 1, "moved": 1, "embedded": 1}
    assert world.contents() == {digest_of(b"1").hex(), digest_of(b"2").hex()}


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_within_a_batch_does_not_matter(world: World, root: Root, photos: Path, reverse: bool) -> None:
    write(photos / "a", b"1")
    write(photos / "c", b"3")
    world.index(root)
    (photos / "a").rename(photos / "b")
    write(photos / "a", b"2")
    write(photos / "d", b"2")
    write(photos / "c", b"bad")
    write(photos / "e", b"3")
    entries = [world.read(root, name) for name in (b"a", b"b", b"c", b"d", b"e")]
    counts = world.commit(*(reversed(entries) if reverse else entries))
    assert counted(counts) == {"changed": 1, "moved": 2, "copied": 1, "failed": 1, "embedded": 1}
    assert world.contents() == {digest_of(c).hex() for c in (b"1", b"2", b"3")}


@pytest.mark.parametrize("reverse", [False, True])
def test_a_file_that_moved_while_it_was_read_is_not_lost(world: World, root: Root, photos: Path, reverse: bool) -> None:
    """a was read again at its old place, then moved, then read at its new place, all in one batch."""
    write(photos / "a", b"1")
    world.index(root)
    first = world.read(root, b"a")
    (photos / "a").rename(photos / "b")
    entries = [first, world.read(root, b"b")]
    counts = world.commit(*(reversed(entries) if reverse else entries))
    assert counted(counts) == {"unchanged": 1, "moved": 1}
    _, missing = world.index(root)
    assert missing == 0
    assert len(world.findable()) == 1
    assert world.catalog.files.known(root.id, [b"a", b"b"]).keys() == {b"b"}


@pytest.mark.parametrize("reverse", [False, True])
def test_a_missing_file_that_is_back_keeps_its_record_though_a_copy_comes_with_it(
    world: World, root: Root, photos: Path, reverse: bool
) -> None:
    write(photos / "a", b"1")
    world.index(root)
    before = world.sql("SELECT id FROM files")
    (photos / "a").unlink()
    world.index(root)
    write(photos / "a", b"1")
    write(photos / "b", b"1")
    entries = [world.read(root, b"a"), world.read(root, b"b")]
    assert counted(world.commit(*(reversed(entries) if reverse else entries))) == {"unchanged": 1, "copied": 1}
    assert world.catalog.files.known(root.id, [b"a", b"b"]).keys() == {b"a", b"b"}
    assert world.sql("SELECT id FROM files WHERE relpath = x'61'") == before
