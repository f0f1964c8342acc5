"""Looking images up and filtering them."""

import os
import posixpath
import sqlite3
import threading
from collections.abc import Container
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.types import Filters

from .support import World, digest_of, outcome

ROOTS = (b"/photos/a", b"/photos/ab", b"/srv/\xff")
FOLDERS = (b"", b"a", b"ab", b"a/b", b"a-b", b"a0", b"\xe9")


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> "tuple[World, dict[int, set[tuple[bytes, str]]]]":
    """A catalog with many small records, and for each image its (path, state)s."""
    world = World(tmp_path_factory.mktemp("images"))
    n = 0
    files: dict[bytes, set[tuple[bytes, str]]] = {}
    for path in ROOTS:
        root = world.catalog.roots.ensure(path, whole=True)
        # What is not there counts as moved; of an offline root nothing is concluded.
        world.catalog.roots.set_online(root.id, False)
        for folder in FOLDERS:
            for name in (b"x", b"y"):
                relpath = posixpath.join(folder, name)
                content = b"%d" % (n % 13)
                world.commit(outcome(root.id, relpath, content))
                files.setdefault(content, set()).add((os.path.join(path, relpath), "present"))
                n += 1
    assert world.sql("SELECT count(*) FROM files") == [(42,)]
    for content in (b"3", b"5"):
        world.teach(content, "mine")
    gone = world.sql("SELECT f.id, r.path, f.relpath FROM files f JOIN roots r ON r.id = f.root_id WHERE f.id % 4 = 0")
    world.catalog.files.mark_missing([int(i) for i, _, _ in gone])  # type: ignore[call-overload]
    lost = {os.path.join(bytes(r), bytes(p)) for _, r, p in gone}  # type: ignore[arg-type]
    return world, {
        world.image(c): {(path, "missing" if path in lost else state) for path, state in places}
        for c, places in files.items()
    }


labels = st.lists(st.sampled_from(["a", "ab", "b", "a-b", "mine", "unknown"]), max_size=3).map(tuple)
unders = st.lists(
    st.builds(
        os.path.join,
        st.sampled_from((*ROOTS, b"/photos", b"/", b"/srv", b"/photos/abc")),
        st.sampled_from((b"a", b"ab", b"a/b", b"a/b/x", b"x", b"y", b"\xe9", b"no")) | st.just(b""),
    ).map(lambda path: os.fsdecode(path.rstrip(b"/") or b"/")),
    max_size=3,
).map(tuple)


@settings(max_examples=150, deadline=None)
@given(wanted=labels, unwanted=labels, under=unders)
def test_filters_keep_what_looking_at_each_image_keeps(
    gallery: "tuple[World, dict[int, set[tuple[bytes, str]]]]",
    wanted: tuple[str, ...],
    unwanted: tuple[str, ...],
    under: tuple[str, ...],
) -> None:
    world, files = gallery
    expected = []
    for image, places in sorted(files.items()):
        present = [os.fsdecode(path) for path, state in places if state == "present"]
        carried = set(world.catalog.images.records([image])[image].labels)
        if (
            present
            and (not wanted or carried & set(wanted))
            and not carried & set(unwanted)
            and (not under or any(f == "/" or p == f or p.startswith(f + "/") for p in present for f in under))
        ):
            expected.append(image)
    filters = Filters(labels=wanted, not_labels=unwanted, under=under)
    assert world.catalog.images.passing(world.space.id, filters).tolist() == expected


def test_a_gallery_of_this_kind_tells_filters_apart(
    gallery: "tuple[World, dict[int, set[tuple[bytes, str]]]]",
) -> None:
    """The property above would be empty if every image passed every filter."""
    world, files = gallery

    def passing(**conditions: tuple[str, ...]) -> int:
        return len(world.catalog.images.passing(world.space.id, Filters(**conditions)))

    counts = [passing(), passing(labels=("a",)), passing(under=("/photos/a/a",)), passing(under=("/photos/ab",))]
    assert counts[0] == len(files)
    assert all(0 < count < len(files) for count in counts[1:])
    assert passing(under=("/elsewhere",)) == 0


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> "tuple[World, list[tuple[int, datetime | None, int, int, int]]]":
    """A catalog of images with (id, date, width, height, bytes), some without a date."""
    world = World(tmp_path_factory.mktemp("dated"))
    root = world.catalog.roots.ensure(b"/photos", whole=True)
    rows = []
    for n in range(24):
        world.commit(outcome(root.id, b"%d" % n, b"%d" % n))
        image = world.image(b"%d" % n)
        taken = None if n % 5 == 0 else datetime(2020 + n % 3, 1 + n % 12, 1 + n, n % 24)
        width, height, size = 100 + 37 * n % 200, 80 + 53 * n % 210, 1000 * (1 + n % 7)
        rows.append((image, taken, width, height, size))
        with sqlite3.connect(world.catalog.path) as connection:
            stored = None if taken is None else taken.strftime("%Y-%m-%d %H:%M:%S.000000")
            values = (stored, width, height, size, image)
            connection.execute("UPDATE images SET captured = ?, width = ?, height = ?, bytes = ? WHERE id = ?", values)
        connection.close()
    return world, rows


moments = st.none() | st.datetimes(datetime(2019, 6, 1), datetime(2023, 1, 1)).map(lambda at: at.replace(microsecond=0))
sides = st.none() | st.integers(60, 320)
sizes = st.none() | st.integers(500, 8000)


@settings(max_examples=150, deadline=None)
@given(after=moments, before=moments, min_side=sides, max_side=sides, min_bytes=sizes, max_bytes=sizes)
def test_dates_and_sizes_keep_what_looking_at_each_image_keeps(
    dated: "tuple[World, list[tuple[int, datetime | None, int, int, int]]]",
    after: datetime | None,
    before: datetime | None,
    min_side: int | None,
    max_side: int | None,
    min_bytes: int | None,
    max_bytes: int | None,
) -> None:
    world, rows = dated
    expected = [
        image
        for image, taken, width, height, size in rows
        if (after is None or (taken is not None and taken >= after))
        and (before is None or (taken is not None and taken < before))
        and (min_side is None or min(width, height) >= min_side)
        and (max_side is None or max(width, height) <= max_side)
        and (min_bytes is None or size >= min_bytes)
        and (max_bytes is None or size <= max_bytes)
    ]
    filters = Filters(
        after=after, before=before, min_side=min_side, max_side=max_side, min_bytes=min_bytes, max_bytes=max_bytes
    )
    assert world.catalog.images.passing(world.space.id, filters).tolist() == expected
    given_any = (after, before, min_side, max_side, min_bytes, max_bytes) != (None,) * 6
    assert filters.restricts == given_any


def test_the_findable_images_come_in_pages_latest_first(
    dated: "tuple[World, list[tuple[int, datetime | None, int, int, int]]]",
) -> None:
    world, rows = dated
    ids = sorted((row[0] for row in rows), reverse=True)
    seen = [world.catalog.images.findable(world.space.id, start, 7) for start in range(0, 28, 7)]
    assert [i for page, _ in seen for i in page] == ids
    assert {total for _, total in seen} == {24}
    assert world.catalog.images.by_digests([digest_of(b"3"), digest_of(b"none")]) == {
        digest_of(b"3"): world.image(b"3")
    }


def test_records_tell_all_places_and_leave_unknown_ids_out(
    gallery: "tuple[World, dict[int, set[tuple[bytes, str]]]]",
) -> None:
    world, files = gallery
    records = world.catalog.images.records([*files, 10_000])
    assert {i: {(os.fsencode(f.path), f.state) for f in r.files} for i, r in records.items()} == files
    assert world.catalog.images.records([]) == {}


def test_only_images_with_a_present_file_are_counted(
    gallery: "tuple[World, dict[int, set[tuple[bytes, str]]]]",
) -> None:
    world, files = gallery
    assert world.catalog.images.count() == sum(any(s == "present" for _, s in places) for places in files.values())


@pytest.mark.parametrize("count", [1, 3, 12, 13, 100])
def test_a_sample_is_spread_and_has_no_image_twice(
    gallery: "tuple[World, dict[int, set[tuple[bytes, str]]]]", count: int
) -> None:
    world, _ = gallery
    ids, sample = world.findable(), world.catalog.images.sample(world.space.id, count)
    assert len(sample) == min(count, len(ids))
    assert sample == sorted(set(sample))
    assert set(sample) <= set(ids)


def test_a_content_is_known_by_its_digest(gallery: "tuple[World, dict[int, set[tuple[bytes, str]]]]") -> None:
    world, _ = gallery
    with world.catalog.images.known_contents(world.space.id) as known:
        assert digest_of(b"1") in known
        assert digest_of(b"never seen") not in known
    with world.catalog.images.known_contents(world.space.id + 1) as known:
        assert digest_of(b"1") not in known


# --- query plans: time per file must not grow with the gallery -------------------------------------------------


def test_images_are_found_by_content_and_unknown_contents_are_left_out(
    gallery: "tuple[World, dict[int, set[tuple[bytes, str]]]]",
) -> None:
    images = gallery[0].catalog.images
    contents = [digest_of(b"%d" % n) for n in range(13)]
    found = images.by_content([*contents, digest_of(b"nobody's")])
    assert found.keys() == set(contents)
    assert {digest: images.records([n])[n].digest for digest, n in found.items()} == {
        digest: digest.hex() for digest in contents
    }


def test_look_ups_for_a_file_use_an_index(world: World, tmp_path: Path) -> None:
    """Every statement of an index run's steady work is explained; none may walk through a whole table that grows."""
    from sqlalchemy import event

    root = world.root(tmp_path / "photos")
    for n in range(30):
        (tmp_path / "photos" / f"{n}").write_bytes(b"%d" % (n % 20))
    statements: dict[str, object] = {}

    @event.listens_for(world.catalog._session._engine, "before_cursor_execute")
    def _remember(_c: object, _cursor: object, statement: str, parameters: object, _x: object, many: bool) -> None:
        # An insertion's plan names the tables that refer to its own, which are not read where nothing dangles.
        if statement.split()[0] in ("SELECT", "UPDATE", "DELETE"):
            statements[statement] = parameters[0] if many else parameters  # type: ignore[index]

    world.index(root, 7)
    (tmp_path / "photos" / "3").rename(tmp_path / "photos" / "moved")
    (tmp_path / "photos" / "4").unlink()
    (tmp_path / "photos" / "5").write_bytes(b"bad now")
    world.index(root, 7)
    (tmp_path / "photos" / "4").write_bytes(b"4")
    world.index(root, 7)
    findable = world.findable()
    world.catalog.images.records(findable)
    world.catalog.spaces.changes_since(world.space.id, 3)
    world.catalog.spaces.last_change(world.space.id)
    world.catalog.spaces.drop_vectors(world.space.id, findable[:2])
    world.catalog.files.failures()
    world.catalog.files.missing()
    world.catalog.files.largest_id()
    world.catalog.files.forget([1, 2, 3])
    world.catalog.images.passing(world.space.id, Filters(labels=("a",), under=(str(tmp_path),)))
    event.remove(world.catalog._session._engine, "before_cursor_execute", _remember)

    walks = []
    with world.catalog._session.read() as connection:
        for statement, parameters in statements.items():
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
            for row in plan:
                step = str(row[3])
                # The few rows of roots and spaces are read whole.
                if step.startswith("SCAN") and step.split()[1] not in ("roots", "spaces", "CONSTANT"):
                    walks.append((step, statement))
    assert len(statements) > 20
    assert walks == []


def test_threads_that_still_ask_when_the_block_ends_are_refused_and_nothing_crashes(world: World) -> None:
    # Ctrl-C ends the block while decoders ask: with the connection closed under them the process would crash.
    refused = threading.Semaphore(0)

    def ask(known: Container[bytes], number: int) -> None:
        try:
            while True:
                assert number.to_bytes(32, "big") not in known
        except RuntimeError:
            refused.release()

    for _ in range(20):
        with world.catalog.images.known_contents(world.space.id) as known:
            threads = [threading.Thread(target=ask, args=(known, number)) for number in range(4)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert all(refused.acquire(blocking=False) for _ in threads)
