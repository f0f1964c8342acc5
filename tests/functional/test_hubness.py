"""Hubness against loops and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.hubness import k_occurrence, skewness


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(1, 12), st.integers(1, 4))
def test_k_occurrence_is_a_count(seed, count, k):
    neighbours = np.random.default_rng(seed).integers(-1, count, size=(7, k))
    expected = [sum(int(place == row) for places in neighbours for place in places) for row in range(count)]
    assert k_occurrence(neighbours, count).tolist() == expected
    assert k_occurrence(neighbours, count).sum() == np.count_nonzero(neighbours >= 0)


def test_places_outside_are_refused():
    with pytest.raises(ValueError, match="none of the 3 rows"):
        k_occurrence(np.array([[3]]), 3)


def test_skewness_by_hand():
    # Mean 1, deviations -1, -1, -1, 3: variance 3, third moment (−1 − 1 − 1 + 27) / 4 = 6.
    assert skewness(np.array([0, 0, 0, 4])) == pytest.approx(6 / 3**1.5)
    assert skewness(np.array([4, 4, 4, 0])) == pytest.approx(-6 / 3**1.5)
    assert skewness(np.array([1, 2, 3])) == pytest.approx(0)
    assert skewness(np.array([5, 5, 5])) == 0
    assert math.isnan(skewness(np.array([], np.int64)))
