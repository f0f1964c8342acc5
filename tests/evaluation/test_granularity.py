"""Granularity: classes, sub-classes and groups that are there are found, and those that are not are not."""

import json

import numpy as np
import pytest

from retrieval.evaluation.granularity import STRUCTURE, apart, granularity
from retrieval.evaluation.neighbourhood import neighbours, rivals
from retrieval.functional.silhouette import silhouettes


def around(centres, each, spread, seed=0, dimension=12):
    """Unit vectors around some directions, ``each`` of every one."""
    random = np.random.default_rng(seed)
    points = np.repeat(np.eye(dimension)[list(centres)], each, axis=0)
    found = (points + spread * random.standard_normal(points.shape)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def measured(vectors, numbers, subclasses=None):
    found = granularity(vectors, numbers, neighbours(vectors, 5), subclasses)
    assert found is not None
    return found


def test_means_and_classes_are_those_of_the_images():
    vectors, numbers = around(range(4), 6, 0.6), np.repeat(np.arange(4), 6)
    found = measured(vectors, numbers)
    margin, stands = rivals(vectors, numbers).margin, silhouettes(vectors, numbers)
    assert found.classes.margin.mean == pytest.approx(margin.mean())
    assert found.classes.first.mean == pytest.approx((margin > 0).mean())
    assert found.classes.silhouette.mean == pytest.approx(stands.mean())
    assert [one.margin for one in found.by_class] == sorted(one.margin for one in found.by_class)
    for one in found.by_class:
        assert one.margin == pytest.approx(margin[numbers == one.number].mean())
        assert one.images == 6
        others = rivals(vectors, numbers).other_class[numbers == one.number].tolist()
        assert others.count(one.rival) == max(others.count(name) for name in others)


def test_a_label_for_two_things_falls_into_groups_and_others_do_not():
    vectors = around([0, 1, 2, 3], 8, 0.1)
    # Class 0 is two directions; 1 and 2 are one each.
    numbers = np.repeat([0, 0, 1, 2], 8)
    found = measured(vectors, numbers)
    assert [one.number for one in found.parted] == [0]
    assert found.asked == 3
    (parted,) = found.parted
    assert parted.silhouette > STRUCTURE
    assert sorted(sorted(group.tolist()) for group in parted.groups) == [list(range(8)), list(range(8, 16))]


def test_a_lone_outlier_is_no_group():
    vectors = around([0, 0, 1, 2], 4, 0.02)
    vectors[0] = np.eye(12)[5]
    assert measured(vectors, np.repeat([0, 0, 1, 1], 4)[: len(vectors)]).parted == () or all(
        min(map(len, one.groups)) > 1 for one in measured(vectors, np.repeat([0, 0, 1, 1], 4)).parted
    )


def test_sub_classes_are_told_apart_within_their_class_only():
    vectors = around([0, 1, 2], 6, 0.1)
    numbers, finer = np.repeat([0, 0, 1], 6), np.repeat([0, 1, 2], 6)
    found = measured(vectors, numbers, finer)
    assert found.subclasses is not None
    # Class 1 has one sub-class: nothing in it can be told apart.
    assert found.subclasses.classes == 2
    expected = rivals(vectors[:12], finer[:12]).margin
    assert found.subclasses.margin.mean == pytest.approx(expected.mean())
    assert found.subclasses.first.mean == 1
    blurred = around([0, 0, 2], 6, 0.3)
    mixed = measured(blurred, numbers, finer).subclasses
    assert mixed is not None
    assert mixed.first.mean < 1
    assert abs(mixed.silhouette.mean) < 0.2


def test_singletons_have_no_margin_and_are_last():
    vectors, numbers = around(range(3), 3, 0.1), np.array([0, 0, 0, 1, 1, 1, 1, 1, 2])
    found = measured(vectors, numbers)
    assert found.by_class[-1].number == 2
    assert np.isnan(found.by_class[-1].margin)
    assert found.classes.margin.queries == 8
    # NaN is no JSON.
    said = json.loads(json.dumps(found.to_dict(["a", "b", "c"]), allow_nan=False))
    assert said["by_class"][-1]["margin"] is None


def test_where_nothing_can_be_told_there_is_nothing():
    vectors = around(range(2), 2, 0.1)
    assert apart(vectors, np.zeros(4, np.int64)) is None
    assert apart(vectors, np.arange(4)) is None


def test_json_has_names():
    vectors, numbers = around([0, 1, 2], 8, 0.1), np.repeat([0, 0, 1], 8)
    said = measured(vectors, numbers).to_dict(["two things", "one"])
    assert {one["label"] for one in said["by_class"]} == {"two things", "one"}
    assert said["parted"][0]["label"] == "two things"
    assert said["parted"][0]["images"] == [8, 8]
