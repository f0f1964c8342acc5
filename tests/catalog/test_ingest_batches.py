"""A batch: contents known or forgotten meanwhile, vectors, statements, counts."""

from pathlib import Path

import pytest

from retrieval.catalog import Counts, Root
from retrieval.core.errors import Reason

from .support import World, counted, digest_of, outcome, vector_of, write


def test_a_known_content_that_was_forgotten_meanwhile_is_read_again(world: World, root: Root, photos: Path) -> None:
    """It was recognised by its digest, so it was not decoded; then the only record of it went."""
    write(photos / "a", b"1")
    world.index(root)
    write(photos / "b", b"1")
    recognised = world.read(root, b"b")
    assert recognised.vector is None
    (photos / "a").unlink()
    (known,) = world.catalog.files.known(root.id, [b"a"]).values()
    world.catalog.files.forget([known.id])
    assert counted(world.commit(recognised)) == {"failed": 1}
    (failure,) = world.catalog.files.failures()
    assert failure.reason == Reason.CHANGED
    assert counted(world.index(root)[0]) == {"new": 1, "embedded": 1}
    assert world.catalog.files.failures() == []


def test_a_content_whose_vector_was_forgotten_meanwhile_is_read_again(world: World, root: Root, photos: Path) -> None:
    """A person's label keeps the image's record; without a vector it would never be found, nor embedded again."""
    write(photos / "a", b"1")
    world.index(root)
    world.teach(b"1", "mine")
    write(photos / "b", b"1")
    recognised = world.read(root, b"b")
    (photos / "a").unlink()
    (known,) = world.catalog.files.known(root.id, [b"a"]).values()
    world.catalog.files.forget([known.id])
    assert counted(world.commit(recognised)) == {"failed": 1}
    assert world.index(root)[0].embedded == 1
    assert world.contents() == {digest_of(b"1").hex()}
    assert "mine" in world.labels(b"1")


def test_a_content_known_to_the_batch_itself_needs_no_decoding(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    write(photos / "b", b"1")
    decoded, recognised = outcome(root.id, b"a", b"1"), outcome(root.id, b"b", b"1", known=True)
    assert counted(world.commit(recognised, decoded)) == {"new": 1, "copied": 1, "embedded": 1}


def test_a_content_embedded_twice_by_two_decoders_is_stored_once(world: World, root: Root, photos: Path) -> None:
    write(photos / "a", b"1")
    world.commit(outcome(root.id, b"a", b"1"))
    assert counted(world.commit(outcome(root.id, b"b", b"1"))) == {"copied": 1}
    assert world.rows.rows == [world.image(b"1")]


def test_a_batch_whose_vectors_cannot_be_written_leaves_nothing(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"a", b"1"))
    before = [world.sql(f"SELECT * FROM {table}") for table in ("files", "images", "embedded", "changes", "labels")]
    rows = world.sql("SELECT rows FROM spaces")

    def fail(ids: object, vectors: object) -> int:
        raise OSError(28, "No space left on device")

    batch = [outcome(root.id, b"x/b", b"2"), outcome(root.id, b"a", b"bad")]
    with pytest.raises(OSError, match="No space"):
        world.catalog.ingest.commit(world.space.id, batch, fail, world.catalog.ingest.start())
    after = [world.sql(f"SELECT * FROM {table}") for table in ("files", "images", "embedded", "changes", "labels")]
    assert after == before
    assert world.sql("SELECT rows FROM spaces") == rows


def test_an_empty_batch_changes_nothing(world: World) -> None:
    assert counted(world.commit()) == {}


def test_a_batch_larger_than_one_statement_holds(world: World, root: Root) -> None:
    batch = [outcome(root.id, b"f%d/%d" % (n % 7, n), b"%d" % (n % 1050)) for n in range(2100)]
    # The files are not there, so that the second of two is taken for the first one, moved.
    assert counted(world.commit(*batch[:1050])) == {"new": 1050, "embedded": 1050}
    world.catalog.roots.set_online(root.id, False)
    assert counted(world.commit(*batch[1050:])) == {"copied": 1050}
    world.catalog.roots.set_online(root.id, True)
    assert len(world.findable()) == 1050
    assert len(world.catalog.images.records(world.findable())) == 1050
    ids = [i for i, _ in world.catalog.files.ids_below(root.id, b"")]
    assert world.catalog.files.mark_missing(ids) == 2100
    assert world.findable() == []
    world.catalog.ingest.restore_present(ids)
    assert len(world.findable()) == 1050
    assert world.catalog.files.forget(ids) == 2100
    assert world.catalog.check() == []


def test_vectors_stand_where_the_records_say(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"a", b"1"), outcome(root.id, b"b", b"bad"), outcome(root.id, b"c", b"2"))
    world.commit(outcome(root.id, b"d", b"3"))
    ids, rows = world.catalog.spaces.embedded_rows(world.space.id)
    assert [world.rows.rows[row] for row in rows] == ids.tolist()
    (space,) = world.catalog.spaces.all()
    assert space.rows == 3


def test_the_vector_that_is_stored_is_the_contents_own(world: World, root: Root) -> None:
    stored = {}

    def append(ids: object, vectors: object) -> int:
        stored.update(zip(ids.tolist(), vectors.tolist(), strict=True))  # type: ignore[attr-defined]
        return 0

    batch = [outcome(root.id, b"%d" % n, b"%d" % n) for n in (3, 1, 2)]
    world.catalog.ingest.commit(world.space.id, batch, append, world.catalog.ingest.start())
    assert stored == {world.image(b"%d" % n): vector_of(b"%d" % n).tolist() for n in (1, 2, 3)}


def test_counts_add_up() -> None:
    counts = Counts(new=1, failed=2, claimed=[3])
    counts.add(Counts(new=10, moved=4, embedded=5, claimed=[6]))
    assert counts == Counts(new=11, failed=2, moved=4, embedded=5, claimed=[3, 6])
