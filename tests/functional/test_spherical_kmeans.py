"""Spherical k-means against loops, and against clusters that lose all their rows."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from retrieval.functional.spherical_kmeans import spherical_kmeans


def nearest(queries, base):
    assert queries.dtype == base.dtype == np.float32
    return (queries @ base.T).argmax(axis=1)


def rows_of(count, dimension=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(count, dimension, generator=generator, dtype=torch.float64), dim=1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def by_loops(rows, start, iterations):
    """Lloyd's rounds; None where a cluster becomes empty, for which the papers' rules differ."""
    centroids = [rows[i] for i in start]

    def assign():
        dots = [[math.fsum(x * y for x, y in zip(row, c, strict=True)) for c in centroids] for row in rows]
        return [max(range(len(centroids)), key=lambda k, values=values: values[k]) for values in dots]

    for _ in range(iterations):
        labels = assign()
        for k in range(len(centroids)):
            own = [row for row, label in zip(rows, labels, strict=True) if label == k]
            if not own:
                return None
            total = [math.fsum(column) for column in zip(*own, strict=True)]
            length = math.sqrt(math.fsum(x * x for x in total))
            centroids[k] = [x / length for x in total]
    labels = assign()
    return (centroids, labels) if len(set(labels)) == len(centroids) else None


def test_equals_lloyds_rounds():
    compared = 0
    for seed in range(20):
        rows = rows_of(30, seed=seed)
        start = torch.randperm(30, generator=generator(seed))[:4].tolist()
        expected = by_loops(rows.tolist(), start, 5)
        if expected is None:
            continue
        found = spherical_kmeans(rows, 4, nearest, generator(seed), iterations=5)
        np.testing.assert_allclose(found.centroids.numpy(), expected[0], rtol=1e-9)
        assert found.labels.tolist() == expected[1]
        assert found.reseeded == 0
        compared += 1
    assert compared >= 15


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 20), data=st.data())
def test_no_cluster_is_ever_empty(seed, count, data):
    """Even where all rows are alike, and every search answers the same."""
    clusters = data.draw(st.integers(1, count))
    distinct = data.draw(st.integers(1, count))
    rows = rows_of(distinct, seed=seed)[torch.arange(count) % distinct]
    found = spherical_kmeans(rows, clusters, nearest, generator(seed))
    assert sorted(set(found.labels.tolist())) == list(range(clusters))
    torch.testing.assert_close(found.centroids.norm(dim=1), torch.ones(clusters, dtype=torch.float64))
    assert found.reseeded >= clusters - distinct


def test_an_empty_cluster_takes_the_row_that_fits_worst():
    """A search that never answers with the second cluster."""
    rows = normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1], [0.0, 1.0]]), dim=1)
    found = spherical_kmeans(rows, 2, lambda queries, base: np.zeros(4, np.int64), generator(), iterations=2)
    assert found.labels.tolist() == [0, 0, 0, 1]
    torch.testing.assert_close(found.centroids[1], rows[3])
    assert found.reseeded == 1


def test_an_answer_that_cannot_be_written_into():
    def frozen(queries, base):
        places = nearest(queries, base)
        places.flags.writeable = False
        return places

    found = spherical_kmeans(rows_of(10), 3, frozen, generator())
    assert torch.equal(found.labels, spherical_kmeans(rows_of(10), 3, nearest, generator()).labels)


def test_rows_that_cancel_keep_their_centroid():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    found = spherical_kmeans(rows, 1, nearest, generator())
    torch.testing.assert_close(found.centroids.norm(dim=1), torch.ones(1))


@pytest.mark.parametrize("clusters", [0, 6])
def test_what_cannot_be_is_refused(clusters):
    with pytest.raises(ValueError, match="cannot make"):
        spherical_kmeans(rows_of(5), clusters, nearest, generator())
