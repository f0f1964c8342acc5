"""Draws of few labels: balanced, seeded, chosen from the training part only, and averaged as they should be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.evaluation.few_labels import class_balanced, few_labels, labels_per_class
from retrieval.evaluation.linear_probe import linear_probe
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.metrics import bootstrap_interval

from .test_linear_probe import blobs


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 6), st.integers(0, 99))
def test_a_draw_takes_equally_many_of_each_class(labels, per_class, seed):
    numbers = np.array(labels, np.int64)
    places = class_balanced(numbers, per_class, seed)
    assert len(set(places.tolist())) == len(places)
    assert places.tolist() == sorted(places.tolist())
    for name in set(labels):
        assert np.count_nonzero(numbers[places] == name) == min(per_class, labels.count(name))


def test_another_seed_draws_others_and_the_same_seed_the_same():
    numbers = np.repeat(np.arange(3), 20)
    draws = [class_balanced(numbers, 4, seed).tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_every_image_of_a_class_can_be_drawn():
    numbers = np.repeat(np.arange(2), 5)
    assert {place for seed in range(60) for place in class_balanced(numbers, 1, seed).tolist()} == set(range(10))


@pytest.mark.parametrize(
    ("classes", "each", "share", "expected"),
    [(10, 100, 0.1, 10), (10, 100, 0.01, 1), (81, 33, 0.1, 3), (81, 33, 0.01, 1), (2, 5, 1.0, 5)],
)
def test_a_share_is_rounded_to_whole_images_of_each_class(classes, each, share, expected):
    assert labels_per_class(np.repeat(np.arange(classes), each), share) == expected


def test_each_draw_is_the_probe_on_its_own_images():
    train, test = blobs(200, 0), blobs(80, 5)
    found = few_labels(train, test, 0.1, draws=3, seed=4)
    assert [draw.seed for draw in found.draws] == [4, 5, 6]
    assert (found.per_class, found.of) == (5, 200)
    for draw in found.draws:
        places = class_balanced(train.numbers, 5, draw.seed)
        alone = linear_probe(LabelledVectors(train.vectors[places], train.numbers[places]), test, seed=draw.seed)
        assert draw.labels == len(places) == found.labels
        assert draw.probe.classified.accuracy == alone.classified.accuracy
        assert draw.probe.penalty == alone.penalty


def test_the_mean_is_that_of_the_draws_and_its_interval_that_of_the_test_images():
    train, test = blobs(200, 0, spread=1.5), blobs(80, 5, spread=1.5)
    found = few_labels(train, test, 0.05, draws=4)
    accuracies = [draw.probe.classified.accuracy.mean for draw in found.draws]
    assert len(set(accuracies)) > 1, "the draws must differ, or nothing is averaged"
    assert found.accuracy.mean == pytest.approx(sum(accuracies) / 4)
    per_image = [
        sum(float(draw.probe.classified.predictions[i] == test.numbers[i]) for draw in found.draws) / 4
        for i in range(len(test))
    ]
    assert found.accuracy == bootstrap_interval(np.array(per_image), test.numbers, 0)


def test_test_images_of_unknown_labels_are_left_out():
    train, test = blobs(100, 0), blobs(40, 5)
    numbers = test.numbers.copy()
    numbers[:7] = 999
    found = few_labels(train, LabelledVectors(test.vectors, numbers), 0.2, draws=2)
    assert found.accuracy.queries == 33
    assert [draw.probe.classified.excluded for draw in found.draws] == [7, 7]


def test_bad_values_are_refused():
    train = blobs(40, 0)
    with pytest.raises(ValueError, match="share of the labels"):
        few_labels(train, train, 0.0)
    with pytest.raises(ValueError, match="0 draws"):
        few_labels(train, train, 0.1, draws=0)
    with pytest.raises(ValueError, match="cannot be drawn"):
        class_balanced(train.numbers, 0, 0)
