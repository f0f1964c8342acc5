"""Random numbers by counter: SplitMix64's own, and each example's independent of the others'."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.functional.counter import keys_of, uniform

MASK = (1 << 64) - 1


def splitmix64(state: int, count: int) -> list[int]:
    """Vigna's reference, https://prng.di.unimi.it/splitmix64.c, one after the other in Python's integers."""
    outputs = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        outputs.append(z ^ (z >> 31))
    return outputs


def test_the_witness_gives_the_published_numbers() -> None:
    assert splitmix64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(state=st.integers(0, MASK), first=st.integers(0, 50), count=st.integers(0, 20))
def test_draws_are_those_of_splitmix64(state: int, first: int, count: int) -> None:
    wanted = [(output >> 11) / 2**53 for output in splitmix64(state, first + count)[first:]]
    assert uniform(np.array([state], np.uint64), first, count).tolist() == [wanted]


def test_a_key_depends_on_its_own_parts_and_their_order_alone() -> None:
    ids = np.arange(1000)
    keys = keys_of(3, 5, ids)
    assert keys.dtype == np.uint64
    np.testing.assert_array_equal(keys[[7, 400]], keys_of(3, 5, np.array([7, 400])))
    others = [keys_of(5, 3, ids), keys_of(3, 6, ids), keys_of(4, 5, ids), keys_of(3, 5, ids, 0), keys_of(3, 5, ids, 1)]
    assert len(np.unique(np.concatenate([keys, *others]))) == 6000
    # Seed 0, epoch 0, example 0 is as good as any other.
    assert keys_of(0)[0] != 0
    assert keys_of(0)[0] != keys_of(0, 0)[0]


def test_draws_are_even_and_know_nothing_of_their_neighbours() -> None:
    draws = uniform(keys_of(0, 0, np.arange(20_000)), 0, 8)
    assert 0 <= draws.min() < 1e-3
    assert 1 - 1e-3 < draws.max() < 1
    counts = np.stack([np.histogram(column, 20, (0, 1))[0] for column in draws.T])
    # Chi-squared with 19 degrees of freedom: 58 is passed by chance once in 100,000.
    assert (((counts - 1000) ** 2 / 1000).sum(1) < 58).all()
    correlation = np.corrcoef(np.hstack([draws[:-1], draws[1:]]).T)
    assert np.abs(correlation - np.eye(16)).max() < 5 / np.sqrt(20_000)


@pytest.mark.parametrize("part", [-1, np.array([2, -3]), 0.5, "1"])
def test_parts_are_whole_and_not_negative(part: object) -> None:
    with pytest.raises(ValueError, match="integers of at least 0"):
        keys_of(0, part)
    with pytest.raises(ValueError, match="do not exist"):
        uniform(keys_of(0), -1, 2)
