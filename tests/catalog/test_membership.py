"""What the files say of an image: whether it can be found, and its folder labels."""

import os
from pathlib import Path

import pytest

from retrieval.catalog import Root

from .support import World, counted, digest_of, outcome, write


@pytest.mark.parametrize(
    ("relpath", "became"), [(os.path.join(b"2024", b"a"), "moved"), (os.path.join(b"2023", b"a"), "copied")]
)
def test_below_another_root_the_same_path_is_a_remount_and_another_is_a_copy(
    world: World, tmp_path: Path, relpath: bytes, became: str
) -> None:
    old = world.root(tmp_path / "nas")
    write(tmp_path / "nas" / "2024" / "a", b"1")
    world.index(old)
    (tmp_path / "nas").rename(tmp_path / "gone")
    world.catalog.roots.set_online(old.id, False)
    new = world.root(tmp_path / "mnt")
    write(tmp_path / "mnt" / os.fsdecode(relpath), b"1")
    assert counted(world.index(new)[0]) == {became: 1}
    assert len(world.embedded) == 1
    assert world.catalog.files.states([old.id])["offline"] == (0 if became == "moved" else 1)
    assert len(world.findable()) == 1


def test_images_of_an_offline_root_stay_findable(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"a", b"1"))
    world.catalog.roots.set_online(root.id, False)
    assert world.contents() == {digest_of(b"1").hex()}
    image = world.image(b"1")
    assert [f.offline for f in world.catalog.images.records([image])[image].files] == [True]
    assert world.catalog.files.missing() == []


def test_a_missing_file_cannot_be_found_and_is_found_again_when_it_is_back(
    world: World, root: Root, photos: Path
) -> None:
    write(photos / "x" / "a", b"1")
    world.index(root)
    world.teach(b"1", "mine")
    (photos / "x").rename(photos.parent / "x")
    assert (world.index(root)[1], world.findable()) == (1, [])
    assert [path for _, path in world.catalog.files.missing()] == [str(photos / "x" / "a")]
    assert world.labels(b"1") == ("mine", "x")
    (photos.parent / "x").rename(photos / "x")
    assert counted(world.index(root)[0]) == {"unchanged": 1}
    assert world.contents() == {digest_of(b"1").hex()}
    assert len(world.embedded) == 1
    assert world.labels(b"1") == ("mine", "x")


def test_an_image_is_findable_as_long_as_one_copy_is_there(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    write(photos / "b", b"1")
    world.index(root)
    (photos / "a").unlink()
    world.index(root)
    assert len(world.findable()) == 1
    (photos / "b").unlink()
    world.index(root)
    assert world.findable() == []
    assert world.catalog.spaces.count(world.space.id) == (1, 0)
    assert world.catalog.images.count() == 0


def test_folder_names_are_labels(world: World, root: Root) -> None:
    world.commit(
        outcome(root.id, b"top", b"1"),
        outcome(root.id, os.path.join(b"fruit", b"apple", b"a"), b"2"),
        outcome(root.id, os.path.join(b"caf\xe9\n", b"a"), b"3"),
    )
    assert [world.labels(c) for c in (b"1", b"2", b"3")] == [(), ("apple",), ("caf\\xe9\\n",)]
    assert world.catalog.images.labels() == [("apple", 1), ("caf\\xe9\\n", 1)]


@pytest.mark.parametrize("target", ["pear/a", "a", "deep/pear/b"])
def test_a_label_follows_the_file(world: World, root: Root, photos: Path, target: str) -> None:
    write(photos / "apple" / "a", b"1")
    world.index(root)
    world.teach(b"1", "mine")
    (photos / target).parent.mkdir(parents=True, exist_ok=True)
    (photos / "apple" / "a").rename(photos / target)
    world.index(root)
    assert world.labels(b"1") == (("mine", "pear") if "pear" in target else ("mine",))
    # Undone, not deleted: the history can be told.
    assert world.sql("SELECT count(*) FROM labels WHERE label = 'apple' AND undone_by IS NOT NULL") == [(1,)]


def test_copies_in_several_folders_give_several_labels(world: World, root: Root, photos: Path) -> None:
    for name in ("apple/a", "pear/a", "pear/b"):
        write(photos / name, b"1")
    world.index(root)
    assert world.labels(b"1") == ("apple", "pear")
    assert world.catalog.images.labels() == [("apple", 1), ("pear", 1)]
    (photos / "apple" / "a").unlink()
    world.index(root)
    world.catalog.files.forget([i for i, _ in world.catalog.files.missing()])
    assert world.labels(b"1") == ("pear",)


def test_an_unchanged_label_is_written_once(world: World, root: Root, photos: Path) -> None:
    write(photos / "apple" / "a", b"1")
    world.index(root)
    for _ in range(3):
        write(photos / "apple" / "a", b"1")
        world.index(root)
    assert world.sql("SELECT count(*) FROM labels") == [(1,)]


def test_labels_are_counted_most_frequent_first(world: World, root: Root) -> None:
    for n, folder in enumerate([b"b", b"a", b"c", b"c"]):
        world.commit(outcome(root.id, os.path.join(folder, b"%d" % n), b"%d" % n))
    assert world.catalog.images.labels() == [("c", 2), ("a", 1), ("b", 1)]
