"""Silhouettes against a loop over all pairs, and clusters that must be found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.silhouette import silhouettes, two_clusters


def rows(seed, count, dimension=4):
    found = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def looped(vectors, numbers):
    """Rousseeuw's definition, pair by pair."""
    exact = vectors.astype(np.float64)
    found = []
    for i in range(len(exact)):
        distances = {}
        for j in range(len(exact)):
            if j != i:
                distances.setdefault(numbers[j], []).append(1 - float(exact[i] @ exact[j]))
        own = distances.pop(numbers[i], None)
        if own is None:
            found.append(0.0)
            continue
        a, b = sum(own) / len(own), min(sum(some) / len(some) for some in distances.values())
        found.append((b - a) / max(a, b))
    return found


@settings(deadline=None)
@given(st.integers(0, 999), st.lists(st.integers(0, 3), min_size=2, max_size=14))
def test_silhouettes_are_their_loop(seed, labels):
    numbers, vectors = np.array(labels), rows(seed, len(labels))
    if len(set(labels)) < 2:
        assert np.isnan(silhouettes(vectors, numbers)).all()
        return
    np.testing.assert_allclose(silhouettes(vectors, numbers), looped(vectors, labels), atol=1e-6)


def test_silhouettes_by_hand():
    """Two pairs at right angles: a = 0, b = 1 for all; then one row goes over to the other side."""
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    assert silhouettes(vectors, np.array([0, 0, 1, 1])).tolist() == [1, 1, 1, 1]
    # Row 0 with 2: a = 1, b = (0 + 1) / 2.
    assert silhouettes(vectors, np.array([0, 1, 0, 1])).tolist() == pytest.approx([-0.5] * 4)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="do not fit"):
        silhouettes(rows(0, 3), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="parted in two"):
        two_clusters(rows(0, 1))


@pytest.mark.parametrize("seed", range(5))
def test_two_far_groups_are_found_and_named_by_the_first_row(seed):
    random = np.random.default_rng(seed)
    truth = random.permutation(np.repeat([0, 1], [9, 5]))
    centres = np.eye(6)[[0, 1]]
    vectors = (centres[truth] + 0.1 * random.standard_normal((14, 6))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    member = two_clusters(vectors)
    assert member.tolist() == (truth ^ truth[0]).tolist()
    assert member.tolist() == two_clusters(vectors).tolist()


def test_equal_rows_stay_together():
    assert two_clusters(np.ones((4, 3), np.float32) / np.sqrt(3)).tolist() == [0, 0, 0, 0]
