"""Coverage of a space, switching to it, going back, dropping it; calibrations, runs and splits."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from retrieval.catalog import Root, Vector
from retrieval.core.types import EmbeddingSpace

from .support import D, Rows, World, digest_of, outcome, vector_of

CONTENTS = (b"1", b"2", b"3")


@pytest.fixture
def root(world: World, tmp_path: Path) -> Root:
    made = world.root(tmp_path / "photos")
    world.commit(*(outcome(made.id, b"file " + content, content) for content in CONTENTS))
    return made


def space(world: World, letter: str) -> EmbeddingSpace:
    return world.catalog.spaces.create(letter * 64, f"model {letter}", D, np.zeros((1, D), np.float32))


def embed(world: World, into: EmbeddingSpace, *contents: bytes, rows: Rows | None = None) -> int:
    vectors = [Vector(world.image(content), digest_of(content), vector_of(content)) for content in contents]
    return world.catalog.coverage.add(into.id, vectors, (rows or Rows()).append)


def live(world: World) -> str:
    found = world.catalog.spaces.live()
    assert found is not None
    return found.fingerprint[0]


# --- coverage ---------------------------------------------------------------------------------------------------


def test_a_new_space_lacks_every_image_that_a_file_holds(world: World, root: Root) -> None:
    other = space(world, "e")
    assert world.catalog.coverage.count(world.space.id) == (3, 3)
    assert world.catalog.coverage.count(other.id) == (0, 3)
    lacking = list(world.catalog.coverage.lacking(other.id))
    assert [entry.digest for entry in lacking] == [digest_of(content) for content in CONTENTS]
    (place,) = lacking[0].places
    assert (place.root_id, place.path, place.present) == (root.id, root.path + b"/file 1", True)
    # An edited file holds its former content no longer: nobody can find that, and nobody can read it.
    world.commit(outcome(root.id, b"file 1", b"edited", 2))
    assert world.catalog.coverage.count(other.id) == (0, 3)
    assert digest_of(b"1") not in {entry.digest for entry in world.catalog.coverage.lacking(other.id)}


def test_present_places_come_first_and_missing_ones_are_named(world: World, root: Root, tmp_path: Path) -> None:
    (tmp_path / "photos" / "file 1").write_bytes(b"1")
    world.commit(outcome(root.id, b"copy of 1", b"1"))
    first = next(i for i, relpath in world.catalog.files.ids_below(root.id, b"") if relpath == b"file 1")
    world.catalog.files.mark_missing([first])
    lacking = next(iter(world.catalog.coverage.lacking(space(world, "e").id)))
    assert [(place.path.rsplit(b"/")[-1], place.present) for place in lacking.places] == [
        (b"copy of 1", True),
        (b"file 1", False),
    ]


@pytest.mark.usefixtures("root")
def test_embeddings_are_committed_findable_and_fed_to_the_index(world: World) -> None:
    other, rows = space(world, "e"), Rows()
    assert embed(world, other, b"3", b"1", rows=rows) == 2
    assert rows.rows == [world.image(b"1"), world.image(b"3")]
    assert world.catalog.coverage.count(other.id) == (2, 3)
    assert world.catalog.spaces.findable(other.id)[0].tolist() == rows.rows
    feed = world.catalog.spaces.changes_since(other.id, 0)
    assert (feed.added.tolist(), feed.rows) == (rows.rows, 2)
    ids, numbers = world.catalog.spaces.embedded_rows(other.id)
    assert dict(zip(ids.tolist(), numbers.tolist(), strict=True)) == {world.image(b"1"): 0, world.image(b"3"): 1}
    # The live space sees nothing of it.
    assert world.findable() == [world.image(content) for content in CONTENTS]


def test_what_became_of_an_image_meanwhile_is_respected(world: World, root: Root) -> None:
    other, rows = space(world, "e"), Rows()
    image = {content: world.image(content) for content in CONTENTS}
    ids = {relpath: i for i, relpath in world.catalog.files.ids_below(root.id, b"")}
    world.catalog.files.forget([ids[b"file 1"]])
    world.catalog.files.mark_missing([ids[b"file 2"]])
    vectors = [Vector(image[content], digest_of(content), vector_of(content)) for content in CONTENTS]
    vectors.append(Vector(image[b"3"] + 1, digest_of(b"another gallery's"), vector_of(b"4")))
    assert world.catalog.coverage.add(other.id, vectors, rows.append) == 2
    assert rows.rows == [image[b"2"], image[b"3"]]
    assert world.catalog.spaces.findable(other.id)[0].tolist() == [image[b"3"]]
    assert world.catalog.coverage.add(other.id, vectors, rows.append) == 0
    # A number that means another content by now.
    swapped = Vector(image[b"3"], digest_of(b"x"), vector_of(b"x"))
    assert world.catalog.coverage.add(space(world, "d").id, [swapped], rows.append) == 0


@pytest.mark.usefixtures("root")
def test_a_failed_append_leaves_nothing(world: World) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    other = space(world, "e")
    vector = Vector(world.image(b"1"), digest_of(b"1"), vector_of(b"1"))
    with pytest.raises(OSError, match="space"):
        world.catalog.coverage.add(other.id, [vector], full)
    assert world.catalog.coverage.count(other.id) == (0, 3)


def test_images_that_are_added_meanwhile_are_listed_too(
    world: World, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.catalog.coverage._PAGE", 2)
    other = space(world, "e")
    seen = []
    for entry in world.catalog.coverage.lacking(other.id):
        seen.append(entry.digest)
        if len(seen) == 1:
            world.commit(outcome(root.id, b"late", b"late"))
    assert seen == [digest_of(content) for content in (*CONTENTS, b"late")]
    assert world.catalog.coverage.lacks_only(other.id, {world.image(c) for c in (*CONTENTS, b"late")})
    assert not world.catalog.coverage.lacks_only(other.id, {world.image(c) for c in CONTENTS})


# --- switching --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("root")
def test_switch_and_rollback_move_the_one_live_space(world: World) -> None:
    second, third = space(world, "e"), space(world, "d")
    for into in (second, third):
        embed(world, into, *CONTENTS)
    assert world.catalog.switches.last() is None
    assert world.catalog.switches.roll_back() is None
    assert world.catalog.switches.make_live(second.id) == 0
    assert world.catalog.switches.make_live(third.id, forced=["it leaks"]) == 0
    last = world.catalog.switches.last()
    assert last is not None
    assert (last.space_id, last.previous_id, last.forced) == (third.id, second.id, ("it leaks",))
    assert [s.live for s in world.catalog.spaces.all()] == [False, False, True]
    assert world.catalog.switches.roll_back() == (second.id, 0)
    assert live(world) == "e"
    assert world.catalog.switches.roll_back() == (world.space.id, 0)
    assert live(world) == "f"
    assert world.catalog.switches.roll_back() is None
    assert live(world) == "f"
    with pytest.raises(ValueError, match="live already"):
        world.catalog.switches.make_live(world.space.id)


def test_going_to_and_fro_rolls_back_to_the_beginning(world: World) -> None:
    second = space(world, "e")
    world.catalog.switches.make_live(second.id)
    world.catalog.switches.make_live(world.space.id)
    assert world.catalog.switches.roll_back() == (second.id, 0)
    assert world.catalog.switches.roll_back() == (world.space.id, 0)
    assert world.catalog.switches.roll_back() is None


def test_files_of_images_that_the_new_live_space_lacks_are_read_again(world: World, root: Root) -> None:
    second = space(world, "e")
    embed(world, second, b"1", b"2")
    assert world.catalog.switches.make_live(second.id) == 1
    times = {bytes(name): time for name, time in world.sql("SELECT relpath, mtime_ns FROM files")}
    assert times == {b"file 1": 1, b"file 2": 1, b"file 3": -1}
    world.commit(outcome(root.id, b"new", b"new"))
    # Indexed into the first space here; a rollback finds what that one lacks.
    assert world.catalog.switches.roll_back() == (world.space.id, 0)
    world.catalog.switches.make_live(second.id)
    assert world.catalog.coverage.count(second.id) == (2, 4)


def test_the_database_forbids_two_live_spaces(world: World) -> None:
    space(world, "e")
    with pytest.raises(IntegrityError, match="UNIQUE"):
        world.sql("UPDATE spaces SET live = 1")


@pytest.mark.usefixtures("root")
def test_a_dropped_space_leaves_nothing_and_the_way_back_leads_past_it(world: World) -> None:
    second, third = space(world, "e"), space(world, "d")
    embed(world, second, *CONTENTS)
    world.catalog.calibrations.add(second.id, {"kind": "platt"})
    world.catalog.switches.make_live(second.id)
    world.catalog.switches.make_live(third.id)
    with pytest.raises(ValueError, match="live"):
        world.catalog.switches.drop(third.id)
    world.catalog.switches.drop(second.id)
    for table in ("embedded", "changes", "calibrations"):
        assert world.sql(f"SELECT count(*) FROM {table} WHERE space_id = ?", second.id) == [(0,)], table
    assert world.catalog.check() == []
    assert world.catalog.switches.roll_back() == (world.space.id, 0)


def test_a_space_is_never_its_own_way_back(world: World) -> None:
    second = space(world, "e")
    world.catalog.switches.make_live(second.id)
    world.catalog.switches.make_live(world.space.id)
    world.catalog.switches.drop(second.id)
    assert world.catalog.switches.roll_back() is None
    assert live(world) == "f"


# --- calibrations, runs, splits ---------------------------------------------------------------------------------


def test_the_newest_calibration_of_a_space_counts(world: World) -> None:
    second = space(world, "e")
    assert world.catalog.calibrations.current(second.id) is None
    world.catalog.calibrations.add(second.id, {"kind": "platt", "slope": 1.5})
    world.catalog.switches.make_live(second.id, calibration={"kind": "isotonic"})
    number, content = world.catalog.calibrations.current(second.id) or (0, {})
    assert content == {"kind": "isotonic"}
    world.catalog.calibrations.add(second.id, {"kind": "platt"})
    assert (world.catalog.calibrations.current(second.id) or (0, {}))[0] > number
    assert world.catalog.calibrations.current(world.space.id) is None


def test_a_run_is_remembered_once(world: World) -> None:
    def record(metrics: dict[str, float]) -> int:
        folder = "/runs/ümlaut\udcff".encode("utf-8", "surrogateescape")
        made = world.catalog.runs.record(folder, "a" * 64, data="d", recipe={"epochs": 3}, metrics=metrics)
        assert (made.folder, made.recipe, made.metrics) == (folder, {"epochs": 3}, metrics)
        return made.id

    first = record({"recall_at_1": 0.5})
    assert record({"recall_at_1": 0.5}) == first
    assert record({"recall_at_1": 0.6}) != first
    assert len(world.catalog.runs.all()) == len(world.catalog.runs.all("a" * 64)) == 2
    assert world.catalog.runs.all("b" * 64) == []


def test_a_content_never_changes_sides(world: World) -> None:
    parts = {digest_of(b"%d" % n): ("train", "val", "test")[n % 3] for n in range(500)}
    assert world.catalog.splits.add("flowers", parts) == 500
    later = dict.fromkeys(parts, "train") | {digest_of(b"new"): "test"}
    assert world.catalog.splits.add("flowers", later) == 1
    assert world.catalog.splits.parts("flowers") == parts | {digest_of(b"new"): "test"}
    assert world.catalog.splits.parts("birds") == {}
    with pytest.raises(IntegrityError, match="splits_part"):
        world.catalog.splits.add("flowers", {digest_of(b"x"): "elsewhere"})
