"""What decides whether a query is told that nothing like it is here: the margin, or the cosine."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from retrieval.core.types import Matches
from retrieval.evaluation.calibration import Calibration
from retrieval.functional.dense_topk import dense_topk
from retrieval.vectors import DamagedRows
from retrieval.workflows.calibrating import LabelledSpace, calibrate_among
from retrieval.workflows.opened import Calibrated

LABELS, EACH, LABELLED = 20, 50, 5


class Index:
    """Vectors in memory, searched exactly; ids are their places. Some rows are damaged, some are gone."""

    def __init__(self, vectors: np.ndarray, damaged: tuple[int, ...] = (), gone: tuple[int, ...] = ()) -> None:
        self.vectors = vectors
        self.ids = np.arange(len(vectors))
        self.bad, self.gone = np.array(damaged, np.int64), np.array(gone, np.int64)
        self.store: Any = self

    def __len__(self) -> int:
        return len(self.ids)

    def missing(self, ids: np.ndarray) -> np.ndarray:
        return np.intersect1d(ids, self.gone)

    def damaged(self, ids: np.ndarray) -> list[np.ndarray]:
        return [np.intersect1d(ids, self.bad)]

    def read(self, ids: np.ndarray) -> np.ndarray:
        if np.isin(ids, self.gone).any():
            raise KeyError(ids)
        if np.isin(ids, self.bad).any():
            raise DamagedRows(np.intersect1d(ids, self.bad))
        return self.vectors[ids]

    def search(self, queries: np.ndarray, k: int) -> Matches:
        return dense_topk(queries, self.vectors, self.ids, k)


def told(calibration: Calibration, index: Index, queries: np.ndarray) -> list[bool | None]:
    """Of each of these queries from elsewhere."""
    calibrated = Calibrated(calibration, index)  # type: ignore[arg-type]
    found = index.search(queries, calibrated.depth)
    return calibrated.nothing_like_this([found.row(n) for n in range(len(queries))])


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def world() -> SimpleNamespace:
    """Fifty images of each of twenty labels, five of them labelled, and queries that have matches among them."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((LABELS, 64))
    numbers = np.repeat(np.arange(LABELS), EACH)
    vectors = unit(centres[numbers] + 0.8 * random.standard_normal((len(numbers), 64)))
    queries = unit(centres + 0.8 * random.standard_normal((LABELS, 64)))
    strange = unit(random.standard_normal((LABELS, 64)))
    return SimpleNamespace(vectors=vectors, numbers=numbers, queries=queries, strange=strange)


def calibrated_on(world: SimpleNamespace, places: np.ndarray, *, nearly_all: bool) -> Calibration:
    names = [str(n) for n in range(LABELS)]
    known = LabelledSpace(places, world.numbers[places], names, world.vectors[places], nearly_all)
    return calibrate_among(known, np.arange(len(places))).calibration


def test_where_few_are_labelled_the_cosine_decides_and_matches_are_not_denied(world: SimpleNamespace) -> None:
    labelled = np.flatnonzero(np.arange(len(world.numbers)) % EACH < LABELLED)
    index = Index(world.vectors)
    few = calibrated_on(world, labelled, nearly_all=False)
    assert few.margin is None
    assert np.mean(told(few, index, world.queries)) <= 0.05  # type: ignore[arg-type]
    assert np.mean(told(few, index, world.strange)) >= 0.9  # type: ignore[arg-type]
    # Measured among the labelled alone a margin would deny them all: among so many more it is not asked.
    margin = calibrated_on(world, labelled, nearly_all=True)
    assert margin.margin is not None
    assert told(margin, index, world.queries) == told(few, index, world.queries)
    believed = Calibration("platt", threshold=0.0, margin=margin.margin, margin_among=len(world.numbers))
    assert np.mean(told(believed, index, world.queries)) >= 0.9  # type: ignore[arg-type]


def test_the_margin_decides_until_the_gallery_has_grown_by_more_than_a_quarter(world: SimpleNamespace) -> None:
    whole = calibrated_on(world, np.arange(len(world.numbers)), nearly_all=True)
    assert whole.margin_among == len(world.numbers) == 1000
    # By cosine everyone would be told.
    one_or_other = Calibration("platt", threshold=1.01, margin=whole.margin, margin_among=800)
    assert np.mean(told(one_or_other, Index(world.vectors), world.queries)) <= 0.1  # type: ignore[arg-type]
    assert np.mean(told(one_or_other, Index(world.vectors), world.strange)) >= 0.9  # type: ignore[arg-type]
    grown = np.concatenate([world.vectors, world.strange[:1]])
    assert told(one_or_other, Index(grown), world.queries) == [True] * LABELS


def test_who_has_twelve_near_copies_here_is_not_told_that_there_is_nothing(world: SimpleNamespace) -> None:
    random = np.random.default_rng(1)
    copies = unit(world.strange[0] + 0.006 * random.standard_normal((12, 64)))
    asked = unit(world.strange[:1] + 0.006 * random.standard_normal((1, 64)))
    index = Index(np.concatenate([world.vectors, copies]))
    calibration = Calibration("platt", threshold=0.5, margin=0.1, margin_among=len(index))
    (scores,) = index.search(asked, 5).scores
    assert scores.min() > 0.99
    assert told(calibration, index, asked) == [False]
    # Their crowding is as high as their cosine to the query: margin alone would say that nothing is there.
    assert (scores - index.search(copies[:1], 11).scores[0, 1:].mean()).max() < 0.1


def test_a_damaged_or_missing_match_silences_only_the_queries_that_hang_on_it(world: SimpleNamespace) -> None:
    sound = Index(world.vectors)
    calibration = Calibration("platt", threshold=0.0, margin=1.5, margin_among=1000)
    queries = world.queries[:3]
    assert told(calibration, sound, queries) == [True] * 3
    first, second = (int(sound.search(queries, 1).ids[n, 0]) for n in (0, 1))
    assert told(calibration, Index(world.vectors, (first,), (second,)), queries) == [None, None, True]
    # Where another match reaches the threshold, that one is not needed.
    low = Calibration("platt", threshold=0.0, margin=-1.0, margin_among=1000)
    assert told(low, Index(world.vectors, (first,), (second,)), queries) == [False] * 3


def test_without_a_match_there_is_nothing_and_without_a_calibration_nobody_knows() -> None:
    index: Any = Index(unit(np.eye(3)))
    calibration = Calibration("platt", threshold=0.5, margin=0.0, margin_among=3)
    assert Calibrated(calibration, index).nothing_like_this([[]]) == [True]
    assert Calibrated().nothing_like_this([[], [(1, 0.9)]]) == [None, None]
    assert Calibrated(calibration, index).nothing_by_cosine([None, 0.4, 0.5]) == [True, True, False]
