"""The threshold against a search over all candidates, and its rates against counts."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import RetrievalError
from retrieval.evaluation.threshold import Threshold, fit_threshold, measure_threshold

scores = st.lists(st.integers(-20, 20).map(lambda n: n / 20), min_size=1, max_size=30).map(np.array)


@settings(max_examples=100, deadline=None)
@given(scores, scores, st.sampled_from([0.0, 0.05, 0.3, 1.0]))
def test_no_other_threshold_is_better(present, absent, most):
    found = fit_threshold(present, absent, most_false_alarms=most, resamples=2)
    false, true = np.mean(present < found.value), np.mean(absent < found.value)
    assert found.false_alarms.mean == pytest.approx(false)
    assert found.true_alarms.mean == pytest.approx(true)
    assert false <= most
    for other in np.arange(-1.05, 1.1, 0.025):
        f, t = np.mean(present < other), np.mean(absent < other)
        if f <= most:
            assert t - f <= true - false + 1e-9
            if abs((t - f) - (true - false)) < 1e-9:
                assert f >= false - 1e-9


def test_by_hand():
    """One of twenty may be told wrongly: between 0.2 and 0.6 all strangers but one are caught for that price."""
    present = np.array([0.2] + [0.8] * 19)
    absent = np.array([0.1, 0.3, 0.4, 0.5, 0.6, 0.9])
    found = fit_threshold(present, absent, most_false_alarms=0.05)
    assert found.value == pytest.approx(0.7)
    assert found.true_alarms.mean == pytest.approx(5 / 6)
    assert found.false_alarms.mean == pytest.approx(0.05)
    strict = fit_threshold(present, absent, most_false_alarms=0.0)
    assert strict.value == pytest.approx(0.15)
    assert strict.true_alarms.mean == pytest.approx(1 / 6)


def test_what_can_be_told_apart_is():
    found = fit_threshold(np.array([0.7, 0.9]), np.array([0.1, 0.3]))
    assert found.value == pytest.approx(0.5)
    assert (found.true_alarms.mean, found.false_alarms.mean) == (1, 0)


def test_equal_scores_raise_no_alarm():
    found = fit_threshold(np.full(9, 0.5), np.full(9, 0.5))
    assert (found.true_alarms.mean, found.false_alarms.mean) == (0, 0)
    assert found.value <= 0.5


def test_other_queries_are_measured_with_the_same_threshold():
    found = measure_threshold(0.5, np.array([0.4, 0.6, 0.7, 0.5]), np.array([0.4, 0.6]))
    assert found.value == 0.5
    assert found.false_alarms.mean == 0.25
    assert found.true_alarms.mean == 0.5


def test_queries_of_one_class_widen_the_interval():
    random = np.random.default_rng(0)
    classes = np.repeat(np.arange(8), 50)
    present = random.normal(0.7, 0.01, 400)
    absent = np.where(classes % 2, 0.2, 0.9) + random.normal(0, 0.01, 400)
    clustered = fit_threshold(present, absent, classes, classes).true_alarms
    alone = fit_threshold(present, absent).true_alarms
    assert clustered.high - clustered.low > 3 * (alone.high - alone.low)


def test_json_and_back():
    found = fit_threshold(np.linspace(0.4, 1, 40), np.linspace(0, 0.6, 40))
    document = json.loads(json.dumps(found.to_dict()))
    assert Threshold.from_dict(document) == found
    for damage in ({"value": None}, {"true_alarms": {}}, {"false_alarms": 3}, {"value": float("nan")}):
        with pytest.raises(RetrievalError, match="calibration is damaged"):
            Threshold.from_dict(document | damage)


def test_what_cannot_be_is_refused():
    some = np.array([0.1, 0.2])
    with pytest.raises(ValueError, match="no query with a match"):
        fit_threshold(some[:0], some)
    with pytest.raises(ValueError, match="no query without a match"):
        fit_threshold(some, some[:0])
    with pytest.raises(ValueError, match="not finite"):
        fit_threshold(some, np.array([np.nan]))
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        fit_threshold(some, some, most_false_alarms=1.5)
