"""Margins against loops that search what is really there, and really not there."""

import numpy as np
import pytest

from retrieval.core.types import NO_ID, Matches
from retrieval.evaluation.calibrate import best_scores, calibrate, confirm
from retrieval.evaluation.margin import FIRST, NEIGHBOURS, best_margins, crowding, labelled_margins
from retrieval.evaluation.retrieval import retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.topk import exact_topk
from tests.evaluation.test_comparison import clusters


def by_loop(query, vectors, first=FIRST, neighbours=NEIGHBOURS):
    """The best margin of a query in a database that it does not stand in; NaN in an empty one."""
    if not len(vectors):
        return np.nan
    ids = np.arange(len(vectors))
    margins = []
    for match, score in exact_topk(query[None], vectors, ids, first).row(0):
        near = exact_topk(vectors[match : match + 1], vectors, ids, neighbours + 1).row(0)
        scores = [s for i, s in near if i != match][:neighbours]
        crowd = sum(scores) / len(scores) if scores else 0.0
        margins.append(2.0 if score >= 0.98 else score - crowd)
    return max(margins)


@pytest.fixture(scope="module")
def searched():
    vectors, numbers = clusters(0.9, classes=12, each=6)
    numbers[3] = 77  # a singleton
    ids = np.random.default_rng(4).permutation(200)[: len(numbers)]
    return vectors, numbers, ids, retrieve(vectors, numbers, ids, margins=True, resamples=5)


def test_a_query_of_the_database_is_left_out_of_its_matches_neighbours(searched):
    vectors, _, _, found = searched
    for query in range(len(vectors)):
        rest = np.arange(len(vectors)) != query
        assert found.margin[query] == pytest.approx(by_loop(vectors[query], vectors[rest]), abs=1e-9)


def test_without_its_label_it_is_as_if_no_image_had_it(searched):
    vectors, numbers, _, found = searched
    for query in range(len(vectors)):
        others = numbers != numbers[query]
        assert found.margin_other[query] == pytest.approx(by_loop(vectors[query], vectors[others]), abs=1e-9)


def test_queries_from_elsewhere(searched):
    vectors, numbers, ids, _ = searched
    asked = LabelledVectors(vectors[:9] + 0.1, numbers[:9])
    found = retrieve(vectors[9:], numbers[9:], ids[9:], asked, margins=True, resamples=1)
    for query in range(9):
        assert found.margin[query] == pytest.approx(by_loop(vectors[query] + 0.1, vectors[9:]), abs=1e-9)
        others = vectors[9:][numbers[9:] != numbers[query]]
        assert found.margin_other[query] == pytest.approx(by_loop(vectors[query] + 0.1, others), abs=1e-9)


def test_where_there_are_few_what_is_there_counts():
    vectors, numbers = clusters(0.5, classes=2, each=3)
    found = retrieve(vectors, numbers, margins=True, resamples=1)
    for query in range(6):
        rest = np.arange(6) != query
        assert found.margin[query] == pytest.approx(by_loop(vectors[query], vectors[rest]), abs=1e-9)


def test_without_another_label_nobody_could_be_without_a_match():
    vectors, _ = clusters(0.5, classes=1, each=5)
    found = retrieve(vectors, np.zeros(5, np.int64), margins=True, resamples=1)
    assert np.isnan(found.margin_other).all()
    assert np.isfinite(found.margin).all()


def test_the_best_of_the_first_counts_and_a_query_without_a_match_has_none():
    scores = np.array([[0.9, 0.8], [0.7, -np.inf]])
    assert best_margins(scores, np.array([[0.85, 0.5], [0.9, 0.0]])).tolist() == pytest.approx([0.3, -0.2])
    base = LabelledVectors(np.eye(3, dtype=np.float32), np.arange(3), np.arange(3))
    none = Matches(np.full((1, 2), NO_ID), np.full((1, 2), -np.inf))
    asked = LabelledVectors(np.ones((1, 3), np.float32), np.zeros(1, np.int64))
    assert np.isnan(labelled_margins(base, asked, none, held_out=False)).all()


def test_crowding_is_of_the_first_that_count():
    scores = np.linspace(0.9, 0.1, 30)[None]
    counted = np.ones((1, 30), bool)
    counted[0, [0, 2]] = False
    assert crowding(scores, counted)[0] == pytest.approx(scores[0, [1, *range(3, 12)]].mean())
    assert crowding(scores, np.zeros((1, 30), bool)).tolist() == [0.0]


def test_in_a_crowd_the_margin_tells_apart_what_the_cosine_does_not():
    """Half of the labels lie close together, half far apart: one cosine cannot serve both."""
    random = np.random.default_rng(0)
    common = random.standard_normal(64) / 8
    close, apart = random.standard_normal((20, 64)) / 16, random.standard_normal((20, 64)) / 8
    centres = np.concatenate([2.5 * common + close, apart])
    numbers = np.repeat(np.arange(40), 8)
    spread = np.where(numbers < 20, 1 / 24, 1 / 7)[:, None]
    vectors = (centres[numbers] + spread * random.standard_normal((320, 64))).astype(np.float32)
    found = retrieve(vectors, numbers, margins=True, resamples=1)
    both = calibrate(found)
    by_cosine = calibrate(retrieve(vectors, numbers, resamples=1))
    assert (both.calibration.margin_among, by_cosine.calibration.margin_among) == (320, 0)
    assert by_cosine.margin is by_cosine.calibration.margin is None
    assert both.threshold == by_cosine.threshold
    assert both.margin.value == both.calibration.margin
    assert both.margin.true_alarms.mean > both.threshold.true_alarms.mean + 0.1
    assert both.margin.false_alarms.mean <= 0.05
    # What was fitted on margins is measured on margins, and a search without them cannot confirm it.
    confirmed = confirm(both.calibration, found)
    assert (confirmed.threshold, confirmed.margin) == (both.threshold, both.margin)
    with pytest.raises(ValueError, match="did not measure margins"):
        confirm(both.calibration, retrieve(vectors, numbers, resamples=1))
    assert confirm(by_cosine.calibration, found).margin is None
    assert len(best_scores(found, by_margin=True)[0]) == 320


def test_a_near_copy_has_the_greatest_margin_whatever_lies_around_it():
    crowd = np.array([[0.98, 0.1], [0.9799, 0.1], [0.5, 0.99]])
    assert best_margins(crowd, np.ones((3, 2))).tolist() == pytest.approx([2.0, -0.0201, 2.0])
