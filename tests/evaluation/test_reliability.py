"""Reliability against loops and cases where the answer is known."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import RetrievalError
from retrieval.evaluation.reliability import Reliability, reliability


def data(count=3000, seed=0, classes=30, lie=0.0):
    """Probabilities that are true, or too high by ``lie``; ten pairs a query."""
    random = np.random.default_rng(seed)
    queries = np.arange(count) // 10
    truth = random.uniform(0, 0.8, count)
    return truth + lie, random.random(count) < truth, queries, queries % classes


def by_loop(probabilities, same, bins):
    """ECE over bins of nearly equal size: sorted, cut at the quantiles, equal values together."""
    edges = np.quantile(probabilities, [i / bins for i in range(1, bins)])
    groups = {}
    for p, hit in zip(probabilities.tolist(), same.tolist(), strict=True):
        groups.setdefault(sum(p > edge for edge in edges), []).append((p, hit))
    total = 0.0
    for group in groups.values():
        said, came = sum(p for p, _ in group) / len(group), sum(hit for _, hit in group) / len(group)
        total += len(group) / len(same) * abs(said - came)
    return total, len(groups)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 12), st.booleans())
def test_ece_is_its_loop(seed, count, bins, coarse):
    random = np.random.default_rng(seed)
    probabilities = random.integers(0, 4, count) / 3 if coarse else random.random(count)
    same = random.random(count) < 0.5
    queries = random.integers(0, 7, count)
    found = reliability(probabilities, same, queries, queries % 3, bins=bins, resamples=10)
    expected, groups = by_loop(probabilities, same, bins)
    assert found.ece.mean == pytest.approx(expected)
    assert len(found.curve) == groups
    assert found.ece.low <= found.ece.mean <= found.ece.high
    assert sum(one.pairs for one in found.curve) == count
    assert all(one.low <= one.observed <= one.high for one in found.curve)
    assert [one.predicted for one in found.curve] == sorted(one.predicted for one in found.curve)


def test_by_hand():
    """Two bins: 0.1, 0.3 (none true) and 0.6, 0.8 (both true): |0.2 - 0| / 2 + |0.7 - 1| / 2."""
    found = reliability(
        np.array([0.1, 0.3, 0.6, 0.8]), np.array([False, False, True, True]), np.arange(4), np.arange(4), bins=2
    )
    assert found.ece.mean == pytest.approx(0.25)
    assert found.brier == pytest.approx((0.01 + 0.09 + 0.16 + 0.04) / 4)
    assert found.base == pytest.approx(0.25)
    assert [(one.predicted, one.observed, one.pairs) for one in found.curve] == [
        (pytest.approx(0.2), 0.0, 2),
        (pytest.approx(0.7), 1.0, 2),
    ]


def test_true_probabilities_have_a_small_error_and_a_lie_is_measured():
    assert reliability(*data(), resamples=200).ece.mean < 0.04
    lied = reliability(*data(lie=0.15), resamples=200)
    assert lied.ece.low < 0.15 < lied.ece.high
    assert lied.ece.low > 0.1


def test_pairs_of_one_query_are_not_so_many_witnesses():
    """All pairs of a query alike: the interval must be that of the queries."""
    random = np.random.default_rng(0)
    queries = np.repeat(np.arange(40), 50)
    same = (random.random(40) < 0.5)[queries]
    together = reliability(np.full(2000, 0.5), same, queries, queries, resamples=200)
    apart = reliability(np.full(2000, 0.5), same, np.arange(2000), np.arange(2000), resamples=200)
    assert together.curve[0].high - together.curve[0].low > 4 * (apart.curve[0].high - apart.curve[0].low)


def test_queries_of_one_class_are_not_so_many_witnesses():
    random = np.random.default_rng(0)
    classes = np.repeat(np.arange(20), 50)
    same = (random.random(20) < 0.5)[classes]
    together = reliability(np.full(1000, 0.5), same, np.arange(1000), classes, resamples=200)
    apart = reliability(np.full(1000, 0.5), same, np.arange(1000), np.arange(1000), resamples=200)
    assert together.curve[0].high - together.curve[0].low > 4 * (apart.curve[0].high - apart.curve[0].low)
    assert together.ece.classes == 20
    assert together.ece.queries == 1000


@pytest.mark.parametrize("outcome", [True, False])
def test_all_equal_is_one_bin(outcome):
    found = reliability(np.full(20, 0.4), np.full(20, outcome), np.arange(20), np.arange(20))
    assert len(found.curve) == 1
    assert found.ece.mean == pytest.approx(0.6 if outcome else 0.4)
    assert found.base == 0


def test_the_seed_repeats():
    assert reliability(*data(300), seed=1) == reliability(*data(300), seed=1)
    assert reliability(*data(300), seed=1).ece != reliability(*data(300), seed=2).ece


def test_json_and_back():
    found = reliability(*data(300), resamples=50)
    assert Reliability.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["brier"], 1.5),
        (["brier"], None),
        (["base"], math.nan),
        (["ece"], 0.1),
        (["ece", "mean"], -0.1),
        (["ece", "low"], 0.99),
        (["ece", "queries"], 1.5),
        (["curve"], {}),
        (["curve", 0], 3),
        (["curve", 0, "observed"], 2),
        (["curve", 0, "pairs"], "many"),
    ],
)
def test_damage_is_refused(path, value):
    document = reliability(*data(300), resamples=50).to_dict()
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(RetrievalError, match="calibration is damaged"):
        Reliability.from_dict(document)
    with pytest.raises(RetrievalError, match="calibration is damaged"):
        Reliability.from_dict(None)


def test_what_cannot_be_is_refused():
    probabilities, same, queries, classes = data(40)
    with pytest.raises(ValueError, match="outside"):
        reliability(probabilities + 1, same, queries, classes)
    with pytest.raises(ValueError, match="outside"):
        reliability(np.full(40, np.nan), same, queries, classes)
    with pytest.raises(ValueError, match="do not fit"):
        reliability(probabilities, same[:-1], queries, classes)
    with pytest.raises(ValueError, match="no pair"):
        reliability(probabilities[:0], same[:0], queries[:0], classes[:0])
    with pytest.raises(ValueError, match="two classes"):
        reliability(probabilities, same, queries, np.arange(40))
