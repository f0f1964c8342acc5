"""Metrics against loops written from the formulas, and intervals against what is known about them."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.types import NO_ID, Matches
from retrieval.functional import metrics
from retrieval.functional.metrics import (
    bootstrap_difference,
    bootstrap_interval,
    bootstrap_intervals,
    leave_one_out,
    map_at_k,
    map_at_r,
    matches_without_query,
    precision_at_1,
    r_precision,
    recall_at_k,
    relevance,
    resampled,
)
from retrieval.functional.topk import exact_topk


def loop_metrics(relevant, positives, k):
    """(recall@k, R-precision, MAP@R) of one query, straight from the definitions."""
    if positives == 0:
        return None
    recall = 1.0 if any(relevant[:k]) else 0.0
    hits, total = 0, 0.0
    for i in range(1, positives + 1):
        if relevant[i - 1]:
            hits += 1
            total += hits / i
    return recall, hits / positives, total / positives


@st.composite
def rankings(draw):
    ranks = draw(st.integers(1, 8))
    rows = draw(st.lists(st.lists(st.booleans(), min_size=ranks, max_size=ranks), min_size=1, max_size=6))
    relevant = np.array(rows)
    positives = [draw(st.integers(int(sum(row)), ranks)) for row in rows]
    return relevant, np.array(positives)


@settings(max_examples=200, deadline=None)
@given(rankings(), st.data())
def test_metrics_are_their_formulas(ranking, data):
    relevant, positives = ranking
    k = data.draw(st.integers(1, relevant.shape[1]))
    results = [recall_at_k(relevant, positives, k), r_precision(relevant, positives), map_at_r(relevant, positives)]
    expected = [loop_metrics(row.tolist(), int(r), k) for row, r in zip(relevant, positives, strict=True)]
    for number, scores in enumerate(results):
        kept = [values[number] for values in expected if values is not None]
        assert scores.excluded == expected.count(None)
        assert scores.counted == len(kept)
        np.testing.assert_allclose(scores.values[~np.isnan(scores.values)], kept, atol=1e-12)
        if kept:
            assert scores.mean == pytest.approx(sum(kept) / len(kept))
        else:
            assert np.isnan(scores.mean)
    np.testing.assert_array_equal(
        precision_at_1(relevant, positives).values, recall_at_k(relevant, positives, 1).values
    )


def test_toy_case_by_hand():
    """R = 3, matches + - + +: recall@1 1, R-precision 2/3, MAP@R (1/1 + 0 + 2/3) / 3."""
    relevant, positives = np.array([[True, False, True, True]]), np.array([3])
    assert recall_at_k(relevant, positives, 1).mean == 1
    assert r_precision(relevant, positives).mean == pytest.approx(2 / 3)
    assert map_at_r(relevant, positives).mean == pytest.approx(5 / 9)


def test_a_ranking_that_is_too_short_is_refused_and_not_scored_lower():
    relevant, positives = np.array([[True, True]]), np.array([3])
    for metric in (r_precision, map_at_r):
        with pytest.raises(ValueError, match="3 positives, but only 2 ranks"):
            metric(relevant, positives)
    with pytest.raises(ValueError, match="Recall@3"):
        recall_at_k(relevant, positives, 3)
    with pytest.raises(ValueError, match="more relevant matches than positives"):
        recall_at_k(relevant, np.array([1]), 1)
    with pytest.raises(ValueError, match="do not fit"):
        recall_at_k(relevant.astype(np.int64), positives, 1)


def test_the_query_is_left_out_by_id_and_not_by_rank():
    """Three identical vectors: the query is not the first of its own matches, and must go all the same."""
    vectors = np.ones((3, 2), dtype=np.float32)
    ids = np.array([4, 7, 9])
    found = exact_topk(vectors, vectors, ids, 3).ids
    assert found[2].tolist() == [4, 7, 9]
    assert leave_one_out(found, ids).tolist() == [[7, 9], [4, 9], [4, 7]]


def test_leave_one_out_drops_the_last_where_the_query_was_not_found():
    assert leave_one_out(np.array([[1, 2, 3]]), np.array([8])).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="more than once"):
        leave_one_out(np.array([[8, 8, 3]]), np.array([8]))


def test_relevance_and_positives_against_a_loop():
    random = np.random.default_rng(0)
    ids = random.permutation(500)[:80].astype(np.int64)
    labels = random.integers(12, size=80)
    label_of = dict(zip(ids.tolist(), labels.tolist(), strict=True))
    queries = random.permutation(80)[:20]
    matches = np.array([random.permutation(ids[ids != ids[q]])[:10] for q in queries])
    matches[3, 6:] = NO_ID
    relevant, positives = relevance(matches, labels[queries], ids, labels, ids[queries])
    for row, query in enumerate(queries):
        assert relevant[row].tolist() == [label_of.get(key) == labels[query] for key in matches[row].tolist()]
        assert positives[row] == sum(labels == labels[query]) - 1
    _, from_outside = relevance(matches, labels[queries], ids, labels)
    np.testing.assert_array_equal(from_outside, positives + 1)


def test_relevance_refuses_what_cannot_be():
    ids, labels = np.array([3, 1]), np.array([0, 1])
    with pytest.raises(ValueError, match="not in the gallery"):
        relevance(np.array([[2]]), np.array([0]), ids, labels)
    with pytest.raises(ValueError, match="its own matches"):
        relevance(np.array([[3]]), np.array([0]), ids, labels, np.array([3]))
    with pytest.raises(ValueError, match="not in the gallery"):
        relevance(np.array([[3]]), np.array([0]), ids[:0], labels[:0])


def test_relevance_of_labels_that_the_gallery_lacks():
    ids, labels = np.array([3, 1]), np.array([0, 1])
    relevant, positives = relevance(np.array([[3, 1], [1, NO_ID]]), np.array([5, 1]), ids, labels)
    assert relevant.tolist() == [[False, False], [True, False]]
    assert positives.tolist() == [0, 1]
    relevant, positives = relevance(np.array([[NO_ID]]), np.array([5]), ids[:0], labels[:0], np.array([9]))
    assert relevant.tolist() == [[False]]
    assert positives.tolist() == [0]


def test_the_interval_holds_the_mean_and_repeats_with_its_seed():
    random = np.random.default_rng(1)
    values, classes = random.random(400), random.integers(40, size=400)
    values[:30] = np.nan
    one, two = bootstrap_interval(values, classes, seed=3), bootstrap_interval(values, classes, seed=3)
    assert one == two
    assert one != bootstrap_interval(values, classes, seed=4)
    assert one.mean == pytest.approx(np.nanmean(values))
    assert one.low < one.mean < one.high
    assert one.queries == 370


def test_queries_that_agree_within_a_class_widen_the_interval():
    """10 classes, each all right or all wrong: the interval must be that of 10 values, not of 1000."""
    classes = np.repeat(np.arange(10), 100)
    values = (classes % 2).astype(np.float64)
    clustered = bootstrap_interval(values, classes, seed=0)
    apart = bootstrap_interval(values, np.arange(1000), seed=0)
    # Standard errors: sqrt(.25 / 10) = .158 and sqrt(.25 / 1000) = .0158.
    assert 4 * 0.158 * 0.8 < clustered.high - clustered.low < 4 * 0.158 * 1.2
    assert apart.high - apart.low < 4 * 0.0158 * 1.5


def test_queries_within_a_drawn_class_are_resampled_too():
    values = np.random.default_rng(5).random(200)
    interval = bootstrap_interval(values, np.zeros(200, dtype=np.int64), seed=0)
    expected = 4 * values.std() / 200**0.5
    assert 0.8 * expected < interval.high - interval.low < 1.2 * expected


def test_the_interval_covers_the_truth_about_95_times_in_100():
    random = np.random.default_rng(2)
    covered = 0
    for trial in range(200):
        effect = random.normal(0, 1, 60)
        classes = np.repeat(np.arange(60), 5)
        values = effect[classes] + random.normal(0, 1, 300)
        interval = bootstrap_interval(values, classes, seed=trial, resamples=200)
        covered += interval.low <= 0 <= interval.high
    assert 180 <= covered <= 199


def test_a_paired_difference_is_narrower_than_two_intervals():
    random = np.random.default_rng(3)
    before, classes = random.random(500), random.integers(50, size=500)
    after = before + 0.02 + 0.001 * random.standard_normal(500)
    difference = bootstrap_difference(before, after, classes, seed=0)
    assert difference.mean == pytest.approx(0.02, abs=0.001)
    assert 0.019 < difference.low < difference.high < 0.021
    assert bootstrap_interval(before, classes, seed=0).high - bootstrap_interval(before, classes, seed=0).low > 0.04


def test_intervals_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="nothing to average"):
        bootstrap_interval(np.array([np.nan]), np.array([0]), seed=0)
    with pytest.raises(ValueError, match="do not fit"):
        bootstrap_interval(np.zeros(2), np.zeros(3, dtype=np.int64), seed=0)
    with pytest.raises(ValueError, match="same queries"):
        bootstrap_difference(np.array([np.nan, 1]), np.array([1, 1.0]), np.array([0, 0]), seed=0)


@settings(max_examples=200, deadline=None)
@given(rankings(), st.data())
def test_map_at_k_is_its_formula(ranking, data):
    relevant, positives = ranking
    k = data.draw(st.integers(1, relevant.shape[1]))
    for row, total, value in zip(
        relevant.tolist(), positives.tolist(), map_at_k(relevant, positives, k).values, strict=True
    ):
        if not total:
            assert np.isnan(value)
            continue
        precisions = [sum(row[:i]) / i for i in range(1, k + 1) if row[i - 1]]
        assert value == pytest.approx(sum(precisions) / min(total, k))


def test_map_at_k_by_hand():
    """Matches - + + with 5 positives: (1/2 + 2/3) / min(5, 3); with one positive found first it is 1, whatever k."""
    assert map_at_k(np.array([[False, True, True]]), np.array([5]), 3).mean == pytest.approx((1 / 2 + 2 / 3) / 3)
    assert map_at_k(np.array([[True, False, False]]), np.array([1]), 3).mean == 1
    assert map_at_k(np.ones((1, 3), np.bool_), np.array([9]), 3).mean == 1
    with pytest.raises(ValueError, match="mAP@4"):
        map_at_k(np.ones((1, 3), np.bool_), np.array([9]), 4)


@settings(max_examples=50, deadline=None)
@given(rankings())
def test_map_at_k_is_map_at_r_where_k_is_r(ranking):
    relevant, positives = ranking
    for row, total in zip(relevant, positives.tolist(), strict=True):
        if total:
            one, other = row[None], np.array([total])
            cut = one & (np.arange(len(row)) < total)
            assert map_at_k(cut, other, total).mean == pytest.approx(map_at_r(one, other).mean)


def test_scores_stay_with_their_ids_when_the_query_goes():
    matches = Matches(np.array([[5, 1, 9], [7, 8, 9]]), np.array([[0.9, 0.8, 0.7], [0.6, 0.5, 0.4]]))
    rest = matches_without_query(matches, np.array([1, 3]))
    assert rest.ids.tolist() == [[5, 9], [7, 8]]
    assert rest.scores.tolist() == [[0.9, 0.7], [0.6, 0.5]]
    np.testing.assert_array_equal(rest.ids, leave_one_out(matches.ids, np.array([1, 3])))


def test_several_metrics_get_the_intervals_they_would_get_alone():
    random = np.random.default_rng(7)
    values, classes = random.random((3, 200)), random.integers(20, size=200)
    values[:, ::9] = np.nan
    together = bootstrap_intervals(values, classes, seed=5, resamples=200)
    assert together == [bootstrap_interval(row, classes, seed=5, resamples=200) for row in values]
    values[1, 4] = np.nan
    with pytest.raises(ValueError, match="same queries"):
        bootstrap_intervals(values, classes, seed=5)


def test_a_draw_takes_whole_classes_and_then_their_members():
    classes = np.array([4, 4, 4, 9, 9, 2])
    for picks in resampled(classes, seed=0, resamples=50):
        sizes = {4: 3, 9: 2, 2: 1}
        drawn = {name: int(np.sum(classes[picks] == name)) for name in sizes}
        assert all(drawn[name] % size == 0 for name, size in sizes.items())
        assert sum(drawn[name] // size for name, size in sizes.items()) == 3
    seen = np.concatenate(list(resampled(classes, seed=0, resamples=200)))
    assert set(seen.tolist()) == set(range(6))


def test_doctests():
    assert doctest.testmod(metrics).failed == 0 < doctest.testmod(metrics).attempted
