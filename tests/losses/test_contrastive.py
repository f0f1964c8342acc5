"""Contrastive loss: what counts as active."""

import pytest
import torch

from retrieval.functional.mined import Pairs
from retrieval.losses.contrastive import contrastive, contrastive_active

LINE = torch.tensor([[0.0], [0.5], [0.5], [0.9], [3.0]])
"""Distances by hand; rows 1 and 2 coincide."""
LABELS = torch.tensor([0, 0, 0, 1, 2])


def test_by_hand():
    """Positives: 0.25 twice both ways, one pair at 0. Negatives under 1: 0.1² once, 0.6² twice, both ways."""
    pull, push = [0.25, 0.25], [0.01, 0.36, 0.36]
    assert contrastive(LINE, LABELS).item() == pytest.approx(sum(pull + push) / 5, abs=1e-6)
    balanced = contrastive(LINE, LABELS, balanced=True).item()
    assert balanced == pytest.approx(sum(pull) / 2 + sum(push) / 3, abs=1e-6)
    assert contrastive_active(LINE, LABELS).item() == pytest.approx(5 / 10)


def test_plain_distances_and_their_gradient_are_those_of_pytorch_metric_learning():
    from pytorch_metric_learning.losses import ContrastiveLoss

    z = torch.nn.functional.normalize(torch.randn(24, 5, generator=torch.Generator().manual_seed(0)).double(), dim=1)
    y = torch.arange(24) % 6
    results = []
    for loss in (lambda z: contrastive(z, y, balanced=True, squared=False), lambda z: ContrastiveLoss(0, 1)(z, y)):
        rows = z.clone().requires_grad_()
        value = loss(rows)
        value.backward()
        results.append((value.detach(), rows.grad))
    # Theirs also takes the gradient through its own normalisation, which leaves only what lies along the sphere.
    along = [g - (g * z).sum(dim=1, keepdim=True) * z for _, g in results]
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(along[0], along[1])


def test_mined_pairs_alone_count_and_each_once():
    mined = Pairs(torch.tensor([[0, 1], [0, 1], [1, 2]]), torch.tensor([[0, 3], [0, 4]]))
    assert contrastive(LINE, LABELS, mined=mined).item() == pytest.approx((0.25 + 0.01) / 2, abs=1e-6)
    assert contrastive_active(LINE, LABELS, mined=mined).item() == pytest.approx(2 / 4)


@pytest.mark.parametrize("squared", [True, False])
def test_a_coinciding_negative_has_no_direction_to_go(squared):
    z = torch.tensor([[0.3, 0.4], [0.3, 0.4]], requires_grad=True)
    loss = contrastive(z, torch.tensor([0, 1]), squared=squared)
    (gradient,) = torch.autograd.grad(loss, z)
    assert loss == 1
    assert not gradient.any()
