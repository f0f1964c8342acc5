"""Neighbours, purity and rivals against loops over all pairs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.evaluation.neighbourhood import kept_neighbours, neighbours, purity, rivals


def rows(seed, count, dimension=4):
    found = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def ranked(vectors, i):
    """The others, nearest first; equal scores in order of place."""
    exact = vectors.astype(np.float64)
    others = [j for j in range(len(exact)) if j != i]
    return sorted(others, key=lambda j: (-round(float(exact[i] @ exact[j]), 6), j))


LABELS = st.lists(st.integers(0, 3), min_size=2, max_size=14)


@settings(deadline=None)
@given(st.integers(0, 999), st.lists(st.integers(-1, 3), min_size=2, max_size=14), st.integers(1, 5))
def test_neighbours_and_purity_are_their_loops(seed, labels, k):
    vectors, numbers = rows(seed, len(labels)), np.array(labels)
    nearest = neighbours(vectors, k)
    pure = purity(nearest, numbers)
    for i in range(len(labels)):
        order = ranked(vectors, i)[:k]
        assert [j for j in nearest[i].tolist() if j >= 0] == order
        others = sum(labels[j] == labels[i] for j in range(len(labels)) if j != i)
        counted = order[: min(k, others)]
        if labels[i] < 0 or not others:
            assert math.isnan(pure[i])
        else:
            assert pure[i] == pytest.approx(sum(labels[j] == labels[i] for j in counted) / len(counted))


@settings(deadline=None)
@given(st.integers(0, 999), LABELS, st.booleans())
def test_rivals_are_their_loops(seed, labels, within):
    vectors, numbers = rows(seed, len(labels)), np.array(labels)
    outer = numbers // 2 if within else None
    found = rivals(vectors, numbers, outer)
    exact = vectors.astype(np.float64)
    for i in range(len(labels)):
        seen = [j for j in range(len(labels)) if j != i and (outer is None or outer[j] == outer[i])]
        same = [exact[i] @ exact[j] for j in seen if labels[j] == labels[i]]
        other = [exact[i] @ exact[j] for j in seen if labels[j] != labels[i]]
        assert found.same[i] == pytest.approx(max(same), abs=1e-6) if same else math.isnan(found.same[i])
        if other:
            assert found.other[i] == pytest.approx(max(other), abs=1e-6)
            best = max((exact[i] @ exact[j], -j) for j in seen if labels[j] != labels[i])
            assert found.other_class[i] == labels[-best[1]]
        else:
            assert math.isnan(found.other[i])
            assert found.other_class[i] == -1
        if same and other:
            assert found.margin[i] == pytest.approx(max(same) - max(other), abs=1e-6)


def test_blocks_make_no_difference(monkeypatch):
    vectors, numbers = rows(0, 23), np.arange(23) % 4
    whole = rivals(vectors, numbers)
    monkeypatch.setattr("retrieval.evaluation.neighbourhood._BLOCK", 5)
    parts = rivals(vectors, numbers)
    np.testing.assert_allclose(parts.same, whole.same, atol=1e-6)
    np.testing.assert_allclose(parts.other, whole.other, atol=1e-6)
    assert parts.other_class.tolist() == whole.other_class.tolist()


def test_images_without_a_label_have_no_rivals():
    with pytest.raises(ValueError, match="negative"):
        rivals(rows(0, 3), np.array([0, 0, -1]))
    with pytest.raises(ValueError, match="do not fit"):
        rivals(rows(0, 3), np.array([0, 0]))


def test_kept_neighbours_by_hand():
    assert kept_neighbours(np.array([[1, 2], [0, 2]]), np.array([[2, 3], [2, 0]])) == 0.75
    assert kept_neighbours(np.array([[1, -1]]), np.array([[-1, 1]])) == 1
    assert math.isnan(kept_neighbours(np.array([[-1]]), np.array([[0]])))
