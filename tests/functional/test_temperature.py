"""What a temperature does to its negatives: loops, limits and bounds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.temperature import effective_number, hardest_triplet, negative_weights, scaled_info_nce

TAUS = st.sampled_from([0.02, 0.1, 0.5, 2.0])


def case(seed, labels):
    """Cosines of random unit vectors, and the masks that their labels give."""
    vectors = np.random.default_rng(seed).standard_normal((len(labels), 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = np.array(labels)
    alike = numbers[:, None] == numbers[None]
    return vectors @ vectors.T, alike & ~np.eye(len(labels), dtype=bool), ~alike


LABELS = st.lists(st.integers(0, 2), min_size=3, max_size=9).filter(
    lambda labels: len(set(labels)) > 1 and len(set(labels)) < len(labels)
)


@settings(deadline=None)
@given(st.integers(0, 999), LABELS, TAUS)
def test_weights_and_their_effective_number_are_their_loops(seed, labels, tau):
    scores, _, negative = case(seed, labels)
    weights = negative_weights(scores, negative, tau)
    numbers = effective_number(weights)
    for i in range(len(labels)):
        total = sum(math.exp(scores[i, j] / tau) for j in range(len(labels)) if labels[j] != labels[i])
        entropy = 0.0
        for j in range(len(labels)):
            expected = math.exp(scores[i, j] / tau) / total if labels[j] != labels[i] else 0.0
            assert weights[i, j] == pytest.approx(expected, rel=1e-9, abs=1e-300)
            entropy -= expected * math.log(expected) if expected > 1e-300 else 0.0
        assert numbers[i] == pytest.approx(math.exp(entropy), rel=1e-6)
        assert 1 - 1e-9 <= numbers[i] <= negative[i].sum() + 1e-9


@settings(deadline=None)
@given(st.integers(0, 999), LABELS, TAUS)
def test_the_scaled_loss_is_its_loop_and_stays_near_the_triplet(seed, labels, tau):
    scores, positive, negative = case(seed, labels)
    terms, hinges = [], []
    for a, p in zip(*np.nonzero(positive), strict=True):
        others = [scores[a, n] for n in range(len(labels)) if negative[a, n]]
        if others:
            exact = math.log1p(sum(math.exp((s - scores[a, p]) / tau) for s in others))
            terms.append(tau * exact)
            hinges.append(max(0.0, max(others) - scores[a, p]))
    loss, triplet = scaled_info_nce(scores, positive, negative, tau), hardest_triplet(scores, positive, negative)
    assert loss == pytest.approx(sum(terms) / len(terms), rel=1e-9)
    assert triplet == pytest.approx(sum(hinges) / len(hinges), abs=1e-12)
    # The bound of the docstring, pair by pair and so on average.
    assert -1e-12 <= loss - triplet <= tau * math.log(1 + negative.sum(axis=1).max()) + 1e-12


def test_the_limit_is_reached():
    scores, positive, negative = case(3, [0, 0, 1, 1, 2, 2])
    triplet = hardest_triplet(scores, positive, negative)
    gaps = [scaled_info_nce(scores, positive, negative, tau) - triplet for tau in (1.0, 0.1, 0.01, 1e-4)]
    assert triplet > 0
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-4


def test_it_is_the_loss_that_trains():
    """The same value as ``losses.info_nce`` times tau."""
    torch = pytest.importorskip("torch")
    from retrieval.losses.info_nce import info_nce

    vectors = np.random.default_rng(0).standard_normal((8, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    numbers = np.array([0, 0, 0, 1, 1, 2, 2, 3])
    alike = numbers[:, None] == numbers[None]
    positive = alike & ~np.eye(8, dtype=bool)
    expected = float(info_nce(torch.from_numpy(vectors), torch.from_numpy(numbers), temperature=0.2))
    assert scaled_info_nce(vectors @ vectors.T, positive, ~alike, 0.2) == pytest.approx(0.2 * expected, rel=1e-9)


def test_a_small_temperature_leaves_one_negative_and_a_large_one_all():
    scores, _, negative = case(0, [0, 0, 1, 1, 1, 1])
    assert effective_number(negative_weights(scores, negative, 1e-4)) == pytest.approx([1] * 6)
    assert effective_number(negative_weights(scores, negative, 1e4)) == pytest.approx([4, 4, 2, 2, 2, 2], rel=1e-4)


def test_an_anchor_without_negatives_has_none():
    weights = negative_weights(np.zeros((1, 2)), np.zeros((1, 2), bool), 0.1)
    assert weights.tolist() == [[0, 0]]
    assert np.isnan(effective_number(weights)).all()


def test_bad_values_are_refused():
    scores, positive, negative = case(0, [0, 0, 1])
    with pytest.raises(ValueError, match="temperature"):
        negative_weights(scores, negative, 0)
    with pytest.raises(ValueError, match="do not fit"):
        negative_weights(scores, negative[:2], 0.1)
    with pytest.raises(ValueError, match="do not fit"):
        scaled_info_nce(scores, positive[:2], negative, 0.1)
    with pytest.raises(ValueError, match="both a positive and a negative"):
        hardest_triplet(scores, np.zeros_like(positive), negative)
