"""Comparisons: whose difference, by how much, and whether that could be chance."""

import json

import numpy as np
import pytest

from retrieval.evaluation.comparison import Change, Comparison, compare
from retrieval.evaluation.retrieval import retrieve
from retrieval.functional.metrics import Interval, bootstrap_difference


def clusters(spread, seed=0, classes=12, each=6, dimension=8):
    """Vectors around one centre a class; the smaller the spread, the better they retrieve."""
    random = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(classes), each)
    centres = np.random.default_rng(99).standard_normal((classes, dimension))
    return (centres[numbers] + spread * random.standard_normal((len(numbers), dimension))).astype(np.float32), numbers


@pytest.fixture(scope="module")
def results():
    return {spread: retrieve(*clusters(spread), resamples=200) for spread in (0.3, 1.5)}


def test_better_worse_and_open(results):
    bad, good = results[1.5], results[0.3]
    assert compare(bad, good, resamples=200).verdict == "better"
    assert compare(good, bad, resamples=200).verdict == "worse"
    same = compare(good, good, resamples=200)
    assert same.verdict == "open"
    assert all(change.difference.low == change.difference.high == 0 for change in same.changes.values())


def test_differences_are_paired(results):
    bad, good = results[1.5], results[0.3]
    for name, change in compare(bad, good, seed=4, resamples=200).changes.items():
        expected = bootstrap_difference(bad.values[name], good.values[name], bad.classes, 4, 200)
        assert change.difference == expected
        assert change.before == bad.intervals[name]
        assert change.after == good.intervals[name]


def test_one_metric_that_is_open_is_no_proof(results):
    comparison = compare(results[1.5], results[0.3], resamples=200)
    changes = dict(comparison.changes) | {"map_at_r": compare(results[0.3], results[0.3]).changes["map_at_r"]}
    assert type(comparison)(comparison.before, comparison.after, changes).verdict == "open"


def test_classes_against_a_loop(results):
    comparison = compare(results[1.5], results[0.3], resamples=50)
    found = comparison.classes("recall_at_1")
    assert [change.number for change in sorted(found, key=lambda change: change.number)] == list(range(12))
    for change in found:
        rows = comparison.before.classes == change.number
        assert change.queries == rows.sum()
        assert change.before == pytest.approx(comparison.before.values["recall_at_1"][rows].mean())
        assert change.after == pytest.approx(comparison.after.values["recall_at_1"][rows].mean())
    differences = [change.difference for change in found]
    assert differences == sorted(differences)


def test_queries_that_gained_and_lost(results):
    comparison = compare(results[1.5], results[0.3], resamples=50)
    gains = comparison.after.values["map_at_r"] - comparison.before.values["map_at_r"]
    improved = comparison.improved(4)
    assert [change.difference for change in improved] == sorted(gains.tolist(), reverse=True)[:4]
    assert all(change.difference < 0 for change in comparison.worsened(99))
    assert len(comparison.worsened(999)) == (gains < 0).sum()
    assert len(comparison.improved(999)) == (gains > 0).sum()
    assert compare(results[0.3], results[0.3]).improved(5) == []
    assert gains[improved[0].place] == improved[0].difference


def test_equal_gains_stand_by_id():
    vectors, numbers = clusters(1.5)
    before, after = (retrieve(v, numbers, np.arange(72)[::-1].copy(), resamples=5) for v in (vectors, -vectors))
    assert [change.id for change in compare(before, after).queries()] == sorted(range(72))


def test_singletons_are_in_no_table():
    vectors, numbers = clusters(0.5)
    numbers[0] = 50
    result = retrieve(vectors, numbers, resamples=5)
    comparison = compare(result, result)
    assert 50 not in [change.number for change in comparison.classes()]
    assert 0 not in [change.place for change in comparison.queries()]


def test_json_holds_what_the_gate_reads(results):
    written = json.loads(json.dumps(compare(results[1.5], results[0.3], resamples=50).to_dict()))
    for name in ("recall_at_1", "map_at_r"):
        assert set(written[name]) == {"mean", "low", "high", "before", "after"}
        assert written[name]["low"] <= written[name]["mean"] <= written[name]["high"]
        gain = written[name]["after"]["mean"] - written[name]["before"]["mean"]
        assert written[name]["mean"] == pytest.approx(gain)


def test_other_queries_are_refused(results):
    vectors, numbers = clusters(0.3)
    with pytest.raises(ValueError, match="same queries"):
        compare(results[0.3], retrieve(vectors, numbers, np.arange(1, 73), resamples=5))
    numbers[0] = 1
    with pytest.raises(ValueError, match="same queries"):
        compare(results[0.3], retrieve(vectors, numbers, resamples=5))
    with pytest.raises(ValueError, match="Other metrics"):
        compare(results[0.3], retrieve(*clusters(0.3), recall_at=(1,), resamples=5))


def judged(first: tuple[float, float], ranking: tuple[float, float]):
    """A verdict on two intervals of differences: of recall@1 and of MAP@R."""
    side = Interval(0.5, 0.4, 0.6, 72, 12)
    changes = {
        name: Change(side, side, Interval(sum(bounds) / 2, *bounds, 72, 12))
        for name, bounds in (("recall_at_1", first), ("map_at_r", ranking))
    }
    vectors, numbers = clusters(0.5)
    result = retrieve(vectors, numbers, resamples=5)
    return Comparison(result, result, changes).verdict


@pytest.mark.parametrize(
    ("first", "ranking", "verdict"),
    [
        ((0.01, 0.05), (0.01, 0.05), "better"),
        ((0.0, 0.0), (0.01, 0.05), "better"),
        ((-0.01, 0.05), (0.01, 0.05), "better"),
        ((-0.0101, 0.05), (0.01, 0.05), "open"),
        ((0.1, 0.2), (0.0, 0.05), "open"),
        ((0.1, 0.2), (-0.02, -0.01), "worse"),
        ((-0.009, -0.001), (0.01, 0.05), "worse"),
    ],
)
def test_map_at_r_decides_and_recall_at_1_may_not_get_worse(first, ranking, verdict):
    assert judged(first, ranking) == verdict
