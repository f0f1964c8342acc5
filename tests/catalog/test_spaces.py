"""Spaces and the feed of changes."""

from pathlib import Path

import numpy as np
import pytest

from retrieval.catalog import Root

from .support import D, World, digest_of, outcome


@pytest.fixture
def root(world: World, tmp_path: Path) -> Root:
    return world.root(tmp_path / "photos")


def test_the_first_space_is_live_and_the_second_is_not(world: World) -> None:
    probes = np.arange(8, dtype=np.float64).reshape(2, 4)
    second = world.catalog.spaces.create("e" * 64, "other", 4, probes)
    assert [(s.fingerprint, s.model, s.dimension, s.rows, s.live) for s in world.catalog.spaces.all()] == [
        ("f" * 64, "fake", D, 0, True),
        ("e" * 64, "other", 4, 0, False),
    ]
    assert world.catalog.spaces.live() == world.space
    assert np.array_equal(world.catalog.spaces.probes(second), probes)


def test_a_fingerprint_has_one_space(world: World) -> None:
    again = world.catalog.spaces.create("f" * 64, "renamed", 99, np.zeros((1, 99), np.float32))
    assert again == world.space
    assert world.catalog.spaces.all() == [world.space]


def test_a_new_catalog_has_no_live_space(tmp_path: Path) -> None:
    from retrieval.catalog import Catalog

    catalog = Catalog(tmp_path / "c.sqlite3")
    assert (catalog.spaces.live(), catalog.spaces.all()) == (None, [])
    catalog.close()


def test_spaces_do_not_see_each_others_vectors_and_changes(world: World, root: Root) -> None:
    other = world.catalog.spaces.create("e" * 64, "other", D, np.zeros((1, D), np.float32))
    world.commit(outcome(root.id, b"a", b"1"))
    assert world.catalog.spaces.count(other.id) == (0, 0)
    assert world.catalog.spaces.last_change(other.id) == 0
    with world.catalog.images.known_contents(other.id) as known:
        assert digest_of(b"1") not in known
    operation = world.catalog.ingest.start()
    world.catalog.ingest.commit(other.id, [outcome(root.id, b"a", b"1")], lambda ids, vectors: 0, operation)
    assert world.catalog.spaces.count(other.id) == (1, 1)
    # A file that vanishes leaves every space.
    world.catalog.files.mark_missing([i for i, _ in world.catalog.files.ids_below(root.id, b"")])
    assert [world.catalog.spaces.count(s.id) for s in (world.space, other)] == [(1, 0), (1, 0)]


def test_of_several_changes_of_an_image_only_the_last_counts(world: World, root: Root) -> None:
    start = world.catalog.spaces.last_change(world.space.id)
    world.commit(outcome(root.id, b"a", b"1"), outcome(root.id, b"b", b"2"))
    ids = [i for i, _ in world.catalog.files.ids_below(root.id, b"")]
    middle = world.catalog.spaces.last_change(world.space.id)
    world.catalog.files.mark_missing(ids)
    world.catalog.ingest.restore_present(ids[:1])
    feed = world.catalog.spaces.changes_since(world.space.id, start)
    assert (feed.added.tolist(), feed.removed.tolist()) == ([world.image(b"1")], [world.image(b"2")])
    assert feed.rows == 2
    assert feed.last > middle > start
    after = world.catalog.spaces.changes_since(world.space.id, feed.last)
    assert (len(after.added), len(after.removed), after.last) == (0, 0, feed.last)


def test_nothing_is_said_of_what_did_not_change(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"a", b"1"))
    last = world.catalog.spaces.last_change(world.space.id)
    world.commit(outcome(root.id, b"a", b"1", 2))
    world.commit(outcome(root.id, b"b", b"bad"))
    world.catalog.ingest.restore_present([i for i, _ in world.catalog.files.ids_below(root.id, b"")][:1])
    assert world.catalog.spaces.last_change(world.space.id) == last


def test_dropped_vectors_are_embedded_again_by_the_next_index(world: World, tmp_path: Path) -> None:
    root = world.root(tmp_path / "photos")
    for name in "abc":
        (tmp_path / "photos" / name).write_bytes(name.encode())
    world.index(root)
    lost = [world.image(b"a"), world.image(b"c")]
    before, start = world.findable(), world.catalog.spaces.last_change(world.space.id)
    assert world.catalog.spaces.drop_vectors(world.space.id, [*lost, 999]) == 2
    assert world.catalog.spaces.drop_vectors(world.space.id, lost) == 0
    assert world.findable() == [world.image(b"b")]
    assert world.replay(start, before) == {world.image(b"b")}
    counts, missing = world.index(root)
    assert (counts.unchanged, counts.embedded, missing) == (3, 2, 0)
    assert world.findable() == before
    assert world.replay(start, before) == set(before)


def test_rows_can_be_set_back(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"a", b"1"), outcome(root.id, b"b", b"2"))
    world.catalog.spaces.set_rows(world.space.id, 1)
    assert [space.rows for space in world.catalog.spaces.all()] == [1]
    assert world.catalog.spaces.findable(world.space.id)[1].rows == 1
