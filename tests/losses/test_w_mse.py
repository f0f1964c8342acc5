"""W-MSE against a loop from the paper, against the authors' code, and where it has no value."""

import math

import pytest
import torch
from torch.nn import functional

from retrieval.losses.w_mse import SingularCovariance, w_mse, whitened
from tests.losses import loops


def embeddings(views=2, rows=20, dimension=3, seed=0, dtype=torch.float64):
    """Views of the same rows, correlated dimensions far from the origin."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(rows, dimension, generator=generator, dtype=torch.float64)
    mixing = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    noise = torch.randn(views, rows, dimension, generator=generator, dtype=torch.float64)
    return ((base + 0.4 * noise) @ mixing + 5).to(dtype)


def cholesky(matrix):
    """Lower triangular factor, entry by entry."""
    size = len(matrix)
    factor = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - math.fsum(factor[i][k] * factor[j][k] for k in range(j))
            factor[i][j] = math.sqrt(rest) if i == j else rest / factor[j][j]
    return factor


def white(rows, shrinkage):
    """Forward substitution with the factor of the covariance."""
    size = len(rows[0])
    centred = [[x - loops.mean(loops.column(rows, d)) for d, x in enumerate(row)] for row in rows]
    covariance = [
        [
            (1 - shrinkage) * loops.dot(loops.column(centred, i), loops.column(centred, j)) / (len(rows) - 1)
            + shrinkage * (i == j)
            for j in range(size)
        ]
        for i in range(size)
    ]
    factor, result = cholesky(covariance), []
    for row in centred:
        solved = []
        for i in range(size):
            solved.append((row[i] - loops.dot(factor[i][:i], solved)) / factor[i][i])
        result.append(loops.unit(solved))
    return result


def by_the_paper(views, order, size, shrinkage=0.0):
    terms = []
    for start in range(0, len(order) // size * size, size):
        rows = order[start : start + size]
        slices = [white([view[i] for i in rows], shrinkage) for view in views]
        for a in range(len(views)):
            for b in range(a + 1, len(views)):
                terms += [2 - 2 * loops.dot(x, y) for x, y in zip(slices[a], slices[b], strict=True)]
    return loops.mean(terms)


@pytest.mark.parametrize(("views", "rows", "size", "shrinkage"), [(2, 20, 20, 0), (2, 20, 8, 0), (4, 13, 6, 0.1)])
def test_equals_the_paper(views, rows, size, shrinkage):
    z = embeddings(views, rows)
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(1))
    expected = by_the_paper(z.tolist(), order.tolist(), size, shrinkage)
    assert w_mse(z, order, size=size, shrinkage=shrinkage).item() == pytest.approx(expected, rel=1e-9)


def authors(h, order, views, size):
    """htdt/self-supervised, ``WMSE.forward`` and ``Whitening2d``, with today's names of the solvers."""
    count = len(order)
    z = torch.empty_like(h)
    for idx in order.view(-1, size):
        for i in range(views):
            x = h[idx + i * count]
            xn = x - x.mean(0)
            f_cov = torch.mm(xn.T, xn) / (len(x) - 1)
            eye = torch.eye(x.shape[1], dtype=x.dtype)
            inv_sqrt = torch.linalg.solve_triangular(torch.linalg.cholesky(f_cov), eye, upper=False)
            z[idx + i * count] = functional.conv2d(xn[:, :, None, None], inv_sqrt[:, :, None, None])[:, :, 0, 0]
    loss = 0
    for i in range(views - 1):
        for j in range(i + 1, views):
            x0, x1 = (functional.normalize(z[k * count : (k + 1) * count]) for k in (i, j))
            loss = loss + 2 - 2 * (x0 * x1).sum(dim=-1).mean()
    return loss / (views * (views - 1) // 2)


@pytest.mark.parametrize("views", [2, 4])
def test_is_the_authors_code(views):
    z = embeddings(views, 24, 4).requires_grad_()
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    ours, theirs = w_mse(z, order, size=8), authors(z.flatten(0, 1), order, views, 8)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(*(torch.autograd.grad(loss, z)[0] for loss in (ours, theirs)), rtol=1e-8, atol=1e-10)


def test_the_gradient_is_the_derivative():
    order = torch.tensor([3, 0, 2, 9, 1, 8, 7, 4, 6, 5])
    z = embeddings(3, 10, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda views: w_mse(views, order, size=5), (z,))


def test_whitened_rows_have_the_identity_as_covariance():
    rows = whitened(embeddings(2, 40, 5).unflatten(1, (2, 20)))
    assert rows.shape == (2, 2, 20, 5)
    for one in rows.flatten(0, 1):
        torch.testing.assert_close(one.T.cov(), torch.eye(5, dtype=torch.float64))
        torch.testing.assert_close(one.mean(0), torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-12)


def test_every_view_has_the_same_rows_in_a_slice():
    """A loss that drew the slices of each view apart would find other whitenings."""
    one = embeddings(1, 20, 3)
    assert w_mse(torch.cat([one, one]), size=10) < 1e-12
    order = torch.arange(20).roll(3)
    moved = torch.stack([embeddings()[0], embeddings()[1]])
    assert w_mse(moved, order, size=5) != w_mse(moved, size=5)
    torch.testing.assert_close(w_mse(moved[:, order], size=5), w_mse(moved, order, size=5))


def test_rows_beyond_the_last_slice_take_no_part():
    z = embeddings(2, 23).requires_grad_()
    loss = w_mse(z, size=10)
    (gradient,) = torch.autograd.grad(loss, z)
    torch.testing.assert_close(loss, w_mse(z[:, :20], size=10))
    assert not gradient[:, 20:].any()
    assert gradient[:, :20].any(dim=2).all()


def test_autocast_changes_nothing_and_half_precision_is_widened():
    z = embeddings(dtype=torch.float32)
    plain = w_mse(z, size=10)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(w_mse(z, size=10), plain)
    half = z.bfloat16()
    assert torch.equal(w_mse(half, size=10), w_mse(half.float(), size=10))
    torch.testing.assert_close(plain.double(), w_mse(embeddings(), size=10), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("broken", ["alike", "few directions", "nan"])
def test_a_singular_covariance_is_said(broken):
    z = embeddings(2, 20)
    z = {
        "alike": torch.ones_like(z),
        "few directions": z[:, :, :1].expand_as(z),
        "nan": z.clone().fill_(math.nan),
    }[broken]
    with pytest.raises(SingularCovariance, match="4 of 4 slices of 10 rows in 3 dimensions"):
        w_mse(z, size=10)
    if broken != "nan":
        assert 0 <= w_mse(z, size=10, shrinkage=1e-3) <= 4


def test_shapes_that_cannot_be():
    for views, size, words in ((1, 10, "two or more"), (2, 3, "no full covariance"), (2, 21, "There are 20 rows")):
        with pytest.raises(ValueError, match=words):
            w_mse(embeddings(views), size=size)
