"""Committing what was read: what became of every file, what can be found, and what it is labelled."""

import os
from pathlib import Path

import pytest

from retrieval.catalog import Counts, Root
from retrieval.core.errors import Reason

from .support import World, counted, digest_of, facts_of, outcome, vector_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return tmp_path / "photos"


@pytest.fixture
def root(world: World, photos: Path) -> Root:
    return world.root(photos)


_clock = iter(range(10**18, 2 * 10**18, 10**9))


def write(path: Path, content: bytes) -> None:
    """With a time of its own, so that no change goes unnoticed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(0, next(_clock)))


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


# --- failures --------------------------------------------------------------------------------------------------


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


# --- roots that cannot be reached ------------------------------------------------------------------------------


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
    assert world.catalog.files.states()["offline"] == (0 if became == "moved" else 1)
    assert len(world.findable()) == 1


def test_images_of_an_offline_root_stay_findable(world: World, root: Root) -> None:
    world.commit(outcome(root.id, b"a", b"1"))
    world.catalog.roots.set_online(root.id, False)
    assert world.contents() == {digest_of(b"1").hex()}
    image = world.image(b"1")
    assert [f.offline for f in world.catalog.images.records([image])[image].files] == [True]
    assert world.catalog.files.missing() == []


# --- what the files say of an image ----------------------------------------------------------------------------


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


# --- forgetting ------------------------------------------------------------------------------------------------


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


# --- looking paths up ------------------------------------------------------------------------------------------


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
