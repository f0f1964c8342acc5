"""PCA against numpy's singular value decomposition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from retrieval.functional import pca
from retrieval.functional.pca import pca_start


def features(seed: int, count: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.diag(torch.arange(1.0, width + 1)) @ torch.randn(width, width, generator=generator)
    return torch.randn(count, width, generator=generator) @ mixing + 3


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 999), data=st.data(), whitening=st.sampled_from([0.0, 0.5, 1.0]))
def test_is_the_singular_value_decomposition(seed: int, data: st.DataObject, whitening: float) -> None:
    width = data.draw(st.integers(2, 8))
    dimension = data.draw(st.integers(1, width))
    x = features(seed, 40, width)
    start = pca_start(x, dimension, whitening=whitening)
    exact = x.double().numpy()
    centred = exact - exact.mean(0)
    _, sigma, directions = np.linalg.svd(centred, full_matrices=False)
    variances = sigma**2 / (len(x) - 1)
    np.testing.assert_allclose(start.variances.numpy(), variances[:dimension], rtol=1e-6)
    projected = (x @ start.weight.T + start.bias).double().numpy()
    for d in range(dimension):
        direction = directions[d] * np.sign(directions[d][np.abs(directions[d]).argmax()])
        expected = centred @ direction / variances[d] ** (whitening / 2)
        np.testing.assert_allclose(projected[:, d], expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max())


def test_whitening_makes_variances_one() -> None:
    x = features(0, 200, 6)
    start = pca_start(x, 4, whitening=1.0)
    projected = x @ start.weight.T + start.bias
    torch.testing.assert_close(projected.T.cov(), torch.eye(4), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(projected.mean(0), torch.zeros(4), rtol=0, atol=1e-4)


@pytest.mark.parametrize("whitening", [0.0, 1.0])
def test_fewer_examples_than_dimensions(whitening: float) -> None:
    """Five rows have four directions with variance; the others are at right angles, seeded, and of the last scale."""
    x = features(1, 5, 12)
    start = pca_start(x, 8, whitening=whitening, seed=3)
    assert int((start.variances > 0).sum()) == 4
    scale = start.weight.norm(dim=1, keepdim=True)
    angles = (start.weight / scale) @ (start.weight / scale).T
    torch.testing.assert_close(angles, torch.eye(8), rtol=0, atol=1e-5)
    torch.testing.assert_close(scale[4:], scale[3].expand(4, 1))
    assert torch.equal(start.weight, pca_start(x, 8, whitening=whitening, seed=3).weight)
    other = pca_start(x, 8, whitening=whitening, seed=4)
    assert torch.equal(start.weight[:4], other.weight[:4])
    assert not torch.allclose(start.weight[4:], other.weight[4:])


def test_features_without_variance() -> None:
    start = pca_start(torch.ones(6, 4), 3)
    torch.testing.assert_close(start.weight @ start.weight.T, torch.eye(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.ones(1, 4) @ start.weight.T + start.bias, torch.zeros(1, 3), rtol=0, atol=1e-5)


def test_signs_do_not_depend_on_the_order_of_rows() -> None:
    x = features(2, 60, 7)
    one, two = pca_start(x, 5), pca_start(x.flip(0), 5)
    torch.testing.assert_close(one.weight, two.weight, rtol=1e-4, atol=1e-5)
    largest = one.weight.gather(1, one.weight.abs().argmax(1, keepdim=True))
    assert bool((largest > 0).all())


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = features(4, 50, 6)
    whole = pca_start(x, 6)
    monkeypatch.setattr(pca, "BLOCK", 7)
    torch.testing.assert_close(pca_start(x, 6).weight, whole.weight, rtol=1e-5, atol=1e-6)


def test_the_random_state_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    pca_start(features(1, 4, 9), 9)
    assert torch.equal(torch.rand(1), expected)


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="two rows"):
        pca_start(torch.ones(1, 4), 2)
    with pytest.raises(ValueError, match="no 5 principal"):
        pca_start(torch.ones(9, 4), 5)
    with pytest.raises(ValueError, match="0 to 1"):
        pca_start(torch.ones(9, 4), 2, whitening=2.0)
    with pytest.raises(ValueError, match="not finite"):
        pca_start(torch.full((9, 4), torch.nan), 2)
