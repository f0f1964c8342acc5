"""Diagnostics against loops in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.functional.diagnostics import (
    SAMPLE,
    alignment,
    dimension_std,
    effective_rank,
    sample,
    singular_values,
    tolerance,
    uniformity,
)


def rows(seed: int, count: int = 9, dimension: int = 5) -> Tensor:
    return normalize(torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed)), dim=1)


def looped_alignment(x: NDArray[np.float64], labels: list[int], alpha: float) -> float:
    terms = []
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            if labels[i] == labels[j] >= 0:
                terms.append(math.dist(x[i], x[j]) ** alpha)
    return sum(terms) / len(terms) if terms else math.nan


def looped_uniformity(x: NDArray[np.float64], t: float) -> float:
    terms = [math.exp(-t * math.dist(x[i], x[j]) ** 2) for i in range(len(x)) for j in range(i + 1, len(x))]
    return math.log(sum(terms) / len(terms))


@settings(deadline=None)
@given(
    seed=st.integers(0, 999),
    labels=st.lists(st.integers(-1, 2), min_size=2, max_size=12),
    alpha=st.sampled_from([1.0, 2.0, 3.0]),
    t=st.sampled_from([0.5, 2.0, 8.0]),
)
def test_alignment_and_uniformity_are_their_loops(seed: int, labels: list[int], alpha: float, t: float) -> None:
    x = rows(seed, len(labels))
    exact = x.double().numpy()
    assert float(alignment(x, torch.tensor(labels), alpha)) == pytest.approx(
        looped_alignment(exact, labels, alpha), rel=1e-9, nan_ok=True
    )
    assert float(uniformity(x, t)) == pytest.approx(looped_uniformity(exact, t), rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(seed=st.integers(0, 999), labels=st.lists(st.integers(-1, 2), min_size=2, max_size=12))
def test_tolerance_is_the_mean_cosine_of_positives(seed: int, labels: list[int]) -> None:
    x = rows(seed, len(labels)).double()
    terms = [
        float(x[i] @ x[j]) for i in range(len(labels)) for j in range(i + 1, len(labels)) if labels[i] == labels[j] >= 0
    ]
    expected = sum(terms) / len(terms) if terms else math.nan
    assert float(tolerance(x, torch.tensor(labels))) == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_degenerate_embeddings() -> None:
    point = rows(0, 1).expand(6, 5)
    labels = torch.zeros(6, dtype=torch.int64)
    assert float(alignment(point, labels)) == 0
    assert float(uniformity(point)) == pytest.approx(0, abs=1e-12)
    assert float(effective_rank(point)) == pytest.approx(1, abs=1e-4)
    assert torch.equal(dimension_std(point), torch.zeros(5, dtype=torch.float64))
    assert math.isnan(float(alignment(point, torch.arange(6))))
    assert math.isnan(float(uniformity(point[:1])))
    assert math.isnan(float(effective_rank(torch.zeros(3, 4))))
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert float(uniformity(opposite)) == pytest.approx(-8)
    assert float(alignment(opposite, torch.zeros(2))) == pytest.approx(4)
    # A large t underflows in the naive form.
    assert float(uniformity(opposite, 500.0)) == pytest.approx(-2000)


def looped_rank(x: NDArray[np.float64]) -> float:
    sigma = np.linalg.svd(x, compute_uv=False)
    entropy = 0.0
    for value in sigma:
        p = value / sum(sigma) + 1e-7
        entropy -= p * math.log(p)
    return math.exp(entropy)


@settings(deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 12), dimension=st.integers(1, 12), centred=st.booleans())
def test_effective_rank_is_rankme(seed: int, count: int, dimension: int, centred: bool) -> None:
    x = torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed)) + 1
    exact = x.double().numpy()
    if centred and count > 1:
        exact = exact - exact.mean(0)
    elif centred:
        return
    assert float(effective_rank(x, centred=centred)) == pytest.approx(looped_rank(exact), rel=1e-6)
    np.testing.assert_allclose(
        singular_values(x, centred=centred).numpy(), np.linalg.svd(exact, compute_uv=False), rtol=1e-6, atol=1e-9
    )


def test_effective_rank_counts_directions() -> None:
    basis = torch.eye(8)[:3].repeat(4, 1)
    assert float(effective_rank(basis)) == pytest.approx(3, abs=1e-3)
    assert float(effective_rank(torch.eye(8))) == pytest.approx(8, abs=1e-3)


def test_dimension_std_is_the_loop() -> None:
    x = rows(3)
    for d in range(x.shape[1]):
        column = [float(value) for value in x[:, d].double()]
        mean = sum(column) / len(column)
        expected = math.sqrt(sum((v - mean) ** 2 for v in column) / (len(column) - 1))
        assert float(dimension_std(x)[d]) == pytest.approx(expected, rel=1e-9)


def test_half_precision_and_no_gradient() -> None:
    x = rows(1).to(torch.bfloat16).requires_grad_()
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 3])
    for value in (alignment(x, labels), uniformity(x), effective_rank(x), dimension_std(x).mean()):
        assert value.dtype == torch.float64
        assert not value.requires_grad


def test_sample_is_fixed() -> None:
    assert torch.equal(sample(5), torch.arange(5))
    drawn = sample(10_000)
    assert len(drawn) == len(drawn.unique()) == SAMPLE
    assert torch.equal(drawn, sample(10_000))
    assert torch.equal(drawn, drawn.sort().values)
    assert not torch.equal(drawn, sample(10_000, seed=1))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="rows and columns"):
        uniformity(torch.zeros(3))
    with pytest.raises(ValueError, match="do not fit"):
        alignment(torch.zeros(3, 2), torch.zeros(2))
    with pytest.raises(ValueError, match="of nothing"):
        effective_rank(torch.zeros(0, 4))
    with pytest.raises(ValueError, match="no standard deviation"):
        dimension_std(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="cannot be drawn"):
        sample(5, 0)
