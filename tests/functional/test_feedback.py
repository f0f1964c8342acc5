"""Directions from examples and judgements, against the systems they solve."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import BadValue
from retrieval.functional.feedback import rocchio, taught


def units(count: int, dimension: int, seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, dimension))
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(0, 6), st.integers(2, 9), st.integers(0, 999))
def test_rocchio_is_the_formula_and_does_not_depend_on_the_order(p: int, n: int, dimension: int, seed: int) -> None:
    like, unlike = units(p, dimension, seed), units(n, dimension, seed + 1)
    expected = [
        sum(0.75 * v[d] for v in like) / p - sum(0.15 * v[d] for v in unlike) / max(n, 1) for d in range(dimension)
    ]
    length = sum(value * value for value in expected) ** 0.5
    got = rocchio(like, unlike)
    np.testing.assert_allclose(got, np.array(expected) / length, atol=1e-5)
    np.testing.assert_allclose(got, rocchio(like[::-1], unlike[::-1]), atol=1e-6)


def test_one_example_is_itself_and_more_move_towards_and_away() -> None:
    like, unlike = units(2, 16, 3), units(1, 16, 4)
    np.testing.assert_allclose(rocchio(like[:1]), like[0], atol=1e-6)
    assert rocchio(like) @ like[1] > rocchio(like[:1]) @ like[1]
    assert rocchio(like[:1], unlike) @ unlike[0] < like[0] @ unlike[0]


@pytest.mark.filterwarnings("error")
def test_examples_that_cancel_out_are_refused() -> None:
    one = units(1, 8, 0)
    with pytest.raises(BadValue, match="cancel"):
        rocchio(np.concatenate([one, -one]))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 12), st.integers(2, 9), st.floats(0.05, 20), st.integers(0, 999))
def test_taught_solves_the_least_squares_problem_it_names(m: int, dimension: int, strength: float, seed: int) -> None:
    query, seen = units(1, dimension, seed)[0], units(m, dimension, seed + 1)
    relevant = np.random.default_rng(seed).integers(0, 2, m).astype(float)
    # The prior as further rows of an ordinary least-squares problem.
    rows = np.concatenate([seen, np.sqrt(strength) * np.eye(dimension)])
    weights = np.linalg.lstsq(rows, np.concatenate([relevant, np.sqrt(strength) * query]), rcond=None)[0]
    if np.linalg.norm(weights) > 1e-3:
        expected = weights / np.linalg.norm(weights)
        np.testing.assert_allclose(taught(query, seen, relevant, strength), expected, atol=1e-4)


def test_judgements_move_the_ranking_their_way_and_none_moves_nothing() -> None:
    query, seen = units(1, 32, 5)[0], units(2, 32, 6)
    np.testing.assert_allclose(taught(query, np.empty((0, 32)), np.empty(0)), query, atol=1e-6)
    after = taught(query, seen, np.array([1.0, 0.0]))
    assert after @ seen[0] > query @ seen[0]
    near = 0.9 * query + 0.4 * seen[1]
    near /= np.linalg.norm(near)
    assert taught(query, near[None], np.zeros(1)) @ near < query @ near


def test_judging_the_same_again_goes_on_towards_it() -> None:
    query, seen = units(1, 8, 7)[0], units(1, 8, 8)
    scores = [float(taught(query, np.repeat(seen, n, 0), np.ones(n)) @ seen[0]) for n in (1, 2, 8)]
    assert scores == sorted(scores)
    assert scores[0] < scores[-1]
