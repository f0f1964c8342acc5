"""The block-wise path against ``exact_topk``, digit by digit: it is another way to the same answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.types import NO_ID
from retrieval.functional import dense_topk as module
from retrieval.functional.dense_topk import dense_topk, topk_blocks
from retrieval.functional.topk import exact_topk, pair_scores


@pytest.fixture(params=[None, 40])
def small_blocks(request, monkeypatch):
    """Also with blocks so small that every boundary is crossed."""
    if request.param:
        monkeypatch.setattr(module, "BLOCK_PAIRS", request.param)
        monkeypatch.setattr(module, "BLOCK_VALUES", request.param)


def equal(found, expected):
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("k", [1, 5, 37, 60, 90])
@pytest.mark.parametrize("dimension", [1, 3, 64, 1280])
def test_equals_exact_topk(small_blocks, k, dimension):
    random = np.random.default_rng(k * dimension)
    vectors = random.standard_normal((60, dimension)).astype(np.float32)
    queries = random.standard_normal((23, dimension)).astype(np.float32)
    ids = random.permutation(1000)[:60].astype(np.int64)
    equal(dense_topk(queries, vectors, ids, k), exact_topk(queries, vectors, ids, k))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 3), st.integers(1, 15))
def test_ties_stand_by_id_and_equal_exact_topk(seed, count, dimension, k):
    """Few values in few dimensions: most scores tie, also at the k-th place."""
    random = np.random.default_rng(seed)
    vectors = random.integers(1, 3, (count, dimension)).astype(np.float32)
    ids = random.permutation(50)[:count].astype(np.int64)
    equal(dense_topk(vectors, vectors, ids, k), exact_topk(vectors, vectors, ids, k))


def test_equal_vectors_give_the_lowest_ids(small_blocks):
    vectors = np.ones((50, 8), np.float32)
    ids = np.random.default_rng(0).permutation(50).astype(np.int64)
    found = dense_topk(vectors[:3], vectors, ids, 7)
    assert found.ids.tolist() == [list(range(7))] * 3
    assert found.scores.tolist() == [[1.0] * 7] * 3


@pytest.mark.parametrize("length", [1e-43, 1e-30, 1e30, 3e38])
def test_lengths_do_not_matter_even_extreme_ones(small_blocks, length):
    """Down to where float32 has few digits left, and up to where the norm itself is beyond it."""
    random = np.random.default_rng(3)
    directions = random.uniform(-1, 1, (40, 16))
    directions[::2] *= length
    vectors, queries = directions.astype(np.float32), random.standard_normal((30, 16)).astype(np.float32)
    vectors[~vectors.any(axis=1), 0] = np.float32(length)
    ids = np.arange(40)
    equal(dense_topk(queries, vectors, ids, 9), exact_topk(queries, vectors, ids, 9))
    equal(dense_topk(vectors, vectors, ids, 9), exact_topk(vectors, vectors, ids, 9))


def halfway(count):
    """(query, vectors) whose cosines lie next to the middle between two multiples of 1e-6."""
    half = (np.arange(count) + 0.5) * 1e-6
    vectors = np.stack([half, np.sqrt(1 - half**2)], axis=1).astype(np.float32)
    return np.array([[1.0, 0.0]], np.float32), vectors


def test_a_cosine_between_two_scores_is_rounded_as_pair_scores_rounds_it(monkeypatch):
    """Where it could go either way the pair is scored by ``pair_scores`` itself, and only there."""
    asked = []

    def watched(queries, vectors, rows, columns):
        asked.extend(columns.tolist())
        return pair_scores(queries, vectors, rows, columns) + 0.5

    monkeypatch.setattr(module, "pair_scores", watched)
    monkeypatch.setattr(module, "_could_round_either_way", lambda cosines, dimension: np.arange(len(cosines)) % 3 == 0)
    query, vectors = halfway(12)
    found = dense_topk(query, vectors, np.arange(12), 12)
    assert sorted(asked) == [0, 3, 6, 9]
    assert sorted(found.ids[0, :4].tolist()) == [0, 3, 6, 9]


def test_what_could_round_either_way_is_known():
    middle = np.array([0.1234565, -0.4321235, 0.0000005])
    assert module._could_round_either_way(middle, 1280).all()
    slack = (4 * 1280 + 64) * 2.0**-53
    assert not module._could_round_either_way(middle + 3 * slack, 1280).any()
    assert not module._could_round_either_way(np.array([0.123456, 0.5, -1.0, 1.0, 0.0]), 1280).any()


def test_another_order_of_summation_stays_within_the_slack():
    random = np.random.default_rng(5)
    vectors = random.standard_normal((200, 1280))
    dots = vectors @ vectors.T
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    one = dots / norms / norms[:, None]
    other = np.array([[np.dot(a[::-1], b[::-1]) for b in vectors[:40]] for a in vectors]) / norms[:40] / norms[:, None]
    assert np.abs(one[:, :40] - other).max() < (4 * 1280 + 64) * 2.0**-53


def test_blocks_cover_all_queries_in_order(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_PAIRS", 30)
    vectors = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    parts = [part for part, _ in topk_blocks(vectors[:8], vectors, np.arange(10), 3)]
    assert [(part.start, part.stop) for part in parts] == [(0, 3), (3, 6), (6, 8)]


def test_nothing_to_search_gives_empty_rows():
    found = dense_topk(np.ones((2, 3), np.float32), np.empty((0, 3), np.float32), np.empty(0, np.int64), 2)
    assert found.ids.tolist() == [[NO_ID] * 2] * 2
    assert np.isneginf(found.scores).all()
    assert len(dense_topk(np.empty((0, 3), np.float32), np.ones((2, 3), np.float32), np.arange(2), 2).ids) == 0


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
@pytest.mark.parametrize("where", ["queries", "vectors"])
def test_a_row_that_has_no_direction_is_refused(where, bad):
    rows = {"queries": np.ones((2, 3), np.float32), "vectors": np.ones((4, 3), np.float32)}
    rows[where][1] = bad
    with pytest.raises(ValueError, match=f"Row 1 of the {where}"):
        dense_topk(rows["queries"], rows["vectors"], np.arange(4), 2)


def test_shapes_that_do_not_fit_are_refused():
    ones = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        dense_topk(ones, np.ones((2, 4), np.float32), np.arange(2), 1)
    with pytest.raises(ValueError, match="do not fit"):
        dense_topk(ones, ones, np.arange(3), 1)
    with pytest.raises(ValueError, match="k is 0"):
        dense_topk(ones, ones, np.arange(2), 0)
