"""Forgetting files: what goes with them, what stays, and the files below a folder."""

import os
from pathlib import Path

import pytest

from retrieval.catalog import Root

from .support import World, counted, outcome, write


def test_forgetting_the_last_file_forgets_the_image(world: World, root: Root, photos: Path) -> None:
    write(photos / "x" / "a", b"1")
    world.index(root)
    (photos / "x" / "a").unlink()
    world.index(root)
    assert world.catalog.files.forget([i for i, _ in world.catalog.files.missing()]) == 1
    assert [world.sql(f"SELECT count(*) FROM {t}") for t in ("files", "images", "embedded", "labels")] == [[(0,)]] * 4
    assert world.catalog.check() == []
    write(photos / "x" / "a", b"1")
    assert counted(world.index(root)[0]) == {"new": 1, "embedded": 1}


def test_forgetting_a_present_file_takes_it_out_of_the_index(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"a", b"1"), outcome(root.id, b"b", b"2"))
    ids, feed = world.catalog.spaces.findable(world.space.id)
    (known,) = world.catalog.files.known(root.id, [b"a"]).values()
    assert world.catalog.files.forget([known.id]) == 1
    assert world.replay(feed.last, ids.tolist()) == set(world.findable()) == {world.image(b"2")}
    assert world.catalog.files.forget([known.id]) == 0
    assert world.catalog.files.forget([]) == 0


def test_what_a_person_taught_survives_forgetting(world: World, root: Root, photos: Path) -> None:
    write(photos / "x" / "a", b"1")
    world.index(root)
    world.teach(b"1", "mine")
    image = world.image(b"1")
    (photos / "x" / "a").unlink()
    world.index(root)
    world.catalog.files.forget([i for i, _ in world.catalog.files.missing()])
    assert (world.findable(), world.catalog.spaces.count(world.space.id)) == ([], (0, 0))
    assert world.image(b"1") == image
    write(photos / "y" / "b", b"1")
    counts, _ = world.index(root)
    assert (counts.embedded, counts.failed) == (1, 0)
    assert world.image(b"1") == image
    assert world.labels(b"1") == ("mine", "y")


def test_an_image_number_is_never_given_again(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"a", b"1"))
    first = world.image(b"1")
    (known,) = world.catalog.files.known(root.id, [b"a"]).values()
    world.catalog.files.forget([known.id])
    world.commit(outcome(root.id, b"b", b"2"))
    assert world.image(b"2") > first


def test_ids_below_a_folder_or_a_file(world: World, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    from retrieval.catalog import files

    monkeypatch.setattr(files, "_PAGE", 2)
    other = world.catalog.roots.ensure(b"/other", whole=True)
    names = [b"a", b"a/1", b"a/2", b"a/b/3", b"a-b/4", b"ab/5", b"a0/6", b"a0", b"b", b"a\xff", b"a/\xff"]
    for name in names:
        world.commit(outcome(root.id, name.replace(b"/", os.fsencode(os.sep)), name))
    world.commit(outcome(other.id, b"a", b"other"), outcome(root.id, b"a/bad", b"bad"))

    def below(prefix: bytes) -> set[bytes]:
        found = list(world.catalog.files.ids_below(root.id, prefix))
        assert len({i for i, _ in found}) == len(found)
        return {relpath for _, relpath in found}

    assert below(b"") == {*names, b"a/bad"}
    assert below(b"a/") == {b"a/1", b"a/2", b"a/b/3", b"a/\xff", b"a/bad"}
    assert below(b"a") == {b"a"}
    assert below(b"a/b/") == {b"a/b/3"}
    assert below(b"nothing/") == set()
    missing = [i for i, relpath in world.catalog.files.ids_below(root.id, b"a/") if relpath != b"a/1"]
    world.catalog.files.mark_missing(missing)
    assert below(b"a/") == {b"a/1"}
    assert world.catalog.files.largest_id() == 13
