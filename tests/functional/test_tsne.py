"""t-SNE: its affinities have the perplexity asked for, its gradient is that of its divergence, its maps tell groups."""

import itertools

import numpy as np
import pytest

from retrieval.functional.tsne import (
    conditional_closeness,
    gradient_and_divergence,
    joint_closeness,
    squared_distances,
    tsne,
)


def groups(count=3, each=10, spread=0.15, seed=0):
    random = np.random.default_rng(seed)
    vectors = np.repeat(np.eye(8)[:count], each, axis=0) + spread * random.standard_normal((count * each, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), np.repeat(range(count), each)


@pytest.mark.parametrize("perplexity", [2.0, 5.0, 9.5])
def test_every_row_has_the_perplexity_asked_for(perplexity):
    vectors, _ = groups()
    given = conditional_closeness(squared_distances(vectors.astype(np.float64)), perplexity)
    for i, row in enumerate(given):
        assert row[i] == 0
        assert row.sum() == pytest.approx(1)
        entropy = -sum(p * np.log(p) for p in row if p > 0)
        assert np.exp(entropy) == pytest.approx(perplexity, rel=1e-6)
        # Nearer rows are never less likely.
        order = np.argsort(squared_distances(vectors.astype(np.float64))[i])[1:]
        assert all(row[a] >= row[b] - 1e-12 for a, b in itertools.pairwise(order))


def test_joint_closeness_is_a_symmetric_distribution():
    vectors, _ = groups()
    joint = joint_closeness(squared_distances(vectors.astype(np.float64)), 5.0)
    np.testing.assert_allclose(joint, joint.T)
    assert joint.sum() == pytest.approx(1)
    assert np.diag(joint).tolist() == [0] * len(joint)


def looped_divergence(places, closeness):
    """KL(P || Q) pair by pair."""
    kernel = {
        (i, j): 1 / (1 + sum((places[i] - places[j]) ** 2))
        for i in range(len(places))
        for j in range(len(places))
        if i != j
    }
    total = sum(kernel.values())
    return sum(closeness[pair] * np.log(closeness[pair] / (value / total)) for pair, value in kernel.items())


def test_the_gradient_is_that_of_the_divergence():
    vectors, _ = groups(2, 4)
    closeness = joint_closeness(squared_distances(vectors.astype(np.float64)), 2.0)
    places = np.random.default_rng(1).standard_normal((8, 2))
    gradient, divergence = gradient_and_divergence(places, closeness)
    assert divergence == pytest.approx(looped_divergence(places, closeness), rel=1e-9)
    for i, d in itertools.product(range(8), range(2)):
        step = np.zeros_like(places)
        step[i, d] = 1e-5
        slope = looped_divergence(places + step, closeness) - looped_divergence(places - step, closeness)
        assert gradient[i, d] == pytest.approx(slope / 2e-5, abs=1e-6)


def test_groups_stay_groups_and_the_map_is_the_same_every_time():
    vectors, numbers = groups()
    one, two = tsne(vectors), tsne(vectors)
    assert one.places.tolist() == two.places.tolist()
    np.testing.assert_allclose(one.places.mean(axis=0), 0, atol=1e-9)
    apart = squared_distances(one.places) + np.diag([np.inf] * len(vectors))
    assert (numbers[apart.argmin(axis=1)] == numbers).all()
    # Descent goes down: a random map is much worse.
    closeness = joint_closeness(squared_distances(vectors.astype(np.float64)), 29 / 3)
    random = np.random.default_rng(0).standard_normal((30, 2))
    assert one.divergence < 0.5 * gradient_and_divergence(random, closeness)[1]


def test_descent_ends_where_nothing_pulls_any_more():
    """With too large a rate single rows are flung away, and the rest trembles for ever."""
    vectors, _ = groups(8, 10, spread=0.3)
    closeness = joint_closeness(squared_distances(vectors.astype(np.float64)), 79 / 3)
    gradient, divergence = gradient_and_divergence(tsne(vectors).places, closeness)
    assert np.abs(gradient).max() < 1e-8
    assert divergence == pytest.approx(tsne(vectors).divergence)


def test_rows_that_are_equal_and_rows_that_are_few():
    assert np.isfinite(tsne(np.ones((6, 4), np.float32), iterations=50).places).all()
    assert tsne(np.eye(3, dtype=np.float32), iterations=20).places.shape == (3, 2)
    with pytest.raises(ValueError, match="three finite rows"):
        tsne(np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="three finite rows"):
        tsne(np.full((4, 2), np.nan, np.float32))
    with pytest.raises(ValueError, match="perplexity"):
        tsne(np.eye(4, dtype=np.float32), perplexity=0.5)
