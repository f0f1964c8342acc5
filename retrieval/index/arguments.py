"""What every engine checks before it touches its own state."""

from typing import Any

import numpy as np

from retrieval.core.types import Ids, Vectors
from retrieval.functional.topk import unit_rows
from retrieval.index.blocks import BLOCK


def checked_ids(ids: Any) -> Ids:
    """``ids`` as int64 [n]. Raises ValueError: not integers, not one axis, or beyond int64."""
    array = np.asarray(ids)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"Ids must be one axis of integers, not {array.dtype} of shape {array.shape}.")
    if array.dtype == np.uint64 and int(array.max()) > np.iinfo(np.int64).max:
        raise ValueError("An id is beyond 64-bit signed integers.")
    return array.astype(np.int64, copy=False)


def checked_new_ids(ids: Any) -> Ids:
    """``ids`` for adding. Raises ValueError as ``checked_ids``, and for one that is negative or repeated."""
    array = checked_ids(ids)
    if np.any(array < 0):
        raise ValueError(f"Id {int(array.min())} is negative.")
    if len(np.unique(array)) != len(array):
        raise ValueError("An id stands twice in one batch.")
    return array


def checked_batch(ids: Any, vectors: Any, dimension: int) -> tuple[Ids, Vectors]:
    """What ``add`` was given, as int64 [n] and float32 [n, D].

    Raises:
        ValueError: shapes do not fit, an id is negative or repeated, a vector is zero or not finite.
    """
    ids = checked_new_ids(ids)
    rows = checked_rows(vectors, dimension, "vectors")
    if len(rows) != len(ids):
        raise ValueError(f"{len(ids)} ids do not fit {len(rows)} vectors.")
    return ids, rows


def checked_queries(queries: Any, k: int, dimension: int) -> Vectors:
    """What ``search`` was given, as float32 [Q, D].

    Raises:
        ValueError: shapes do not fit, k < 1, or a query is zero or not finite.
    """
    if k < 1:
        raise ValueError(f"k is {k}, but must be at least 1.")
    return checked_rows(queries, dimension, "queries")


def checked_rows(rows: Any, dimension: int, what: str) -> Vectors:
    """``rows`` as float32 [n, D]. Raises ValueError: another shape, or a row is zero or not finite."""
    # A value beyond float32 becomes infinite and is refused below with a better message than NumPy's warning.
    with np.errstate(over="ignore"):
        array = np.asarray(rows, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != dimension:
        raise ValueError(f"The {what} are of shape {array.shape}, but must be [n, {dimension}].")
    for start in range(0, len(array), BLOCK):
        unit_rows(array[start : start + BLOCK], what)
    return array
