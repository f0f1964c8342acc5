"""Centres: the rule, over one process and over several, and the exact ones."""

import pytest
import torch

from retrieval.losses import exact_centres, updated_centres
from retrieval.losses.center import center


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 2, 2, -1, 0, 2, 1, 2])
    return torch.randn(4, 3, generator=generator), torch.randn(8, 3, generator=generator), labels


def test_the_rule_is_wens(batch):
    """c_j - alpha * sum_i 1(y_i = j)(c_j - x_i) / (1 + sum_i 1(y_i = j)), one class and one row at a time."""
    centres, x, labels = batch
    expected = centres.double().clone()
    for j in range(4):
        rows = [i for i in range(8) if labels[i] == j]
        delta = sum(((centres[j] - x[i]).double() for i in rows), torch.zeros(3, dtype=torch.float64)) / (1 + len(rows))
        expected[j] -= 0.5 * delta
    before = centres.clone()
    after = updated_centres(centres, x, labels)
    torch.testing.assert_close(after, expected.float())
    assert torch.equal(after[3], centres[3])
    assert torch.equal(centres, before)
    torch.testing.assert_close(updated_centres(centres, x, labels, rate=0.0), centres)


def test_sums_over_processes_give_the_rule_over_all_rows(batch):
    """Two halves, each handed the other's sums."""
    centres, x, labels = batch
    whole = updated_centres(centres, x, labels)
    seen = []
    updated_centres(centres, x[4:], labels[4:], reduce=lambda part: seen.append(part) or part)
    others = iter(seen)
    together = updated_centres(centres, x[:4], labels[:4], reduce=lambda part: part + next(others))
    torch.testing.assert_close(together, whole)


def test_repeating_the_rule_leads_to_the_exact_centres(batch):
    centres, x, labels = batch
    exact = exact_centres(x, labels, 4)
    torch.testing.assert_close(exact[2], x[labels == 2].mean(dim=0))
    assert not exact[3].any()
    for _ in range(200):
        centres = updated_centres(centres, x, labels)
    torch.testing.assert_close(centres[:3], exact[:3])
    zero = center(exact[[0, 1, 2]], torch.arange(3), centres=exact)
    assert zero == 0


def test_half_precision_rows_move_float32_centres(batch):
    centres, x, labels = batch
    after = updated_centres(centres, x.bfloat16(), labels)
    assert after.dtype == torch.float32
    torch.testing.assert_close(after, updated_centres(centres, x.bfloat16().float(), labels))


def test_no_gradient_reaches_the_centres(batch):
    centres, x, labels = batch
    centres.requires_grad_()
    loss = center(x.requires_grad_(), labels, centres=centres)
    loss.backward()
    assert centres.grad is None
    rows = (labels >= 0).sum()
    torch.testing.assert_close(x.grad[0], (x[0] - centres[0]).detach() / rows)


def test_what_cannot_be_is_refused(batch):
    centres, x, labels = batch
    with pytest.raises(ValueError, match="No reduction 'max'"):
        center(x, labels, centres=centres, reduction="max")
    with pytest.raises(ValueError, match="there are 2"):
        updated_centres(centres[:2], x, labels)
    with pytest.raises(ValueError, match="there are 2"):
        exact_centres(x, labels, 2)
