"""Roots: which folder a path belongs to, and what happens when folders are nested."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.catalog import deepest, inside
from retrieval.catalog.roots import SEPARATOR

from .support import World, outcome


def paths(world: World) -> dict[bytes, bool]:
    return {root.path: root.whole for root in world.catalog.roots.all()}


def places(world: World) -> dict[bytes, int]:
    """Absolute path to file id."""
    rows = world.sql("SELECT r.path, f.relpath, f.id FROM files f JOIN roots r ON r.id = f.root_id")
    return {os.path.join(bytes(root), bytes(relpath)): int(i) for root, relpath, i in rows}  # type: ignore[arg-type,call-overload]


@pytest.mark.parametrize(
    ("path", "folder", "expected"),
    [
        (b"/a", b"/a", True),
        (b"/a/b", b"/a", True),
        (b"/ab", b"/a", False),
        (b"/a", b"/a/b", False),
        (b"/a", b"/", True),
        (b"/", b"/", True),
        (b"/a\xff/b", b"/a\xff", True),
        (b"/a/b", b"/a/", True),
    ],
)
def test_inside_is_by_whole_names(path: bytes, folder: bytes, expected: bool) -> None:
    assert inside(path.replace(b"/", SEPARATOR), folder.replace(b"/", SEPARATOR)) is expected


names = st.lists(st.sampled_from([b"a", b"ab", b"b", b"\xff"]), max_size=3)


@given(names, names)
def test_inside_is_having_the_folders_names_first(path: list[bytes], folder: list[bytes]) -> None:
    joined = [SEPARATOR + SEPARATOR.join(some) for some in (path, folder)]
    assert inside(joined[0], joined[1]) is (path[: len(folder)] == folder)


def test_a_new_folder_is_a_root_and_stays_the_same_one(world: World) -> None:
    root = world.catalog.roots.ensure(b"/photos", whole=True)
    assert world.catalog.roots.ensure(b"/photos", whole=True) == root
    assert world.catalog.roots.ensure(b"/photos", whole=False) == root
    assert (root.path, root.whole, root.online, root.shown) == (b"/photos", True, True, "/photos")
    assert world.catalog.roots.all() == [root]


def test_a_child_belongs_to_its_whole_parent(world: World) -> None:
    root = world.catalog.roots.ensure(b"/photos", whole=True)
    for whole in (True, False):
        assert world.catalog.roots.ensure(b"/photos/2024/summer", whole=whole) == root
    assert world.catalog.roots.ensure(b"/photos2", whole=True) != root
    assert deepest(world.catalog.roots.all(), b"/photos/x/y.jpg") == root
    assert deepest(world.catalog.roots.all(), b"/phot") is None


@pytest.mark.parametrize("parent", [b"/photos", b"/", b"/photos/\xff\n"])
def test_a_parent_takes_its_children_in_and_their_files_keep_their_records(world: World, parent: bytes) -> None:
    children = [os.path.join(parent, name) for name in (b"a", b"ab", b"deep/er\xe9")]
    for n, child in enumerate(children):
        root = world.catalog.roots.ensure(child, whole=True)
        for relpath in (b"x.jpg", b"sub/caf\xe9\xff.jpg"):
            world.commit(outcome(root.id, relpath, b"%d" % n + relpath))
    outside = world.catalog.roots.ensure(b"/elsewhere" if parent != b"/" else b"/a/within", whole=True)
    before, findable = places(world), world.findable()
    made = world.catalog.roots.ensure(parent, whole=True)
    assert places(world) == before
    assert len(before) == 6
    assert world.findable() == findable
    assert paths(world) == ({parent: True} if parent == b"/" else {parent: True, outside.path: True})
    known = world.catalog.files.known(made.id, [b"a/x.jpg", b"deep/er\xe9/sub/caf\xe9\xff.jpg"])
    assert len(known) == 2


def test_a_parent_of_which_single_files_are_wanted_leaves_whole_children_whole(world: World) -> None:
    """Otherwise the next index of everything would pass them over."""
    child = world.catalog.roots.ensure(b"/photos/a", whole=True)
    world.commit(outcome(child.id, b"x", b"x"))
    parent = world.catalog.roots.ensure(b"/photos", whole=False)
    world.commit(outcome(parent.id, b"y", b"y"))
    assert paths(world) == {b"/photos": False, b"/photos/a": True}
    assert world.catalog.roots.ensure(b"/photos/a", whole=False) == child
    assert deepest(world.catalog.roots.all(), b"/photos/a/x") == child
    assert deepest(world.catalog.roots.all(), b"/photos/ab") == parent


def test_a_folder_below_single_files_becomes_whole_and_takes_what_lies_in_it(world: World) -> None:
    above = world.catalog.roots.ensure(b"/photos", whole=False)
    for relpath in (b"y", b"a/x", b"a/deep/z", b"ab/x"):
        world.commit(outcome(above.id, relpath, relpath))
    before, findable = places(world), world.findable()
    made = world.catalog.roots.ensure(b"/photos/a", whole=True)
    assert paths(world) == {b"/photos": False, b"/photos/a": True}
    assert places(world) == before
    assert world.findable() == findable
    assert set(world.catalog.files.known(made.id, [b"x", b"deep/z"])) == {b"x", b"deep/z"}
    assert set(world.catalog.files.known(above.id, [b"y", b"ab/x", b"a/x"])) == {b"y", b"ab/x"}


def test_a_folder_of_single_files_can_become_whole_later_and_takes_whole_children_in(world: World) -> None:
    child = world.catalog.roots.ensure(b"/photos/a", whole=True)
    single = world.catalog.roots.ensure(b"/photos", whole=False)
    world.commit(outcome(child.id, b"x", b"x"), outcome(single.id, b"y", b"y"))
    before = places(world)
    whole = world.catalog.roots.ensure(b"/photos", whole=True)
    assert (whole.id, whole.whole) == (single.id, True)
    assert paths(world) == {b"/photos": True}
    assert places(world) == before


def test_single_files_of_two_nested_folders_in_one_run_keep_their_roots(world: World) -> None:
    """A run asks for the roots of all its files first, and then uses them."""
    inner = world.catalog.roots.ensure(b"/photos/a", whole=False)
    outer = world.catalog.roots.ensure(b"/photos", whole=False)
    world.commit(outcome(inner.id, b"x", b"x"), outcome(outer.id, b"y", b"y"))
    assert set(places(world)) == {b"/photos/a/x", b"/photos/y"}


folders = st.lists(st.sampled_from([b"a", b"ab", b"b"]), min_size=1, max_size=3).map(
    lambda parts: b"/" + b"/".join(parts)
)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(folders, st.booleans()), min_size=1, max_size=8))
def test_roots_in_any_order_keep_every_file_and_what_is_whole(
    steps: list[tuple[bytes, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    world = World(tmp_path_factory.mktemp("roots"))
    expected: dict[bytes, int] = {}
    for n, (folder, whole) in enumerate(steps):
        root = world.catalog.roots.ensure(folder, whole=whole)
        assert inside(folder, root.path)
        path = folder + b"/file%d" % n
        relpath = os.path.relpath(path, root.path)
        world.commit(outcome(root.id, relpath, b"%d" % n))
        (record,) = world.catalog.files.known(root.id, [relpath]).values()
        expected[path] = record.id
        assert places(world) == expected
    found = world.catalog.roots.all()
    wanted = {folder for folder, whole in steps if whole}
    assert all(any(inside(folder, root.path) for root in found if root.whole) for folder in wanted)
    # Nothing became whole that no one asked for, and a whole root holds no other.
    assert {root.path for root in found if root.whole} <= wanted
    assert not [(a, b) for a in found for b in found if a.whole and a != b and inside(b.path, a.path)]
    # Each file belongs to the deepest root that holds it.
    for path in expected:
        root = deepest(world.catalog.roots.all(), path)
        assert root is not None
        assert os.path.relpath(path, root.path) in world.catalog.files.known(
            root.id, [os.path.relpath(path, root.path)]
        )
    assert world.catalog.check() == []
    world.close()


def test_taking_in_gives_files_the_label_of_the_folder_that_was_a_root(world: World) -> None:
    """As if the parent had been indexed at once."""
    child = world.catalog.roots.ensure(b"/photos/apple", whole=True)
    world.commit(outcome(child.id, b"1", b"1"), outcome(child.id, b"red/2", b"2"))
    assert (world.labels(b"1"), world.labels(b"2")) == ((), ("red",))
    world.catalog.roots.ensure(b"/photos", whole=True)
    assert (world.labels(b"1"), world.labels(b"2")) == (("apple",), ("red",))


def test_handing_down_takes_the_label_away_again(world: World) -> None:
    above = world.catalog.roots.ensure(b"/photos", whole=False)
    world.commit(outcome(above.id, b"apple/1", b"1"), outcome(above.id, b"apple/red/2", b"2"))
    assert (world.labels(b"1"), world.labels(b"2")) == (("apple",), ("red",))
    world.catalog.roots.ensure(b"/photos/apple", whole=True)
    assert (world.labels(b"1"), world.labels(b"2")) == ((), ("red",))


def test_a_root_can_be_set_offline_and_forgotten(world: World) -> None:
    root, other = (world.catalog.roots.ensure(path, whole=True) for path in (b"/a", b"/b"))
    world.commit(outcome(root.id, b"x", b"x"), outcome(root.id, b"y", b"y"), outcome(root.id, b"z", b"bad"))
    world.catalog.roots.set_online(root.id, False)
    world.commit(outcome(other.id, b"y", b"x"))
    world.catalog.roots.set_online(root.id, True)
    assert world.catalog.roots.counts() == {root.id: {"present": 2, "failed": 1}, other.id: {"present": 1}}
    world.catalog.roots.set_online(root.id, False)
    assert [r.online for r in world.catalog.roots.all()] == [False, True]
    assert world.catalog.files.states([root.id]) == {"present": 1, "missing": 0, "failed": 0, "offline": 3}
    kept = world.image(b"x")
    assert world.catalog.roots.remove(root.id) == 3
    assert paths(world) == {b"/b": True}
    assert world.findable() == [kept]
    assert world.catalog.roots.remove(12345) == 0


def test_paths_are_shown_safely(world: World, tmp_path: Path) -> None:
    assert world.catalog.roots.ensure(b"/a\xff\n", whole=True).shown == "/a\\xff\\n"
