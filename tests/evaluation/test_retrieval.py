"""Retrieval metrics against loops over every pair, and toy cases by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import RetrievalError
from retrieval.evaluation.retrieval import retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional import dense_topk
from retrieval.functional.metrics import bootstrap_interval


def angles(*degrees):
    """Unit vectors in the plane: the cosine of two is that of the angle between them."""
    radians = np.deg2rad(np.array(degrees, np.float64))
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def by_loops(vectors, numbers, ids, queries, query_numbers, query_ids):
    """(relevance of the whole ranking, R, best score, best score of another label) of every query."""
    rows = []
    for vector, number, own in zip(queries.astype(np.float64), query_numbers, query_ids, strict=True):
        found = []
        for other, other_number, key in zip(vectors.astype(np.float64), numbers, ids, strict=True):
            if key != own:
                cosine = float(vector @ other) / float(np.linalg.norm(vector) * np.linalg.norm(other))
                found.append((-round(cosine, 6), int(key), bool(other_number == number)))
        found.sort()
        same = [relevant for _, _, relevant in found]
        strangers = [-score for score, _, relevant in found if not relevant]
        rows.append((same, sum(same), -found[0][0] if found else np.nan, strangers[0] if strangers else np.nan))
    return rows


def values_by_loops(same, positives, recall_at, average_at):
    """Every metric of one query, from the definitions."""
    if not positives:
        return None
    precision = [sum(same[: i + 1]) / (i + 1) if same[i] else 0.0 for i in range(len(same))]
    found = {f"recall_at_{k}": float(any(same[:k])) for k in recall_at}
    found["precision_at_1"] = float(same[0])
    found["r_precision"] = sum(same[:positives]) / positives
    found["map_at_r"] = sum(precision[:positives]) / positives
    found[f"map_at_{average_at}"] = sum(precision[:average_at]) / min(positives, average_at)
    return found


def check(result, rows, recall_at, average_at):
    for place, (same, positives, best, best_other) in enumerate(rows):
        expected = values_by_loops(same, positives, recall_at, average_at)
        assert result.positives[place] == positives
        assert result.best[place] == pytest.approx(best, abs=1e-12, nan_ok=True)
        assert result.best_other[place] == pytest.approx(best_other, abs=1e-12, nan_ok=True)
        assert result.relevant[place, : len(same)].tolist() == same[: result.relevant.shape[1]]
        for name, values in result.values.items():
            if expected is None:
                assert np.isnan(values[place])
            else:
                assert values[place] == pytest.approx(expected[name], abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 5), st.integers(1, 4), st.integers(1, 12))
def test_leave_one_out_is_its_loop(seed, count, classes, dimension, average_at):
    """Vectors of few values, so that many scores tie; ids in no order."""
    random = np.random.default_rng(seed)
    vectors = random.integers(1, 4, (count, dimension)).astype(np.float32)
    numbers = random.integers(classes, size=count)
    ids = random.permutation(99)[:count].astype(np.int64)
    rows = by_loops(vectors, numbers, ids, vectors, numbers, ids)
    if not any(positives for _, positives, _, _ in rows):
        with pytest.raises(RetrievalError, match="nothing to measure"):
            retrieve(vectors, numbers, ids, resamples=5)
        return
    result = retrieve(vectors, numbers, ids, recall_at=(1, 2, 5), average_at=average_at, resamples=5)
    check(result, rows, (1, 2, 5), average_at)
    assert result.singletons == sum(positives == 0 for _, positives, _, _ in rows)
    assert result.counted + result.singletons == count


@pytest.mark.parametrize("known", [False, True])
def test_queries_against_a_database(known, monkeypatch):
    """Queries may stand in the database (then each is left out of its own matches) or not."""
    monkeypatch.setattr(dense_topk, "BLOCK_PAIRS", 100)
    random = np.random.default_rng(4)
    vectors = random.standard_normal((40, 5)).astype(np.float32)
    numbers = random.integers(6, size=40)
    ids = random.permutation(200)[:40].astype(np.int64)
    asked = np.arange(5, 25)
    own = ids[asked] if known else None
    queries = LabelledVectors(vectors[asked], numbers[asked], own)
    result = retrieve(vectors, numbers, ids, queries, recall_at=(1, 3), average_at=4, resamples=5)
    skipped = ids[asked] if known else np.full(20, -5)
    check(result, by_loops(vectors, numbers, ids, vectors[asked], numbers[asked], skipped), (1, 3), 4)
    if not known:
        assert result.values["recall_at_1"].all(), "each query finds itself, as nobody said that it stands there"


def test_a_toy_case_by_hand():
    """Angles 0 a, 10 a, 25 b, 30 a, 90 b. Query 0 finds a b a b: R 2, R-precision 1/2, MAP@R (1/1 + 0) / 2."""
    result = retrieve(angles(0, 10, 25, 30, 90), np.array([0, 0, 1, 0, 1]), resamples=5)
    assert result.matches.ids[0, :4].tolist() == [1, 2, 3, 4]
    assert result.positives.tolist() == [2, 2, 1, 2, 1]
    # Query 2 (25, b) finds 30 a, 10 a, 0 a, 90 b; query 4 (90, b) finds 30 a before 25 b.
    assert result.values["recall_at_1"].tolist() == [1, 1, 0, 0, 0]
    assert result.values["recall_at_2"].tolist() == [1, 1, 0, 1, 1]
    assert result.values["r_precision"].tolist() == [0.5, 0.5, 0, 0.5, 0]
    assert result.values["map_at_r"].tolist() == [0.5, 0.5, 0, 0.25, 0]
    assert result.values["map_at_10"][0] == pytest.approx((1 + 2 / 3) / 2)
    assert result.best[0] == pytest.approx(np.cos(np.deg2rad(10)), abs=1e-6)
    assert result.best_other[0] == pytest.approx(np.cos(np.deg2rad(25)), abs=1e-6)


def test_identical_pictures_do_not_let_a_query_find_itself():
    """Four equal vectors of two labels: by rank the query is not first, by id it is left out all the same."""
    result = retrieve(np.ones((4, 3), np.float32), np.array([0, 1, 0, 1]), resamples=5)
    assert result.matches.ids[:, :3].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    # Ties by id: query 1 (label 1) finds 0, 2, 3.
    assert result.values["recall_at_1"].tolist() == [0, 0, 1, 0]


def test_singletons_are_counted_apart_and_are_nobodys_average():
    result = retrieve(angles(0, 5, 50), np.array([0, 0, 7]), resamples=5)
    assert (result.counted, result.singletons) == (2, 1)
    assert np.isnan(result.values["map_at_r"][2])
    assert result.intervals["map_at_r"].mean == 1
    assert result.to_dict()["queries"] == 2
    assert result.to_dict()["singletons"] == 1
    assert result.worst(5) == [0, 1]


def test_a_ranking_shorter_than_r_is_refused():
    vectors, numbers = np.eye(9, dtype=np.float32) + 0.1, np.zeros(9, np.int64)
    with pytest.raises(ValueError, match=r"need \d+ ranks, but only 4"):
        retrieve(vectors, numbers, recall_at=(1,), average_at=1, keep=1, depth=4)
    assert retrieve(vectors, numbers, recall_at=(1,), average_at=1, keep=1, depth=30, resamples=5).depth == 30


@pytest.mark.parametrize("known", [False, True])
def test_the_best_match_of_another_label_is_found_behind_all_positives(known):
    vectors, numbers, ids = angles(0, 1, 2, 3, 4, 60, 5), np.array([0, 0, 0, 0, 0, 1, 0]), np.arange(7)
    queries = LabelledVectors(vectors[:1], numbers[:1], ids[:1] if known else None)
    result = retrieve(vectors, numbers, ids, queries, recall_at=(1,), average_at=1, keep=1, resamples=5)
    assert result.best_other[0] == pytest.approx(0.5, abs=1e-6)
    assert result.matches.ids.shape == (1, 1)


def test_one_label_alone_has_no_other_to_be_confused_with():
    result = retrieve(angles(0, 10, 20), np.zeros(3, np.int64), resamples=5)
    assert result.intervals["recall_at_1"].mean == 1
    assert np.isnan(result.best_other).all()


def test_nothing_to_measure_is_said():
    with pytest.raises(RetrievalError, match="own label in the database"):
        retrieve(angles(0, 10, 20), np.arange(3))
    with pytest.raises(RetrievalError, match="no image"):
        retrieve(np.empty((0, 2), np.float32), np.empty(0, np.int64))


def test_images_that_cannot_be_measured_are_refused():
    vectors = angles(0, 10)
    with pytest.raises(ValueError, match="without a label"):
        retrieve(vectors, np.array([0, -1]))
    with pytest.raises(ValueError, match="stands twice"):
        retrieve(vectors, np.array([0, 0]), np.array([3, 3]))
    with pytest.raises(ValueError, match="do not fit"):
        retrieve(vectors, np.array([0]))
    with pytest.raises(ValueError, match="ids of"):
        retrieve(vectors, np.array([0, 0]), np.array([3]))
    with pytest.raises(ValueError, match="not finite"):
        retrieve(np.array([[1, np.nan], [1, 0]], np.float32), np.array([0, 0]))
    with pytest.raises(ValueError, match="at least 1"):
        retrieve(vectors, np.array([0, 0]), recall_at=(0,))


def test_intervals_are_those_of_the_values():
    random = np.random.default_rng(8)
    numbers = random.integers(12, size=80)
    result = retrieve(random.standard_normal((80, 6)).astype(np.float32), numbers, seed=3, resamples=100)
    for name, interval in result.intervals.items():
        assert interval == bootstrap_interval(result.values[name], numbers, 3, 100)
        assert result.to_dict()["metrics"][name] == {
            "mean": interval.mean,
            "low": interval.low,
            "high": interval.high,
        }


def test_the_worst_queries_stand_first_and_equal_ones_by_id():
    result = retrieve(angles(0, 10, 25, 30, 90), np.array([0, 0, 1, 0, 1]), np.array([9, 8, 7, 6, 5]), resamples=5)
    assert result.worst(3) == [4, 2, 3]
