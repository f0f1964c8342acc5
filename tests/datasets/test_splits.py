"""Splits: disjoint, complete where they promise it, groups whole, the same for the same seed."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import BadValue, GalleryDamaged
from retrieval.core.labelled import Labelled, LabelledImage, Split
from retrieval.datasets import splits
from retrieval.datasets.checks import describe_split, require_measurable, require_usable
from retrieval.datasets.leaks import sides_of
from retrieval.datasets.splits import SplitStore, class_disjoint, grouped, leaks, left_out, without_leaks
from tests.datasets.support import labelled

CLASSES = [f"c{n:02d}" for n in range(12)]
SIDES = ("train", "val", "test")


@st.composite
def datasets(draw: st.DrawFn, least: int = 1, classes: int = 12) -> Labelled:
    """Up to 60 images with classes and groups; groups may reach over classes."""
    count = draw(st.integers(least, 60))
    labels = draw(st.lists(st.sampled_from(CLASSES[:classes]), min_size=count, max_size=count))
    groups = draw(st.lists(st.none() | st.integers(0, 15), min_size=count, max_size=count))
    parts = draw(
        st.lists(st.sampled_from(["train", "train", "val", "test", "other", None]), min_size=count, max_size=count)
    )
    return labelled(labels, groups, parts)


def whole_classes(data: Labelled) -> Labelled:
    """With one more image of each of the twelve classes, so that none is missing."""
    more = labelled(CLASSES, names=[f"more-{label}" for label in CLASSES])
    return Labelled([*data.images, *more.images], "nowhere")


def parts_of(split: Split) -> list[list[int]]:
    return [part.tolist() for part in (split.train, split.val, split.test)]


def check_disjoint(split: Split) -> set[int]:
    parts = parts_of(split)
    assert all(part == sorted(part) for part in parts)
    together = [i for part in parts for i in part]
    assert len(together) == len(set(together))
    return set(together)


def check_groups_whole(data: Labelled, split: Split) -> None:
    side_of: dict[int, str | None] = {}
    for image, side in zip(data.images, sides_of(data, split), strict=True):
        if image.group is not None and side is not None:
            assert side_of.setdefault(image.group, side) == side
    assert not leaks(data, split)


# ------------------------------------------------------------------ drawing


@pytest.mark.parametrize(
    ("count", "train", "val", "test"),
    [(90, 36, 9, 45), (81, 32, 8, 41), (8, 2, 2, 4), (100, 40, 10, 50), (19, 7, 2, 10)],
)
def test_class_disjoint_is_the_definition(count: int, train: int, val: int, test: int) -> None:
    labels = [f"{n:03d}" for n in range(count) for _ in range(2)]
    split = class_disjoint(labelled(labels), seed=3)
    got = [sorted({labels[i] for i in part}) for part in parts_of(split)]
    everything = sorted(set(labels))
    assert got == [everything[:train], everything[train : train + val], everything[train + val :]]
    assert [len(part) for part in got] == [train, val, test]
    assert (split.kind, split.seed) == ("class-disjoint", 3)


@settings(max_examples=60, deadline=None)
@given(data=datasets(), seed=st.integers(0, 5))
def test_class_disjoint_keeps_classes_and_groups_apart(data: Labelled, seed: int) -> None:
    data = whole_classes(data)
    split = class_disjoint(data, seed)
    there = check_disjoint(split)
    check_groups_whole(data, split)
    sides = {
        label: side
        for side, labels in zip(SIDES, (CLASSES[:4], CLASSES[4:6], CLASSES[6:]), strict=True)
        for label in labels
    }
    for i, image in enumerate(data.images):
        if i not in there:  # only a twin on a more protected side keeps an image out
            twins = [twin for twin in data.images if twin.group == image.group and image.group is not None]
            assert max(SIDES.index(sides[twin.label]) for twin in twins) > SIDES.index(sides[image.label])
    for ids, side in zip(parts_of(split), SIDES, strict=True):
        assert {sides[data.images[i].label] for i in ids} <= {side}
    assert parts_of(class_disjoint(data, seed + 1)) == parts_of(split)


def test_too_few_classes_are_refused_with_a_way_out() -> None:
    with pytest.raises(BadValue, match=r"at least 8 classes, here are 7.*grouped"):
        class_disjoint(labelled(CLASSES[:7] * 2), 0)


@settings(max_examples=60, deadline=None)
@given(data=datasets(), seed=st.integers(0, 5), order=st.randoms(use_true_random=False))
def test_grouped_is_disjoint_complete_whole_and_independent_of_the_order(data: Labelled, seed: int, order) -> None:
    split = grouped(data, seed)
    assert check_disjoint(split) == set(range(len(data)))
    check_groups_whole(data, split)
    assert parts_of(grouped(data, seed)) == parts_of(split)
    places = list(range(len(data)))
    order.shuffle(places)
    shuffled = data.subset(np.array(places, np.int64))
    again = sides_of(shuffled, grouped(shuffled, seed))
    assert [sides_of(data, split)[i] for i in places] == again


def test_grouped_takes_its_shares_of_every_class_and_another_seed_draws_another() -> None:
    data = labelled([label for label in CLASSES for _ in range(40)])
    split = grouped(data, 0)
    for part, share in zip(parts_of(split), (28, 6, 6), strict=True):
        assert np.bincount(data.numbers[part]).tolist() == [share] * 12
    assert parts_of(grouped(data, 1)) != parts_of(split)
    halves = grouped(data, 0, (0.5, 0.0, 0.5))
    assert [len(part) for part in parts_of(halves)] == [240, 0, 240]
    with pytest.raises(ValueError, match="shares"):
        grouped(data, 0, (0.5, 0.5, 0.5))


def test_small_classes_train_first_and_do_not_all_fill_the_same_part() -> None:
    data = labelled([f"c{n}" for n in range(60) for _ in range(4)])
    splits = [grouped(data, seed) for seed in range(5)]
    for split in splits:
        counts = np.stack([np.bincount(data.numbers[part], minlength=60) for part in parts_of(split)])
        assert (counts[0] == 3).all()
        assert counts[1:].sum(1).tolist() == [30, 30]
    # Which class fills which part is chance, so that neither part is of some alphabet's half.
    assert len({tuple(data.numbers[split.test].tolist()) for split in splits}) == 5
    assert parts_of(grouped(labelled(["a"]), 0)) == [[0], [], []]


def test_two_small_classes_are_enough_to_validate_and_to_prove() -> None:
    for seed in range(64):
        assert [len(part) for part in parts_of(grouped(labelled(["a", "b"] * 3), seed))] == [4, 1, 1]


def test_large_groups_are_placed_first_so_that_shares_come_out_right() -> None:
    data = labelled(["a"] * 20, groups=[1] * 7 + [2] * 7 + [None] * 6)
    for seed in range(30):
        split = grouped(data, seed)
        assert set(range(14)) == set(split.train.tolist())
        assert [len(part) for part in parts_of(split)] == [14, 3, 3]


# ------------------------------------------------------------------ given


def test_given_parts_are_taken_as_they_are() -> None:
    data = labelled(
        ["a"] * 6, parts=["train", "val", "test", "iconic", None, "train"], groups=[1, 1, 1, None, None, None]
    )
    split = splits.given(data)
    assert parts_of(split) == [[0, 5], [1], [2]]
    assert left_out(data, split).tolist() == [3, 4]
    assert [leak.sides for leak in leaks(data, split)] == [SIDES]


@settings(max_examples=40, deadline=None)
@given(count=st.integers(8, 40), groups=st.integers(2, 40), seed=st.integers(0, 3))
def test_without_a_part_to_validate_some_training_groups_do(count: int, groups: int, seed: int) -> None:
    data = labelled(
        ["a", "b"] * count, [i % groups for i in range(2 * count)], ["train"] * (2 * count - 2) + ["test"] * 2
    )
    split = splits.given(data, seed)
    assert check_disjoint(split) == set(range(2 * count))
    assert split.test.tolist() == [2 * count - 2, 2 * count - 1]
    train_and_val = Split(split.train, split.val, np.empty(0, np.int64), "given", seed)
    assert not leaks(data, train_and_val)
    if groups >= 16:
        assert 0 < len(split.val) <= count


def test_a_lone_validation_part_proves() -> None:
    data = labelled(["a"] * 42, parts=["train"] * 40 + ["val"] * 2)
    split = splits.given(data)
    assert split.test.tolist() == [40, 41]
    assert [len(part) for part in parts_of(split)] == [34, 6, 2]


@pytest.mark.parametrize(
    ("parts", "words"), [(["train"] * 4, "for training"), (["val", "test", None, None], "training")]
)
def test_missing_parts_are_refused(parts: list[str | None], words: str) -> None:
    with pytest.raises(BadValue, match=words) as caught:
        splits.given(labelled(["a"] * 4, parts=parts))
    assert "grouped" in caught.value.hint


def test_the_natural_kind_follows_the_dataset() -> None:
    assert splits.natural_kind(labelled(CLASSES)) == "class-disjoint"
    assert splits.natural_kind(labelled(["a", "b"])) == "grouped"
    assert splits.natural_kind(labelled(["a", "b"], parts=["train", "test"])) == "given"
    assert splits.natural_kind(labelled(["a", "b"], parts=["train", None])) == "grouped"
    with pytest.raises(BadValue, match="no split 'random'"):
        splits.draw(labelled(["a"]), "random", 0)
    for kind in splits.KINDS:
        assert splits.draw(labelled(CLASSES * 2, parts=["train", "test"] * 12), kind, 1).kind == kind


# ------------------------------------------------------------------ leaks


def split_of(*sides: str) -> Split:
    train, val, test = (np.array([i for i, s in enumerate(sides) if s == side], np.int64) for side in SIDES)
    return Split(train, val, test, "given", 0)


def test_leaks_name_what_stands_on_two_sides_once() -> None:
    data = labelled(["a"] * 8, groups=[None, None, 7, 7, 7, 8, 8, None], names=["x", "x", "p", "q", "r", "s", "t", "u"])
    found = leaks(data, split_of("train", "test", "train", "val", "none", "val", "val", "test"))
    assert [(leak.reason, leak.ids, leak.sides) for leak in found] == [
        ("digest", (0, 1), ("train", "test")),
        ("group", (2, 3), ("train", "val")),
    ]


def test_a_class_on_two_sides_leaks_only_where_classes_are_disjoint() -> None:
    data = labelled(["a", "a"])
    split = split_of("train", "test")
    assert not leaks(data, split)
    (leak,) = leaks(data, Split(split.train, split.val, split.test, "class-disjoint", 0))
    assert (leak.reason, leak.ids) == ("label", (0, 1))


@settings(max_examples=60, deadline=None)
@given(data=datasets(), draws=st.data())
def test_without_leaks_protects_the_test_part_and_moves_nothing(data: Labelled, draws: st.DataObject) -> None:
    count = len(data)
    before = draws.draw(st.lists(st.sampled_from([*SIDES, "none"]), min_size=count, max_size=count))
    split = split_of(*before)
    clean = without_leaks(data, split)
    assert not leaks(data, clean)
    assert clean.test.tolist() == split.test.tolist()
    assert set(clean.val.tolist()) <= set(split.val.tolist())
    assert set(clean.train.tolist()) <= set(split.train.tolist())
    for side, kept, had in (("train", clean.train, split.train), ("val", clean.val, split.val)):
        for i in set(had.tolist()) - set(kept.tolist()):
            group = data.images[i].group
            better = SIDES[SIDES.index(side) + 1 :]
            assert any(before[j] in better for j in range(count) if data.images[j].group == group is not None)


# ------------------------------------------------------------------ checks


@pytest.mark.parametrize(
    ("labels", "words"), [([], "no labelled image"), (["a", "a"], "same label"), (["a", "b"], "only one image")]
)
def test_unusable_labels_are_refused(labels: list[str], words: str) -> None:
    with pytest.raises(BadValue, match=words):
        require_usable(labelled(labels))


@pytest.mark.parametrize(
    ("labels", "sides", "words"),
    [
        ("aabb", ["train"] * 4, "validation part .* is empty"),
        ("aabbb", ["train"] * 4 + ["val"], "test part .* is empty"),
        ("aabbcaa", ["train"] * 4 + ["val", "test", "test"], "No image in the validation part"),
        ("aabbaac", ["train"] * 4 + ["val", "val", "test"], "No image in the test part"),
        ("aaaabb", ["train"] * 2 + ["val", "test", "val", "test"], "nothing to compare"),
        ("abab", ["train", "train", "val", "test"], "nothing to compare"),
    ],
)
def test_a_split_that_cannot_teach_or_measure_is_refused_in_one_line(labels: str, sides: list[str], words: str) -> None:
    with pytest.raises(BadValue, match=words) as caught:
        require_measurable(labelled(list(labels)), split_of(*sides))
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.hint


def test_positives_may_come_from_training_only_where_classes_are_shared() -> None:
    data = labelled(list("aabbaab"))
    split = split_of("train", "train", "train", "train", "val", "test", "test")
    require_measurable(data, split)
    with pytest.raises(BadValue, match="validation"):
        require_measurable(data, Split(split.train, split.val, split.test, "class-disjoint", 0))
    assert describe_split(data, split) == (
        "given split: train 4 images of 2 classes, val 1 images of 1 classes, test 2 images of 2 classes"
    )
    assert "; 1 left out" in describe_split(data, split_of("train", "train", "train", "train", "val", "test", "none"))


# ------------------------------------------------------------------ the store


@settings(max_examples=40, deadline=None)
@given(
    data=datasets(least=2),
    cut=st.floats(0.1, 1),
    kind=st.sampled_from(["class-disjoint", "grouped"]),
    seed=st.integers(0, 3),
)
def test_new_images_join_and_known_ones_never_change_sides(
    data: Labelled, cut: float, kind: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("store") / "split.json"
    full = whole_classes(data)
    order = np.arange(len(full))[::-1].copy()  # the twelve classes come first
    full = full.subset(order)
    some = full.subset(np.arange(12 + int(cut * len(data))))
    first = SplitStore(path).split(some, kind, seed)
    check_disjoint(first)
    assert not leaks(some, first)
    content = path.read_bytes()
    assert parts_of(SplitStore(path).split(some, kind, seed + 9)) == parts_of(first)
    assert path.read_bytes() == content

    store = SplitStore(path)
    second = store.split(full, kind, seed + 9)
    assert second.seed == seed
    assert not leaks(full, second)
    check_disjoint(second)
    for before, now in zip(sides_of(some, first), sides_of(full, second), strict=False):
        assert before is None or now in (before, None)
    # Without the newcomers it is what it was.
    assert parts_of(store.split(some, kind)) == parts_of(first)
    again = SplitStore(path).split(full.subset(np.random.default_rng(seed).permutation(len(full))), kind)
    assert sum(map(len, parts_of(again))) == sum(map(len, parts_of(second)))


def test_a_preview_is_what_the_split_then_gives_and_keeps_nothing(tmp_path: Path) -> None:
    store = SplitStore(tmp_path / "split.json")
    data = Labelled([LabelledImage(b"/%d" % n, str(n % 5)) for n in range(40)], "here")
    seen = store.preview(data, "grouped", 3)
    assert not store.exists
    assert not (tmp_path / "split.json").exists()
    assert parts_of(store.split(data, "grouped", 3)) == parts_of(seen)
    kept = (tmp_path / "split.json").read_bytes()
    more = Labelled([*data.images, LabelledImage(b"/new", "0")], "here")
    assert sum(map(len, parts_of(store.preview(more)))) == 41
    assert (tmp_path / "split.json").read_bytes() == kept


def test_moved_and_resaved_files_keep_their_side(tmp_path: Path) -> None:
    store = SplitStore(tmp_path / "a" / "split.json")
    data = labelled([label for label in CLASSES for _ in range(10)])
    store.split(data.subset(np.arange(0, 120, 3)), "grouped", 0)  # in two steps: another split than in one
    first = sides_of(data, store.split(data, "grouped", 0))
    assert first != sides_of(data, grouped(data, 0))
    moved = [replace(image, path=b"/moved" + image.path) for image in data.images]
    resaved = [replace(image, digest=n.to_bytes(32, "big")) for n, image in enumerate(data.images)]
    for images in (moved, resaved):
        now = Labelled(images, "nowhere")
        assert sides_of(now, store.split(now, "grouped", 0)) == first


@pytest.mark.parametrize("kind", ["grouped", "class-disjoint"])
def test_groups_that_grow_together_move_no_known_image(tmp_path: Path, kind: str) -> None:
    store = SplitStore(tmp_path / "split.json")
    data = labelled([label for label in CLASSES for _ in range(10)])
    first = sides_of(data, store.split(data, kind))
    merged = Labelled([replace(image, group=1) for image in data.images], "nowhere")
    split = store.split(merged, kind)
    assert not leaks(merged, split)
    assert sides_of(merged, split) == [side if side == "test" else None for side in first]
    assert sides_of(data, store.split(data, kind)) == first


def test_a_relabelled_image_does_not_move_into_the_test_part(tmp_path: Path) -> None:
    store = SplitStore(tmp_path / "split.json")
    data = labelled([label for label in CLASSES for _ in range(2)])
    store.split(data, "class-disjoint")
    images = list(data.images)
    images[0] = replace(images[0], label=CLASSES[-1])
    now = Labelled(images, "nowhere")
    assert sides_of(now, store.split(now, "class-disjoint"))[0] is None


def test_new_classes_do_not_shift_the_known_ones(tmp_path: Path) -> None:
    store = SplitStore(tmp_path / "split.json")
    data = labelled([f"m{n:02d}" for n in range(20) for _ in range(2)])
    first = sides_of(data, store.split(data, "class-disjoint"))
    more = labelled(
        [f"{first_letter}{n:02d}" for n in range(20) for first_letter in "az" for _ in range(2)],
        names=[f"more{n}" for n in range(80)],
    )
    both = Labelled([*data.images, *more.images], "nowhere")
    split = store.split(both, "class-disjoint")
    assert sides_of(both, split)[:40] == first
    counts = [len({both.images[i].label for i in part}) for part in parts_of(split)]
    assert counts == [24, 6, 30]


def test_the_drawn_part_of_a_given_split_is_kept_and_the_given_one_is_the_users(tmp_path: Path) -> None:
    store = SplitStore(tmp_path / "split.json")
    data = labelled(["a", "b"] * 40, parts=["train"] * 60 + ["test"] * 20)
    first = sides_of(data, store.split(data, seed=1))
    assert "val" in first
    more = labelled(["a", "b"] * 10, parts=["train"] * 20, names=[f"more{n}" for n in range(20)])
    both = Labelled([*data.images, *more.images], "nowhere")
    split = store.split(both)
    assert split.kind == "given"
    assert sides_of(both, split)[:80] == first
    images = [replace(i, part="val" if n < 10 else i.part) for n, i in enumerate(data.images)]
    regiven = Labelled(images, "nowhere")
    assert store.split(regiven).val.tolist() == list(range(10))


def test_auto_takes_what_was_stored_first(tmp_path: Path) -> None:
    store = SplitStore(tmp_path / "split.json")
    data = labelled(CLASSES * 3)
    assert store.split(data, "grouped").kind == "grouped"
    assert store.split(data, "class-disjoint").kind == "class-disjoint"
    assert store.split(data).kind == "grouped"
    with pytest.raises(BadValue, match="no split"):
        store.split(data, "random")


def test_odd_labels_and_paths_are_stored(tmp_path: Path) -> None:
    odd = [os.fsdecode(b"caf\xe9"), "a\nb", " a", "a", "🌵", "\ud800", " ", "\0"]
    images = [
        replace(i, path=b"/nowhere/\xff\n%d.jpg" % n, digest=None) for n, i in enumerate(labelled(odd * 2).images)
    ]
    data = Labelled(images, "nowhere")
    for kind in ("class-disjoint", "grouped"):
        first = SplitStore(tmp_path / "split.json").split(data, kind)
        assert parts_of(SplitStore(tmp_path / "split.json").split(data, kind)) == parts_of(first)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b'{"format": 1, "splits": []}',
        b'{"format": 1, "splits": {"grouped": {}}}',
        b'{"format": 1, "splits": {"grouped": {"seed": 0, "images": {"path:x": "elsewhere"}, "classes": {}}}}',
    ],
)
def test_a_damaged_store_is_said_and_not_redrawn(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "split.json").write_bytes(content)
    with pytest.raises(GalleryDamaged, match="damaged"):
        SplitStore(tmp_path / "split.json").split(labelled(CLASSES * 2))
    assert (tmp_path / "split.json").read_bytes() == content


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(json.dumps({"format": 2, "splits": {}}))
    with pytest.raises(GalleryDamaged, match="newer"):
        SplitStore(tmp_path / "split.json").split(labelled(CLASSES * 2))
