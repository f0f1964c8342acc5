"""Triplet loss: what it selects, what is handed in, and what it says when embeddings collapse."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from retrieval.functional.distances import distances
from retrieval.functional.mined import Triplets
from retrieval.functional.triplets import RULES
from retrieval.losses.triplet import triplet, triplet_active
from tests.losses.test_conformance import every_triplet


def batch(rows=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, 4, generator=generator, dtype=torch.float64), dim=1), torch.arange(rows) % 4


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("select", RULES)
def test_selecting_is_mining_and_handing_in(select, soft):
    z, labels = batch()
    between, every = distances(z, z), every_triplet(labels)
    chosen = RULES[select](between[every.anchor, every.positive], between[every.anchor, every.negative], 0.3)
    mined = Triplets(*(part[chosen] for part in every))
    given = triplet(z, labels, mined=mined, margin=0.3, soft=soft, select="mined")
    selected = triplet(z, labels, margin=0.3, soft=soft, select=select)
    torch.testing.assert_close(selected, given)
    assert selected > 0 or (select == "easy" and not soft)


@pytest.mark.parametrize("select", RULES)
def test_ties_and_borders_are_selected_as_the_rules_say(select):
    """Squared distances of a lattice are whole numbers, and so is the margin: d(a, n) = d(a, p) + m happens often."""
    z = torch.randint(3, (16, 2), generator=torch.Generator().manual_seed(3)).double()
    labels, every = torch.arange(16) % 4, every_triplet(torch.arange(16) % 4)
    ap, an = ((z[every.anchor] - z[other]).square().sum(dim=1) for other in every[1:])
    assert (an == ap).any()
    assert (an == ap + 1).any()
    chosen = RULES[select](ap, an, 1.0)
    mined = Triplets(*(part[chosen] for part in every))
    for soft in (False, True):
        options = {"margin": 1.0, "squared": True, "soft": soft}
        selected = triplet(z, labels, select=select, **options)
        torch.testing.assert_close(selected, triplet(z, labels, mined=mined, **options))


@pytest.mark.parametrize("rows", [9, 60])
@pytest.mark.parametrize("squared", [False, True])
def test_many_and_few_mined_triplets_are_the_same_sum(rows, squared):
    """9 rows and all triplets: looked up in the matrix; 60 rows and some: one by one."""
    z, labels = batch(rows)
    mined = Triplets(*(part[:200] for part in every_triplet(labels)))
    z.requires_grad_()
    terms = []
    for a, p, n in zip(*(part.tolist() for part in mined), strict=True):
        ap, an = ((z[a] - z[j]).square().sum() ** (1 if squared else 0.5) for j in (p, n))
        terms.append((ap - an + 0.2).clamp_min(0))
    expected = sum(terms) / sum(bool(term > 0) for term in terms)
    loss = triplet(z, labels, mined=mined, squared=squared)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, z), torch.autograd.grad(expected, z))


@pytest.mark.parametrize("select", ["all", "hard", "mixed"])
@pytest.mark.parametrize("squared", [False, True])
def test_collapse_shows_as_the_margin(select, squared):
    """All in one point: every triplet is a tie. Ties are hard; otherwise the loss would be 0, as if learned."""
    z, labels = torch.ones(12, 4, requires_grad=True), torch.arange(12) % 4
    loss = triplet(z, labels, margin=0.3, squared=squared, select=select)
    assert loss.item() == pytest.approx(0.3)
    assert triplet_active(z, labels, margin=0.3, squared=squared, select=select) == 1
    assert triplet(z, labels, soft=True, select=select).item() == pytest.approx(math.log(2))
    (gradient,) = torch.autograd.grad(loss, z)
    assert not gradient.any()


def test_the_active_share_is_counted():
    """Anchor 0 with positive at 1 and negatives at 1.1 and 5: one of two; and so on, by hand on a line."""
    z = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.1, 0.0], [-5.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 2])
    # (0,1,2): 1.1 < 1 + 0.2. (0,1,3): 5. (1,0,2): 2.1. (1,0,3): 6. Nobody else has a positive.
    assert triplet_active(z, labels, margin=0.2, select="all") == 0.25
    assert triplet_active(z, labels, margin=0.2, select="hard") == 0
    assert triplet_active(z, labels, margin=5.5, select="all") == 1
    assert triplet_active(z, labels, soft=True, margin=0.2, select="easy") == 0.75
    mined = Triplets(torch.tensor([0, 0]), torch.tensor([1, 1]), torch.tensor([2, 3]))
    assert triplet_active(z, labels, mined=mined, margin=0.2) == 0.5
    assert triplet(z, labels, margin=0.2, select="all").item() == pytest.approx(0.1, abs=1e-6)


def test_unequal_classes_are_all_looked_at():
    """One class of 9, one of 2, one alone: pairs are not a multiple of anything."""
    z, _ = batch()
    labels = torch.tensor([0] * 9 + [1, 1] + [2])
    terms = [
        max(0.0, math.dist(z[a], z[p]) - math.dist(z[a], z[n]) + 0.4)
        for a in range(12)
        for p in range(12)
        for n in range(12)
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ]
    active = [term for term in terms if term > 0]
    loss = triplet(z, labels, margin=0.4, select="all")
    assert loss.item() == pytest.approx(sum(active) / len(active))
    assert triplet_active(z, labels, margin=0.4, select="all").item() == pytest.approx(len(active) / len(terms))


def test_what_cannot_be_is_refused():
    z, labels = batch()
    with pytest.raises(ValueError, match="No triplets 'semi'"):
        triplet(z, labels, select="semi")
    with pytest.raises(ValueError, match="a miner is needed"):
        triplet(z, labels, select="mined")
    for function in (triplet, triplet_active):
        with pytest.raises(ValueError, match="must be positive"):
            function(z, labels, margin=0.0)
