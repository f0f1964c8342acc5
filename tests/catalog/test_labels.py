"""Labels as events: given, taken away, taken back again; what folders may say, and what they may not any more."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.catalog import AUTOMATIC, CSV, FOLDER, PERSON, Change, Entry, Root

from .support import World, outcome


@pytest.fixture
def root(world: World, tmp_path: Path) -> Root:
    """Three images in the folders ``red`` and ``blue``."""
    made = world.root(tmp_path / "photos")
    world.commit(outcome(made.id, b"red/a", b"1"), outcome(made.id, b"red/b", b"2"), outcome(made.id, b"blue/c", b"3"))
    return made


def carried(world: World) -> dict[bytes, tuple[str, ...]]:
    return {content: world.labels(content) for content in (b"1", b"2", b"3")}


def give(world: World, content: bytes, label: str, source: str = PERSON) -> Change:
    return world.catalog.labels.change("set", [Entry(world.image(content), label, source)])


def take(world: World, content: bytes, label: str) -> Change:
    events = [e.id for e in world.catalog.labels.standing([world.image(content)]) if e.label == label]
    return world.catalog.labels.change("unset", remove=events)


def only(world: World, content: bytes, label: str) -> Change:
    image = world.image(content)
    others = [e.id for e in world.catalog.labels.standing([image]) if e.label != label]
    return world.catalog.labels.change("set", [Entry(image, label, PERSON)], others)


def undo(world: World, change: Change) -> Change:
    assert change.operation is not None
    return world.catalog.labels.undo(change.operation)


FOLDERS = {b"1": ("red",), b"2": ("red",), b"3": ("blue",)}


@pytest.mark.usefixtures("root")
def test_an_image_carries_several_labels_and_none_twice(world: World) -> None:
    first = give(world, b"1", "apple")
    assert (first.added, first.unchanged, first.removed) == (1, 0, 0)
    assert give(world, b"1", "apple") == Change(None, 0, 1, 0)
    give(world, b"1", "fruit")
    # A person who says what the folder says stands for it from now on.
    assert give(world, b"1", "red").added == 1
    assert world.labels(b"1") == ("apple", "fruit", "red")
    assert dict(world.catalog.images.labels()) == {"red": 2, "blue": 1, "apple": 1, "fruit": 1}


@pytest.mark.usefixtures("root")
def test_undo_takes_back_one_operation_and_can_be_taken_back(world: World) -> None:
    given, taken = give(world, b"1", "apple"), take(world, b"1", "red")
    assert world.labels(b"1") == ("apple",)
    undone = world.catalog.labels.undo(taken.operation or 0)
    assert (undone.added, undone.removed) == (1, 0)
    assert world.labels(b"1") == ("apple", "red")
    assert world.catalog.labels.undo(taken.operation or 0).operation is None
    undone = world.catalog.labels.undo(given.operation or 0)
    assert (undone.added, undone.removed) == (0, 1)
    assert world.labels(b"1") == ("red",)
    assert world.catalog.labels.undo(undone.operation or 0).added == 1
    assert world.labels(b"1") == ("apple", "red")


@pytest.mark.usefixtures("root")
def test_a_label_that_was_given_back_goes_with_the_operation_that_gave_it(world: World) -> None:
    given = give(world, b"1", "apple")
    taken = take(world, b"1", "apple")
    world.catalog.labels.undo(taken.operation or 0)
    assert world.catalog.labels.undo(given.operation or 0).removed == 1
    assert world.labels(b"1") == ("red",)


@pytest.mark.usefixtures("root")
def test_undoing_an_undoing_takes_the_label_away_again(world: World) -> None:
    taken = take(world, b"1", "red")
    back = undo(world, taken)
    assert world.labels(b"1") == ("red",)
    again = undo(world, back)
    assert (again.added, again.removed) == (0, 1)
    assert world.labels(b"1") == ()
    # It is the first operation that is in effect again, and that one can be taken back as well.
    last = world.catalog.labels.last_in_effect()
    assert last is not None
    assert last.id == taken.operation
    assert undo(world, taken).added == 1
    assert world.labels(b"1") == ("red",)
    assert undo(world, again).operation is None


@pytest.mark.usefixtures("root")
def test_undoing_the_undoing_of_an_only_label_leaves_that_one_alone(world: World) -> None:
    give(world, b"1", "apple")
    alone = only(world, b"1", "fruit")
    back = undo(world, alone)
    assert (back.added, back.removed) == (2, 1)
    assert world.labels(b"1") == ("apple", "red")
    again = undo(world, back)
    assert (again.added, again.removed) == (1, 2)
    assert world.labels(b"1") == ("fruit",)
    assert undo(world, again).removed == 1
    assert world.labels(b"1") == ("apple", "red")


@pytest.mark.usefixtures("root")
def test_what_was_given_back_keeps_who_said_it_how_surely_and_its_age(world: World) -> None:
    labels, image = world.catalog.labels, world.image(b"1")
    older = labels.change("automatic", [Entry(image, "guess", AUTOMATIC, 0.75)])
    give(world, b"1", "from a table", CSV)
    give(world, b"1", "first")
    give(world, b"1", "second")
    before = [(e.label, e.source, e.confidence, e.first) for e in labels.standing([image])]
    for label in ("guess", "first"):
        undo(world, take(world, b"1", label))
    assert [(e.label, e.source, e.confidence, e.first) for e in labels.standing([image])] == before
    # What came back last is not the newest for that.
    assert labels.chosen() == {**labels.chosen((FOLDER,)), image: "second"}
    assert undo(world, older).removed == 1
    assert world.labels(b"1") == ("first", "from a table", "red", "second")


@pytest.mark.usefixtures("root")
def test_what_was_given_back_and_taken_again_is_not_given_back_by_the_first_undoing(world: World) -> None:
    first = take(world, b"1", "red")
    undo(world, first)
    second = take(world, b"1", "red")
    assert undo(world, first).operation is None
    assert world.labels(b"1") == ()
    assert undo(world, second).added == 1


@pytest.mark.usefixtures("root")
def test_undoing_an_operation_outlasts_what_was_taken_from_it_and_given_back(world: World) -> None:
    labels = world.catalog.labels
    given = give(world, b"1", "apple")
    for _ in range(3):
        undo(world, take(world, b"1", "apple"))
    (entry,) = [one for one in labels.history() if one.id == given.operation]
    assert (entry.added, entry.standing, entry.removed) == (1, 1, 0)
    # Step by step: neither the three nor what they took come up again.
    last = labels.last_in_effect()
    assert last is not None
    assert last.id == given.operation
    assert undo(world, given).removed == 1
    assert world.labels(b"1") == ("red",)
    assert labels.last_in_effect() is None


def test_a_folder_does_not_repeat_what_an_undoing_took_away(world: World, root: Root) -> None:
    again = undo(world, undo(world, take(world, b"1", "red")))
    world.commit(outcome(root.id, b"red/a", b"1", 2))
    assert world.labels(b"1") == ()
    undo(world, again)
    world.commit(outcome(root.id, b"red/a", b"1", 3))
    assert world.labels(b"1") == ("red",)
    assert len([e for e in world.catalog.labels.standing([world.image(b"1")]) if e.source == FOLDER]) == 1


@pytest.mark.usefixtures("root")
def test_an_undoing_of_an_early_version_which_noted_nothing_is_none_of_anything(world: World) -> None:
    taken = take(world, b"1", "red")
    labels = world.catalog.labels
    # Early versions took the mark away, and wrote down nothing.
    world.sql("UPDATE labels SET undone_by = NULL WHERE undone_by = ?", taken.operation)
    world.sql("INSERT INTO operations (kind, at) VALUES ('undo', '2025-01-01 00:00:00')")
    early = labels.history()[0]
    assert early.kind == "undo"
    assert labels.undo(early.id).operation is None
    assert undo(world, taken).operation is None
    assert carried(world) == FOLDERS
    undo(world, undo(world, take(world, b"1", "red")))
    assert world.labels(b"1") == ()


IMAGES = (b"1", b"2", b"3")
_image, _label = st.sampled_from(IMAGES), st.sampled_from(("red", "apple", "pear"))
_steps = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.just("set"), _image, _label, st.sampled_from((PERSON, CSV))),
            st.tuples(st.just("automatic"), _image, _label),
            st.tuples(st.just("only"), _image, _label),
            st.tuples(st.just("unset"), _image, _label),
            st.tuples(st.just("undo"), st.integers(0, 20)),
            st.tuples(st.just("undo"), st.integers(0, 20)),
        ),
        st.booleans(),
    ),
    max_size=10,
)


@functools.cache
def three_images() -> Path:
    """Copied for each example: making a catalog takes longer than all else."""
    folder = Path(tempfile.mkdtemp(prefix="retrieval-labels-"))
    atexit.register(shutil.rmtree, folder)
    world = World(folder / "gallery")
    made = world.root(folder / "photos")
    world.commit(outcome(made.id, b"red/a", b"1"), outcome(made.id, b"red/b", b"2"), outcome(made.id, b"blue/c", b"3"))
    world.close()
    return folder


@contextmanager
def a_world_of_three() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="retrieval-labels-") as folder:
        shutil.copytree(three_images(), folder, dirs_exist_ok=True)
        world = World(Path(folder) / "gallery")
        try:
            yield world
        finally:
            world.close()


def does(world: World, step: tuple[Any, ...]) -> Change:
    labels = world.catalog.labels
    match step:
        case "set", image, label, source:
            return give(world, image, label, source)
        case "automatic", image, label:
            # As a later run does: what it does not say again goes.
            stale = [e.id for e in labels.standing(sources=[AUTOMATIC]) if e.label != label]
            return labels.change("automatic", [Entry(world.image(image), label, AUTOMATIC, 0.5)], stale)
        case "only", image, label:
            return only(world, image, label)
        case "unset", image, label:
            return take(world, image, label)
        case _, number:
            known = labels.history()
            return labels.undo(known[number % len(known)].id)


def everything(world: World) -> tuple[object, ...]:
    """All that is said of the images, as exactly as it can be told."""
    labels = world.catalog.labels
    said = [(e.image_id, e.label, e.source, e.confidence, e.first) for e in labels.standing()]
    return said, labels.chosen(), labels.chosen((AUTOMATIC,)), carried(world)


@settings(max_examples=25, deadline=None)
@given(_steps)
def test_undoing_the_newest_operation_restores_what_was_and_undoing_that_what_came(steps: list[Any]) -> None:
    with a_world_of_three() as world:
        labels = world.catalog.labels
        (index,) = labels.history()
        of_folders = everything(world)
        for step, stays in steps:
            before = everything(world)
            done = does(world, step)
            after = everything(world)
            if done.operation is None:
                assert after == before
                continue
            back = undo(world, done)
            assert everything(world) == before
            assert (back.added, back.removed) == (done.removed, done.added)
            again = undo(world, back)
            assert everything(world) == after
            assert (again.added, again.removed) == (done.added, done.removed)
            if not stays:
                # It was done again, and so it can be undone again.
                undo(world, done)
                assert everything(world) == before
        standing = len(list(labels.standing()))
        assert sum(one.added for one in labels.history()) - sum(one.removed for one in labels.history()) == standing
        while (last := labels.last_in_effect()) is not None:
            assert labels.undo(last.id).operation is not None
        assert {event.source for event in labels.standing()} <= {FOLDER}
        # Nobody but `labels undo NUMBER` takes back what folders said.
        if not world.sql("SELECT id FROM operations WHERE undoes = ?", index.id):
            assert everything(world) == of_folders


@pytest.mark.usefixtures("root")
def test_no_event_is_ever_deleted(world: World) -> None:
    before = world.sql("SELECT id, image_id, label, source FROM labels ORDER BY id")
    given = give(world, b"1", "apple")
    take(world, b"1", "red")
    world.catalog.labels.undo(given.operation or 0)
    after = world.sql("SELECT id, image_id, label, source FROM labels ORDER BY id")
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1


@pytest.mark.usefixtures("root")
def test_undoing_step_by_step_goes_back_in_history(world: World) -> None:
    labels = world.catalog.labels
    give(world, b"1", "apple")
    take(world, b"2", "red")
    labels.change("automatic", [Entry(world.image(b"3"), "sky", AUTOMATIC, 0.9)])
    seen = []
    while (last := labels.last_in_effect()) is not None:
        seen.append(last.kind)
        labels.undo(last.id)
    assert seen == ["automatic", "unset", "set"]
    assert carried(world) == FOLDERS


@pytest.mark.usefixtures("root")
def test_what_was_taken_away_and_given_again_is_not_undone_once_more(world: World) -> None:
    taken = take(world, b"1", "red")
    given = give(world, b"1", "red")
    last = world.catalog.labels.last_in_effect()
    assert last is not None
    assert last.id == given.operation
    world.catalog.labels.undo(given.operation or 0)
    last = world.catalog.labels.last_in_effect()
    assert last is not None
    assert last.id == taken.operation


@pytest.mark.usefixtures("root")
def test_history_counts_what_stands(world: World) -> None:
    given = world.catalog.labels.change("import", [Entry(world.image(c), "x", CSV) for c in (b"1", b"2")])
    take(world, b"1", "x")
    newest, second, index = world.catalog.labels.history()
    assert (newest.kind, newest.added, newest.standing, newest.removed) == ("unset", 0, 0, 1)
    assert (second.id, second.kind, second.added, second.standing) == (given.operation, "import", 2, 1)
    assert (index.kind, index.added, index.standing) == ("index", 3, 3)


@pytest.mark.usefixtures("root")
def test_an_unknown_image_gets_no_label_and_an_unknown_kind_is_an_error(world: World) -> None:
    assert world.catalog.labels.change("set", [Entry(999, "x", PERSON)]) == Change(None, 0, 0, 0)
    with pytest.raises(ValueError, match="index"):
        world.catalog.labels.change("index", [Entry(1, "x", PERSON)])


def test_a_folder_does_not_repeat_what_a_person_took_away(world: World, root: Root, tmp_path: Path) -> None:
    for folder in ("red", "green"):
        (tmp_path / "photos" / folder).mkdir()
        (tmp_path / "photos" / folder / "a").write_bytes(b"1")
    taken = take(world, b"1", "red")
    world.commit(outcome(root.id, b"red/a", b"1", 2))
    assert world.labels(b"1") == ()
    # A copy in another folder says something new.
    world.commit(outcome(root.id, b"green/a", b"1"))
    assert world.labels(b"1") == ("green",)
    world.catalog.labels.undo(taken.operation or 0)
    world.commit(outcome(root.id, b"red/a", b"1", 3))
    assert world.labels(b"1") == ("green", "red")


def test_a_folder_may_say_again_what_only_a_move_had_ended(world: World, root: Root, tmp_path: Path) -> None:
    (file,) = world.catalog.files.known(root.id, [b"blue/c"]).values()
    world.catalog.files.mark_missing([file.id])
    world.commit(outcome(root.id, b"green/c", b"3", known=True))
    assert world.labels(b"3") == ("green",)
    (file,) = world.catalog.files.known(root.id, [b"green/c"]).values()
    world.catalog.files.mark_missing([file.id])
    world.commit(outcome(root.id, b"blue/c", b"3", known=True))
    assert world.labels(b"3") == ("blue",)


@pytest.mark.usefixtures("root")
def test_of_several_labels_the_most_trusted_and_newest_is_chosen(world: World) -> None:
    labels = world.catalog.labels
    image = {content: world.image(content) for content in (b"1", b"2", b"3")}
    give(world, b"1", "from a table", CSV)
    give(world, b"1", "older")
    give(world, b"1", "newer")
    give(world, b"2", "from a table", CSV)
    labels.change("automatic", [Entry(image[b"3"], "guess", AUTOMATIC, 0.6)])
    assert labels.chosen() == {image[b"1"]: "newer", image[b"2"]: "from a table", image[b"3"]: "blue"}
    assert labels.chosen((FOLDER,)) == {image[b"1"]: "red", image[b"2"]: "red", image[b"3"]: "blue"}
    assert labels.chosen((AUTOMATIC,)) == {image[b"3"]: "guess"}


def test_all_events_come_though_they_fill_many_pages(world: World, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.catalog.labels._PAGE", 2)
    world.commit(*(outcome(root.id, b"many/%d" % n, b"content %d" % n) for n in range(9)))
    give(world, b"1", "one more")
    found = [(event.image_id, event.label) for event in world.catalog.labels.standing()]
    assert len(found) == len(set(found)) == 13
    assert found == sorted(found, key=lambda pair: pair[0])
    assert [e.label for e in world.catalog.labels.standing(sources=[PERSON])] == ["one more"]


def test_labels_of_people_whose_file_was_edited_are_lost_and_found(world: World, root: Root) -> None:
    give(world, b"1", "apple")
    give(world, b"2", "pear")
    world.commit(outcome(root.id, b"red/a", b"1 again", 2))
    old = world.sql("SELECT id FROM images ORDER BY id")[0][0]
    assert world.catalog.labels.lost() == {old: {"apple"}}


def test_automatic_labels_do_not_keep_a_forgotten_image(world: World, root: Root) -> None:
    world.catalog.labels.change("automatic", [Entry(world.image(b"1"), "guess", AUTOMATIC, 0.6)])
    give(world, b"2", "pear")
    ids = [i for i, _ in world.catalog.files.ids_below(root.id, b"red/")]
    world.catalog.files.forget(ids)
    assert [row[0] for row in world.sql("SELECT DISTINCT label FROM labels ORDER BY label")] == ["blue", "pear", "red"]
    assert len(world.sql("SELECT id FROM images")) == 2


@pytest.mark.usefixtures("root")
def test_a_label_is_confirmed_that_a_person_gave_where_it_stood_already(world: World) -> None:
    ids = {content: world.image(content) for content in (b"1", b"2", b"3")}

    def confirmed() -> set[tuple[int, str]]:
        return world.catalog.labels.confirmed(ids.values())

    assert confirmed() == set()
    give(world, b"2", "apple")
    give(world, b"3", "plum", AUTOMATIC)
    give(world, b"3", "plum")
    assert confirmed() == set()
    # What the folder says, and what a person said before.
    by_folder = give(world, b"1", "red")
    (old,) = (e.id for e in world.catalog.labels.standing([ids[b"2"]]) if e.label == "apple")
    anew = world.catalog.labels.change("set", [Entry(ids[b"2"], "apple", PERSON)], [old])
    assert confirmed() == {(ids[b"1"], "red"), (ids[b"2"], "apple")}
    assert world.catalog.labels.confirmed([ids[b"1"]]) == {(ids[b"1"], "red")}
    undo(world, anew)
    assert "apple" in carried(world)[b"2"]
    assert confirmed() == {(ids[b"1"], "red")}
    undo(world, by_folder)
    assert confirmed() == set()
