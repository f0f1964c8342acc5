"""The neighbours' vote against a loop."""

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.errors import RetrievalError
from retrieval.evaluation.knn import knn_accuracy
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.topk import exact_topk


def by_loop(database, queries, ids, own, k, temperature):
    """Each query's winner, votes summed one by one."""
    answers = []
    matches = exact_topk(queries, database.vectors, ids, len(ids))
    label = dict(zip(ids.tolist(), database.numbers.tolist(), strict=True))
    for row in range(len(queries)):
        votes = defaultdict(float)
        found = [(key, score) for key, score in matches.row(row) if own is None or key != own[row]]
        for key, score in found[:k]:
            votes[label[key]] += math.exp(score / temperature)
        # Sums of equal votes in another order differ in the last digits.
        best = max(votes.values())
        answers.append(min(name for name, votes_of in votes.items() if votes_of >= best * (1 - 1e-12)))
    return answers


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 30), st.integers(1, 40), st.sampled_from([0.07, 1.0]), st.booleans())
def test_equals_its_loop(seed, count, k, temperature, leave_one_out):
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((count, 4)).astype(np.float32)
    numbers = random.integers(3, size=count)
    numbers[:2] = 1
    ids = random.permutation(99)[:count].astype(np.int64)
    database = LabelledVectors(vectors, numbers, ids)
    if leave_one_out:
        found = knn_accuracy(database, k=k, temperature=temperature)
        expected = by_loop(database, vectors, ids, ids, k, temperature)
    else:
        queries = random.standard_normal((7, 4)).astype(np.float32)
        found = knn_accuracy(database, LabelledVectors(queries, np.ones(7, np.int64)), k=k, temperature=temperature)
        expected = by_loop(database, queries, ids, None, k, temperature)
    assert found.predictions.tolist() == expected


def test_near_votes_weigh_more_by_hand():
    """Cosines 1, 0.5, 0.5 with tau 1: e for class 3 beats 2 sqrt(e) at no tau below 0.72, but loses at tau 1."""
    vectors = np.array([[1, 0], [0.5, np.sqrt(0.75)], [0.5, -np.sqrt(0.75)]], np.float32)
    database = LabelledVectors(vectors, np.array([3, 1, 1]))
    query = LabelledVectors(np.array([[1, 0]], np.float32), np.array([1]))
    assert knn_accuracy(database, query, k=3, temperature=1.0).predictions.tolist() == [1]
    assert knn_accuracy(database, query, k=3, temperature=0.07).predictions.tolist() == [3]
    assert knn_accuracy(database, query, k=1, temperature=1.0).predictions.tolist() == [3]


def test_equal_votes_go_to_the_lowest_number():
    database = LabelledVectors(np.ones((2, 2), np.float32), np.array([8, 5]))
    query = LabelledVectors(np.ones((1, 2), np.float32), np.array([8]))
    assert knn_accuracy(database, query, k=2).predictions.tolist() == [5]


def test_a_small_temperature_does_not_overflow():
    database = LabelledVectors(np.eye(3, dtype=np.float32), np.array([0, 1, 1]))
    query = LabelledVectors(np.array([[0, 1, 0.9]], np.float32), np.array([1]))
    found = knn_accuracy(database, query, k=3, temperature=1e-4)
    assert found.predictions.tolist() == [1]
    assert found.accuracy.mean == 1


def test_queries_that_nobody_could_answer_are_left_out_and_counted():
    database = LabelledVectors(np.eye(4, dtype=np.float32) + 0.1, np.array([0, 0, 1, 2]))
    alone = knn_accuracy(database, k=2)
    assert alone.excluded == 2
    assert alone.accuracy.queries == 2
    queries = LabelledVectors(np.eye(4, dtype=np.float32)[:2], np.array([0, 9]))
    assert knn_accuracy(database, queries, k=1).excluded == 1
    with pytest.raises(RetrievalError, match="nothing to measure"):
        knn_accuracy(database, LabelledVectors(np.ones((1, 4), np.float32), np.array([9])))


def test_bad_options_are_refused():
    database = LabelledVectors(np.eye(2, dtype=np.float32), np.array([0, 0]))
    with pytest.raises(ValueError, match="temperature"):
        knn_accuracy(database, temperature=0)
    with pytest.raises(ValueError, match="k is 0"):
        knn_accuracy(database, LabelledVectors(np.ones((1, 2), np.float32), np.array([0])), k=0)
