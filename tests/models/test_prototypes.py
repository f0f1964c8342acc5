"""Prototypes, and DINO's head over them."""

import torch
from torch.nn.functional import cosine_similarity

from retrieval.models.dino_head import DinoHead
from retrieval.models.projector import unit
from retrieval.models.prototypes import Prototypes


def test_prototypes_are_unit_rows_and_come_back_to_the_sphere() -> None:
    prototypes = Prototypes(5, 4, seed=1)
    torch.testing.assert_close(prototypes.weight.detach().norm(dim=1), torch.ones(5))
    before = prototypes.weight.detach().clone()
    with torch.no_grad():
        prototypes.weight.mul_(torch.arange(1.0, 6.0)[:, None])
    prototypes.renormalise()
    torch.testing.assert_close(prototypes.weight.detach(), before)
    rows = unit(torch.randn(3, 4))
    torch.testing.assert_close(prototypes(rows), rows @ before.T)


def test_at_rest_the_last_layer_gets_no_gradient() -> None:
    for module, last in ((Prototypes(5, 4), "weight"), (DinoHead(4, 6, 3, 5), "directions")):
        rows = unit(torch.randn(3, 4)).requires_grad_()
        parameter = getattr(module, last)
        module(rows, False).square().sum().backward()  # type: ignore[no-untyped-call]
        assert parameter.grad is None
        assert rows.grad is not None
        module(rows).square().sum().backward()  # type: ignore[no-untyped-call]
        assert parameter.grad.any()


def test_the_head_gives_cosines_whatever_the_length_of_its_directions() -> None:
    head, rows = DinoHead(4, 6, 3, 5, seed=2), torch.randn(7, 4)
    bottleneck = head.trunk(rows)
    expected = torch.stack([cosine_similarity(bottleneck, one[None], dim=1) for one in head.directions], dim=1)
    torch.testing.assert_close(head(rows), expected)
    with torch.no_grad():
        head.directions.mul_(3)
    torch.testing.assert_close(head(rows), expected)


def test_the_head_is_in_float32_under_autocast_and_repeats_with_its_seed() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    head, rows = DinoHead(4, 6, 3, 5, seed=2), torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(DinoHead(4, 6, 3, 5, seed=2)(rows), head(rows))
    with torch.autocast("cpu", torch.bfloat16):
        assert head(rows).dtype == torch.float32
