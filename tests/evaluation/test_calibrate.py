"""From a search to a calibration: which pairs, which best scores, and what is measured on whom."""

import json
import math

import numpy as np
import pytest

from retrieval.core.errors import RetrievalError
from retrieval.evaluation.calibrate import Measured, best_scores, calibrate, confirm, neighbour_pairs
from retrieval.evaluation.calibration import Calibration
from retrieval.evaluation.reliability import reliability
from retrieval.evaluation.retrieval import retrieve
from retrieval.functional.topk import exact_topk
from tests.evaluation.test_comparison import clusters


@pytest.fixture(scope="module")
def searched():
    vectors, numbers = clusters(0.9, classes=20, each=6)
    numbers[3] = 77  # a singleton
    return vectors, numbers, retrieve(vectors, numbers, resamples=10)


def test_pairs_are_the_first_matches_of_every_query(searched):
    vectors, numbers, result = searched
    pairs = neighbour_pairs(result, 4)
    assert len(pairs.scores) == 4 * len(vectors)
    found = exact_topk(vectors, vectors, np.arange(len(vectors)), 5)
    expected = [
        (query, score, bool(numbers[key] == numbers[query]))
        for query in range(len(vectors))
        for key, score in [one for one in found.row(query) if one[0] != query][:4]
    ]
    assert list(zip(pairs.queries.tolist(), pairs.scores.tolist(), pairs.same.tolist(), strict=True)) == expected
    assert 77 in pairs.classes, "queries without a match are asked in a real gallery, too"
    with pytest.raises(ValueError, match="10 matches"):
        neighbour_pairs(result, 11)


def test_empty_places_are_no_pairs():
    vectors, numbers = clusters(0.5, classes=2, each=2)
    assert len(neighbour_pairs(retrieve(vectors, numbers, resamples=5), 10).scores) == 4 * 3


def test_best_scores_are_those_with_the_own_label_and_with_it_held_out(searched):
    vectors, numbers, result = searched
    present, absent, present_classes, absent_classes = best_scores(result)
    assert len(present) == len(vectors) - 1
    assert 77 not in present_classes
    assert len(absent) == len(vectors)
    for query in range(0, len(vectors), 7):
        others = np.flatnonzero(numbers != numbers[query])
        without = exact_topk(vectors[query : query + 1], vectors[others], others, 1)
        assert absent[query] == without.scores[0, 0]
        assert absent_classes[query] == numbers[query]


def test_the_reliability_is_of_classes_that_were_not_fitted_on(searched):
    _, _, result = searched
    measured = calibrate(result, seed=2)
    pairs = neighbour_pairs(result)
    fitted = reliability(measured.calibration.of(pairs.scores), pairs.same, pairs.queries, pairs.classes, seed=2)
    assert measured.reliability.brier > fitted.brier
    assert measured.reliability.brier < measured.reliability.base
    assert measured.calibration.pairs == len(pairs.scores)
    assert measured.calibration.positives == pairs.same.sum()


def test_the_threshold_tells_strangers_apart(searched):
    _, _, result = searched
    measured = calibrate(result)
    assert measured.threshold is not None
    assert measured.calibration.threshold == measured.threshold.value
    assert measured.threshold.false_alarms.mean <= 0.05
    tight = calibrate(retrieve(*clusters(0.1, classes=20, each=6), resamples=5)).threshold
    assert tight is not None
    assert tight.true_alarms.mean > 0.95


def test_other_images_confirm_or_do_not(searched):
    _, _, result = searched
    calibration = calibrate(result).calibration
    same_kind = confirm(calibration, retrieve(*clusters(0.9, seed=5, classes=20, each=6), resamples=5))
    other_kind = confirm(calibration, retrieve(*clusters(4.0, seed=5, classes=20, each=6), resamples=5))
    assert same_kind.calibration == calibration
    assert same_kind.reliability.ece.mean < other_kind.reliability.ece.mean
    assert same_kind.threshold is not None
    assert same_kind.threshold.value == calibration.threshold
    assert confirm(Calibration("platt", 1.0, 0.0), result).threshold is None


def test_one_label_cannot_be_calibrated():
    vectors, numbers = clusters(0.5, classes=1)
    with pytest.raises(RetrievalError, match="one label alone"):
        calibrate(retrieve(vectors, numbers, resamples=5))


def test_perfect_and_hopeless_searches_are_calibrated(searched):
    perfect = calibrate(retrieve(*clusters(1e-3, classes=4, each=12), resamples=5))
    assert perfect.calibration.probability(1.0) > 0.9
    random = np.random.default_rng(0)
    numbers = np.repeat(np.arange(10), 5)
    hopeless = calibrate(retrieve(random.standard_normal((50, 4)).astype(np.float32), numbers, resamples=5))
    assert hopeless.calibration.probability(0.9) < 0.4


def test_json_and_back(searched):
    _, _, result = searched
    measured = calibrate(result)
    document = json.loads(json.dumps(measured.to_dict()))
    assert Measured.from_dict(document) == measured
    assert Calibration.from_dict(document) == measured.calibration
    assert isinstance(document["threshold"], float)
    for damage in ({"reliability": None}, {"alarms": 3}, {"kind": "?"}, {"threshold": math.inf}, {"margin_alarms": 3}):
        with pytest.raises(RetrievalError, match="calibration is damaged"):
            Measured.from_dict(document | damage)
