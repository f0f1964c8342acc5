"""Exact top-k against a loop in plain Python, above all where scores tie."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.types import NO_ID
from retrieval.functional import topk
from retrieval.functional.topk import TopK, exact_topk, pair_scores, rerank, unit_rows


def loop_topk(queries, vectors, ids, k):
    """The definition: every pair in Python's own float64, rounded, sorted by (-score, id)."""
    rows = []
    for query in queries.astype(np.float64).tolist():
        scored = []
        for key, vector in zip(ids.tolist(), vectors.astype(np.float64).tolist(), strict=True):
            dot = math.fsum(a * b for a, b in zip(query, vector, strict=True))
            norm = math.sqrt(math.fsum(a * a for a in query)) * math.sqrt(math.fsum(b * b for b in vector))
            scored.append((-round(min(1.0, max(-1.0, dot / norm)), 6), key))
        rows.append([(key, -score) for score, key in sorted(scored)[:k]])
    return rows


def agrees(matches, expected):
    """Ids equal; scores to 1e-12 (both are multiples of 1e-6)."""
    for row, want in enumerate(expected):
        got = matches.row(row)
        assert [key for key, _ in got] == [key for key, _ in want]
        np.testing.assert_allclose([s for _, s in got], [s for _, s in want], rtol=0, atol=1e-12)


@pytest.fixture(params=[None, 64])
def small_blocks(request, monkeypatch):
    """Also with blocks so small that every boundary is crossed."""
    if request.param:
        monkeypatch.setattr(topk, "BLOCK_ROWS", 7)
        monkeypatch.setattr(topk, "BLOCK_PAIRS", 20)
        monkeypatch.setattr(topk, "BLOCK_VALUES", request.param)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("k", [1, 5, 60, 200])
def test_exact_topk_is_the_loop(k):
    random = np.random.default_rng(k)
    vectors = random.standard_normal((60, 12)).astype(np.float32) * random.uniform(0.1, 30, (60, 1)).astype(np.float32)
    vectors[20:45] = vectors[3]
    queries = np.concatenate([random.standard_normal((9, 12)).astype(np.float32), vectors[:4]])
    ids = random.permutation(1000)[:60].astype(np.int64)
    matches = exact_topk(queries, vectors, ids, k)
    agrees(matches, loop_topk(queries, vectors, ids, k))
    assert matches.ids.shape == matches.scores.shape == (13, k)
    assert np.all(matches.ids[:, 60:] == NO_ID)
    assert np.all(np.isneginf(matches.scores[:, 60:]))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_small_integers_tie_often_and_still_agree_with_the_loop(data):
    count, dimension = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 3))
    numbers = st.integers(-2, 2)
    row = st.lists(numbers, min_size=dimension, max_size=dimension).filter(any)
    vectors = np.array(data.draw(st.lists(row, min_size=count, max_size=count)), dtype=np.float32)
    queries = np.array(data.draw(st.lists(row, min_size=1, max_size=3)), dtype=np.float32)
    ids = np.array(data.draw(st.permutations(range(count))), dtype=np.int64) + 2**62
    k = data.draw(st.integers(1, count + 2))
    expected = loop_topk(queries, vectors, ids, k)
    agrees(exact_topk(queries, vectors, ids, k), expected)
    candidates = np.tile(ids, (len(queries), 1))
    order = np.argsort(ids)
    agrees(
        rerank(queries, candidates, lambda some: vectors[order[np.searchsorted(ids, some, sorter=order)]], k), expected
    )


def test_of_equal_scores_the_lowest_ids_are_kept():
    vectors = np.ones((500, 4), dtype=np.float32)
    ids = np.arange(500, dtype=np.int64)[::-1].copy()
    assert exact_topk(vectors[:1], vectors, ids, 10).ids.tolist() == [list(range(10))]


def test_scores_that_differ_by_less_than_the_step_tie():
    """A difference of 1e-9 is rounded away, so the id decides and not the better score."""
    vectors = np.array([[1, 0.5], [1, 0.5 + 1e-7], [1, -1]], dtype=np.float32)
    assert vectors[0, 1] != vectors[1, 1]
    query = np.array([[1, 3]], dtype=np.float32)
    assert exact_topk(query, vectors, np.array([2, 1, 0]), 1).ids.tolist() == [[1]]
    assert exact_topk(query, vectors, np.array([1, 2, 0]), 1).ids.tolist() == [[1]]


def test_a_score_does_not_depend_on_its_neighbours():
    """The same pair alone, in a block, and in another order: equal to the bit."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((3000, 384)).astype(np.float32)
    together = exact_topk(vectors[:5], vectors, np.arange(3000), 3000)
    for row in range(5):
        for key, score in together.row(row)[::97]:
            one = np.zeros(1, dtype=np.intp)
            assert pair_scores(vectors[row : row + 1], vectors[key : key + 1], one, one)[0] == score


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1.0, 1e15, 1e30])
def test_the_length_of_a_vector_has_no_influence(scale):
    random = np.random.default_rng(1)
    vectors, queries = random.standard_normal((40, 6)), random.standard_normal((3, 6))
    plain = exact_topk(queries.astype(np.float32), vectors.astype(np.float32), np.arange(40), 40)
    scaled = exact_topk((queries * scale).astype(np.float32), (vectors * scale).astype(np.float32), np.arange(40), 40)
    np.testing.assert_allclose(np.sort(scaled.scores), np.sort(plain.scores), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(unit_rows((vectors * scale).astype(np.float32)), axis=1), 1, atol=1e-6)


def test_scores_stay_within_bounds_and_are_never_minus_zero():
    vectors = np.array([[1, 0], [0, 1], [-1, 0], [3e-9, -7]], dtype=np.float32)
    scores = exact_topk(np.array([[1e-3, 0]], dtype=np.float32), vectors, np.arange(4), 4).scores[0]
    assert scores.tolist() == [1.0, 0.0, 0.0, -1.0]
    assert not np.any(np.signbit(scores[:3]))


def test_a_stream_gives_what_one_call_gives():
    random = np.random.default_rng(2)
    vectors = random.integers(-2, 3, (200, 5)).astype(np.float32)
    vectors[~vectors.any(axis=1)] = 1
    ids = random.permutation(200).astype(np.int64)
    best = TopK(vectors[:7], 20)
    for start in range(0, 200, 33):
        best.update(ids[start : start + 33], vectors[start : start + 33])
    whole = exact_topk(vectors[:7], vectors, ids, 20)
    np.testing.assert_array_equal(best.matches().ids, whole.ids)
    np.testing.assert_array_equal(best.matches().scores, whole.scores)


@pytest.mark.usefixtures("small_blocks")
def test_rerank_reads_each_candidate_once_and_skips_the_filling():
    random = np.random.default_rng(3)
    vectors = random.standard_normal((50, 8)).astype(np.float32)
    candidates = random.integers(-1, 50, (6, 12)).astype(np.int64)
    candidates[5] = NO_ID
    asked = []

    def fetch(ids):
        asked.extend(ids.tolist())
        return vectors[ids]

    matches = rerank(vectors[:6], candidates, fetch, 15)
    for row in range(6):
        own = np.unique(candidates[row][candidates[row] != NO_ID])
        want = exact_topk(vectors[row : row + 1], vectors[own], own, 15)
        np.testing.assert_array_equal(matches.ids[row], want.ids[0])
        np.testing.assert_array_equal(matches.scores[row], want.scores[0])
    assert sorted(asked) == sorted(set(candidates.ravel().tolist()) - {NO_ID})


def test_nothing_to_search_in_or_for():
    some = np.ones((3, 4), dtype=np.float32)
    empty = np.empty((0, 4), dtype=np.float32)
    no_ids = np.empty(0, dtype=np.int64)
    assert exact_topk(some, empty, no_ids, 2).ids.tolist() == [[NO_ID, NO_ID]] * 3
    assert exact_topk(empty, some, np.arange(3), 2).ids.shape == (0, 2)
    assert rerank(some, np.empty((3, 0), dtype=np.int64), lambda ids: some[ids], 2).ids.tolist() == [[NO_ID, NO_ID]] * 3
    assert rerank(empty, np.empty((0, 5), dtype=np.int64), lambda ids: some[ids], 2).ids.shape == (0, 2)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, -np.inf])
def test_a_row_without_direction_is_refused(bad):
    good = np.ones((3, 4), dtype=np.float32)
    broken = good.copy()
    broken[1] = bad
    with pytest.raises(ValueError, match="Row 1 of the queries"):
        exact_topk(broken, good, np.arange(3), 1)
    with pytest.raises(ValueError, match="Row 1 of the vectors"):
        exact_topk(good, broken, np.arange(3), 1)
    with pytest.raises(ValueError, match="zero or not finite"), np.errstate(invalid="ignore"):
        rerank(good, np.array([[1], [1], [1]]), lambda ids: broken[ids], 1)


def test_shapes_that_do_not_fit_are_refused():
    some = np.ones((3, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="k is 0"):
        exact_topk(some, some, np.arange(3), 0)
    with pytest.raises(ValueError, match="do not fit"):
        exact_topk(some, some[:, :3], np.arange(3), 1)
    with pytest.raises(ValueError, match="do not fit"):
        exact_topk(some, some, np.arange(2), 1)
    with pytest.raises(ValueError, match="axes"):
        exact_topk(some[0], some, np.arange(3), 1)
    with pytest.raises(ValueError, match="do not fit"):
        rerank(some, np.zeros((2, 1), dtype=np.int64), lambda ids: some[ids], 1)


def test_the_matrix_of_scores_stays_within_its_block(monkeypatch):
    """500 queries against 20,000 vectors would be 10 M scores; no product may exceed the block."""
    seen = []
    inner = TopK._worth_a_look
    monkeypatch.setattr(
        TopK, "_worth_a_look", lambda self, coarse, best: seen.append(coarse.size) or inner(self, coarse, best)
    )
    random = np.random.default_rng(4)
    vectors = random.standard_normal((20_000, 8)).astype(np.float32)
    exact_topk(vectors[:600], vectors, np.arange(20_000), 3)
    assert sum(seen) == 600 * 20_000
    assert max(seen) <= topk.BLOCK_PAIRS


def test_doctests():
    assert doctest.testmod(topk).failed == 0 < doctest.testmod(topk).attempted
