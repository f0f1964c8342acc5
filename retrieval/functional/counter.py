"""Random numbers by counter: a draw is a function of what it is for, and of nothing that was drawn before.

What belongs to one example is the same whatever else is in its batch, however many processes and threads there are,
and wherever the result is used. Each key is a generator of its own, SplitMix64 (Steele, Lea and Flood, "Fast
splittable pseudorandom number generators", OOPSLA 2014, https://doi.org/10.1145/2660193.2660195), whose n-th output
needs no earlier one; the idea is that of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Keys = NDArray[np.uint64]
"""One state of the generator for each of B examples."""

_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd: all counters are met
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def keys_of(*parts: ArrayLike) -> Keys:
    """One key for each combination of parts, e.g. seed, epoch, example; their order matters.

    Args:
        parts: integers of at least 0, or arrays of them that broadcast to [B].

    Returns:
        [B] uint64. Two different combinations meet with a chance of 2^-64.

    Raises:
        ValueError: a part is negative or no integer.
    """
    key = np.zeros(1, np.uint64)
    for part in parts:
        values = np.atleast_1d(np.asarray(part))
        if values.dtype.kind not in "iu" or (values.size and int(values.min()) < 0):
            raise ValueError(f"A key is made of integers of at least 0, not of {part!r}.")
        key = _output(key ^ _output(values.astype(np.uint64), 0), 0)
    return key


def uniform(keys: Keys, first: int, count: int) -> NDArray[np.float64]:
    """[B, count] draws from [0, 1), multiples of 2^-53: numbers ``first``, ``first + 1``, ... of each key's generator.

    Raises:
        ValueError: ``first`` or ``count`` is negative.
    """
    if first < 0 or count < 0:
        raise ValueError(f"Draws {first} to {first + count} do not exist.")
    bits = _output(keys[:, None], np.arange(first, first + count, dtype=np.uint64)[None])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _output(state: Keys, number: Keys | int) -> Keys:
    """What SplitMix64 gives as its output ``number`` (from 0) when it starts in ``state``."""
    mixed: Keys = state + _GAMMA * (np.asarray(number, np.uint64) + np.uint64(1))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))
