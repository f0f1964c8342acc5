"""Lightly as a further witness, where it agrees with the papers."""

from typing import Any

import torch
from lightly.loss import BarlowTwinsLoss, NTXentLoss, VICRegLoss
from lightly.loss.wmse_loss import Whitening2d, WMSELoss
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.losses.barlow_twins import barlow_twins
from retrieval.losses.info_nce_queries import info_nce_queries
from retrieval.losses.nt_xent import nt_xent
from retrieval.losses.vicreg import vicreg
from retrieval.losses.w_mse import w_mse, whitened


def views(rows: int = 16, dimension: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(rows, dimension, generator=generator)
    noise = torch.randn(rows, dimension, generator=generator)
    return base.clone().requires_grad_(), (base + 0.5 * noise).requires_grad_()


def agree(ours: Tensor, theirs: Tensor, leaves: tuple[Tensor, ...]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad(loss, leaves) for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


def test_nt_xent() -> None:
    leaves = views()
    ours = nt_xent(*(normalize(view, dim=1) for view in leaves), temperature=0.3)
    agree(ours, NTXentLoss(temperature=0.3)(*leaves), leaves)


def test_barlow_twins() -> None:
    leaves = views()
    agree(barlow_twins(*leaves, redundancy=0.02), BarlowTwinsLoss(lambda_param=0.02)(*leaves), leaves)


def test_vicreg() -> None:
    leaves = views()
    theirs = VICRegLoss(lambda_param=10.0, mu_param=20.0, nu_param=2.0)(*leaves)
    agree(vicreg(*leaves, invariance=10.0, variance=20.0, covariance=2.0), theirs, leaves)


def test_info_nce_with_a_queue() -> None:
    """Their bank does not wrap: where a batch does not fit any more, its end is dropped; ours goes on at the start."""
    queries, keys = views()
    loss: Any = NTXentLoss(temperature=0.2, memory_bank_size=(24, 4))
    bank = loss.memory_bank.bank.clone()
    theirs = loss(queries, keys.detach())
    ours = info_nce_queries(
        normalize(queries, dim=1), normalize(keys.detach(), dim=1), bank, temperature=0.2, in_batch=False
    )
    agree(ours, theirs, (queries,))


def test_w_mse() -> None:
    """Their loss in one slice; their whitening keeps running statistics, which it does not use in training."""
    leaves = views()
    theirs = WMSELoss(embedding_dim=4, w_size=16, num_samples=2)(torch.cat(leaves))
    agree(w_mse(torch.stack(leaves), size=16), theirs, leaves)
    torch.testing.assert_close(whitened(leaves[0]), Whitening2d(4)(leaves[0]), rtol=1e-4, atol=1e-4)
