"""Files that failed: listed, mended, spoilt, gone and back."""

import os
from pathlib import Path

from retrieval.catalog import Root

from .support import World, counted, digest_of, outcome, write


def test_a_failed_file_is_listed_with_its_reason(world: World, root: Root, photos: Path) -> None:
    write(photos / "z", b"bad1")
    write(photos / "sub" / "a", b"bad2")
    assert counted(world.index(root)[0]) == {"failed": 2}
    failures = world.catalog.files.failures()
    assert [(f.path, f.relpath) for f in failures] == [
        (str(photos / "sub" / "a"), os.path.join(b"sub", b"a")),
        (str(photos / "z"), b"z"),
    ]
    assert {(f.reason, f.message, f.hint, f.root_id) for f in failures} == {("corrupt", "m", "h", root.id)}
    assert (world.findable(), world.catalog.files.states()["failed"]) == ([], 2)
    assert counted(world.index(root)[0]) == {"failed": 2}


def test_messages_are_stored_safe_to_show(world: World, root: Root) -> None:
    from dataclasses import replace

    bad = replace(outcome(root.id, b"x", b"bad"), message="a\nb\udcff", hint="\x1b[31m")
    world.commit(bad)
    (failure,) = world.catalog.files.failures()
    assert (failure.message, failure.hint) == ("a\\nb\\xff", "\\u001b[31m")


def test_a_failed_file_that_was_mended_is_new(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"bad")
    world.index(root)
    write(photos / "a", b"good")
    assert counted(world.index(root)[0]) == {"new": 1, "embedded": 1}
    assert world.catalog.files.failures() == []
    assert world.sql("SELECT reason, message, hint FROM files") == [(None, None, None)]


def test_a_failed_file_mended_with_a_known_content_is_a_copy(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"bad")
    write(photos / "b", b"good")
    world.index(root)
    write(photos / "a", b"good")
    assert counted(world.index(root)[0]) == {"copied": 1, "unchanged": 1}


def test_a_good_file_that_was_spoilt_fails_and_cannot_be_found(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"good")
    world.index(root)
    write(photos / "a", b"bad")
    assert counted(world.index(root)[0]) == {"failed": 1}
    assert world.findable() == []
    write(photos / "a", b"good")
    assert counted(world.index(root)[0]) == {"copied": 1}
    assert world.contents() == {digest_of(b"good").hex()}
    assert len(world.embedded) == 1


def test_a_failed_file_that_vanished_and_came_back_is_failed_again(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"bad")
    world.index(root)
    (photos / "a").rename(photos.parent / "a")
    assert world.index(root)[1] == 1
    assert world.catalog.files.failures() == []
    (photos.parent / "a").rename(photos / "a")
    world.index(root)
    assert world.catalog.files.states() == {"present": 0, "missing": 0, "failed": 1, "offline": 0}
    assert [f.reason for f in world.catalog.files.failures()] == ["corrupt"]
