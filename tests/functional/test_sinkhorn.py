"""Sinkhorn's algorithm against loops from the paper's equations.

lightly's ``sinkhorn`` gives the same numbers wherever exp(score / epsilon) neither overflows nor is 0 for all rows.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional import sinkhorn as module
from retrieval.functional.sinkhorn import sinkhorn


def by_the_paper(scores, epsilon, iterations):
    """Q = Diag(u) exp(C^T Z / epsilon) Diag(v), normalised in turns, prototypes first."""
    q = [[math.exp(value / epsilon) for value in row] for row in scores]
    rows, prototypes = len(q), len(q[0])
    for _ in range(iterations):
        for k in range(prototypes):
            total = math.fsum(q[b][k] for b in range(rows))
            for b in range(rows):
                q[b][k] /= total * prototypes
        for b in range(rows):
            total = math.fsum(q[b])
            for k in range(prototypes):
                q[b][k] /= total * rows
    return [[value * rows for value in row] for row in q]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 9),
    prototypes=st.integers(1, 7),
    epsilon=st.floats(0.03, 1),
    iterations=st.integers(1, 5),
)
def test_equals_the_paper(seed, rows, prototypes, epsilon, iterations):
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.rand(rows, prototypes, generator=generator, dtype=torch.float64) - 1
    expected = by_the_paper(scores.tolist(), epsilon, iterations)
    codes = sinkhorn(scores, epsilon=epsilon, iterations=iterations)
    np.testing.assert_allclose(codes.numpy(), expected, rtol=1e-9, atol=1e-12)


def test_many_rounds_use_all_prototypes_equally():
    scores = torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    codes = sinkhorn(scores, epsilon=0.5, iterations=200)
    torch.testing.assert_close(codes.sum(dim=0), torch.full((4,), 3.0, dtype=torch.float64))
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(12, dtype=torch.float64))


def test_where_all_rows_are_alike_every_code_is_uniform():
    codes = sinkhorn(torch.randn(1, 5, generator=torch.Generator().manual_seed(0)).expand(8, 5))
    torch.testing.assert_close(codes, torch.full((8, 5), 0.2))


@pytest.mark.parametrize("epsilon", [1e-4, 1e-2])
def test_what_underflows_stays_finite(epsilon):
    scores = torch.tensor([[1.0, -1.0, -1.0], [1.0, -1.0, 0.9]])
    codes = sinkhorn(scores, epsilon=epsilon, iterations=3)
    assert torch.isfinite(codes).all()
    torch.testing.assert_close(codes.sum(dim=1), torch.ones(2))


def test_is_computed_in_float32_and_without_gradient():
    scores = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    plain = sinkhorn(scores)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(sinkhorn(scores), plain)
    assert not plain.requires_grad
    half = sinkhorn(scores.bfloat16())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, sinkhorn(scores.bfloat16().float()))


def test_what_cannot_be_is_refused():
    for wrong in ({"epsilon": 0.0}, {"iterations": 0}):
        with pytest.raises(ValueError, match="Sinkhorn needs"):
            sinkhorn(torch.zeros(2, 2), **wrong)


@pytest.mark.parametrize("iterations", [1, 3, 50])
def test_products_and_logarithms_give_the_same_codes(iterations, monkeypatch):
    """In float32, at the widest span that the products are trusted with."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(40, 12, generator=generator)
    scores[0, 0], scores[1, 1] = 0.0, 3.0
    by_products = sinkhorn(scores, epsilon=3 / module.SPAN, iterations=iterations)
    monkeypatch.setattr(module, "SPAN", -1.0)
    monkeypatch.setattr(module, "NARROW", -1.0)
    in_logarithms = sinkhorn(scores, epsilon=3 / 60, iterations=iterations)
    assert not torch.equal(by_products, in_logarithms)
    torch.testing.assert_close(by_products, in_logarithms, rtol=1e-4, atol=1e-7)


def test_no_rows_have_no_codes():
    assert sinkhorn(torch.empty(0, 4)).shape == (0, 4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 40),
    prototypes=st.integers(1, 12),
    far=st.floats(0, 1),
    iterations=st.sampled_from([1, 2, 3, 10, 200]),
)
def test_float32_holds_the_factors_at_the_span_it_is_trusted_with(seed, rows, prototypes, far, iterations):
    """Whichever rows and prototypes are as far apart as they may be."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(rows, prototypes, generator=generator)
    scores[:, torch.rand(prototypes, generator=generator) < far] *= 0.01
    scores[torch.rand(rows, generator=generator) < far] *= 0.01
    scores[0, 0], scores[-1, -1] = 0.0, 1.0
    codes = sinkhorn(scores, epsilon=1.001 / module.NARROW, iterations=iterations)
    exact = sinkhorn(scores.double(), epsilon=1.001 / module.NARROW, iterations=iterations)
    assert codes.dtype == torch.float32
    np.testing.assert_allclose(codes.numpy(), exact.numpy(), rtol=1e-3, atol=1e-6)
