"""Labels as events: given, taken away, taken back again; what folders may say, and what they may not any more."""

from pathlib import Path

import pytest

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
