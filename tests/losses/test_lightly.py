"""Lightly as a further witness, where it agrees with the papers."""

from typing import Any

import pytest
import torch
from lightly.loss import BarlowTwinsLoss, DINOLoss, NegativeCosineSimilarity, NTXentLoss, SwaVLoss, VICRegLoss
from lightly.loss.wmse_loss import Whitening2d, WMSELoss
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.functional.multi_crop import mean_over_pairs
from retrieval.functional.sinkhorn import sinkhorn
from retrieval.losses.barlow_twins import barlow_twins
from retrieval.losses.info_nce_queries import info_nce_queries
from retrieval.losses.negative_cosine import negative_cosine
from retrieval.losses.nt_xent import nt_xent
from retrieval.losses.soft_cross_entropy import soft_cross_entropy
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


def test_negative_cosine() -> None:
    """Of BYOL and SimSiam."""
    leaves = views()
    agree(negative_cosine(*leaves), NegativeCosineSimilarity()(*leaves), leaves)


def scores(count: int, rows: int = 16, prototypes: int = 10, seed: int = 0) -> tuple[Tensor, ...]:
    """Cosines of so many views with prototypes."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(count, rows, prototypes, generator=generator)
    return tuple((2 * one - 1).requires_grad_() for one in drawn)


@pytest.mark.parametrize("queued", [0, 24])
def test_swav(queued: int) -> None:
    """Two full-size views and three small ones, with a queue and without. Their queue stands behind the batch and ours
    before it, which is of no account to Sinkhorn's algorithm."""
    leaves, queue = scores(5), [one.detach() for one in scores(2, queued, seed=1)]
    codes = [sinkhorn(torch.cat([view.detach(), rows]))[:16] for view, rows in zip(leaves, queue, strict=False)]
    ours = mean_over_pairs(codes, leaves, soft_cross_entropy)
    theirs = SwaVLoss()(list(leaves[:2]), list(leaves[2:]), queue if queued else None)
    agree(ours, theirs[0], leaves)


def test_dino() -> None:
    """With a centre that has moved, and small views beside. Their warm-up of the teacher's temperature ends an epoch
    earlier than ours, which is why it is given here."""
    students, teachers = scores(5), [one.detach() for one in scores(2, seed=1)]
    theirs = DINOLoss(output_dim=10, teacher_temp=0.06)
    centre = torch.linspace(-0.3, 0.3, 10)
    theirs.center.data.copy_(centre.expand_as(theirs.center))
    answers = [((one - centre) / 0.06).softmax(dim=1) for one in teachers]
    agree(mean_over_pairs(answers, students, soft_cross_entropy), theirs(teachers, list(students)), students)
