"""BYOL: its loss as loops, the twin's course, and what becomes of it without its predictor."""

import math

import pytest
import torch
from torch import Tensor

from retrieval.functional.batch import Batch
from retrieval.methods.byol import BYOL
from tests.losses import loops
from tests.methods.laboratory import ended
from tests.methods.views import TinyViews, tiny_method


def method(**options: object) -> BYOL:
    made = tiny_method("byol", **options).double().train()
    assert isinstance(made, BYOL)
    return made


def batches(epoch: int = 0) -> list[Batch]:
    return [
        batch._replace(inputs=batch.inputs.double(), others=tuple(view.double() for view in batch.others))
        for batch in TinyViews().batches(epoch, 0)
    ]


def apart(made: BYOL) -> None:
    """Move the online network away from its twin."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for group in made.groups():
            for parameter in group.parameters:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)


def test_is_the_papers_loss() -> None:
    """Equation 2 and its other way as loops: squared distances of unit rows, whose sum is 4 + 4 times ours. lightly's
    NegativeCosineSimilarity, averaged over both ways, is our number."""
    made, batch = method(), batches()[0]
    apart(made)
    views = (batch.inputs, batch.others[0])
    online = [made.predictor(made.projector(made.encoder(view).raw)) for view in views]
    twin = [made.target_projector.copy(made.target_encoder.copy(view).raw) for view in views]

    def squared(q: Tensor, z: Tensor) -> float:
        pairs = zip(q.tolist(), z.tolist(), strict=True)
        return loops.mean([loops.distance(loops.unit(a), loops.unit(b)) ** 2 for a, b in pairs])

    paper = squared(online[0], twin[1]) + squared(online[1], twin[0])
    assert 4 + 4 * made.training_step(batch).loss.item() == pytest.approx(paper, rel=1e-9)


def test_the_twin_follows_along_the_papers_schedule() -> None:
    """tau = 1 - (1 - tau_base)(cos(pi k / K) + 1) / 2, k from 0, for every parameter of both parts."""
    made = method(momentum=0.8)
    made.begin(6, 3)
    parts = ((made.encoder, made.target_encoder), (made.projector, made.target_projector))
    expected = [[p.detach().clone() for p in part.parameters()] for part, _ in parts]
    k = 0
    for epoch in range(2):
        for batch in batches(epoch):
            made.training_step(batch)
            apart(made)
            made.after_step()
            tau = 1 - (1 - 0.8) * (math.cos(math.pi * k / 6) + 1) / 2
            for values, (part, twin) in zip(expected, parts, strict=True):
                for value, own, followed in zip(values, part.parameters(), twin.parameters(), strict=True):
                    value.copy_(tau * value + (1 - tau) * own.detach())
                    torch.testing.assert_close(followed.detach(), value)
            k += 1


def test_the_twin_learns_nothing_itself() -> None:
    made = method()
    given = {id(parameter) for group in made.groups() for parameter in group.parameters}
    twins = [*made.target_encoder.parameters(), *made.target_projector.parameters()]
    assert not given & {id(parameter) for parameter in twins}
    made.training_step(batches()[0]).loss.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in twins)


def test_without_stop_gradient_the_targets_are_the_online_networks_own() -> None:
    made, batch = method(stop_gradient=False), batches()[0]
    apart(made)
    online = [made.projector(made.encoder(view).raw) for view in (batch.inputs, batch.others[0])]
    expected = torch.zeros((), dtype=torch.float64)
    for one, other in (online, online[::-1]):
        expected = expected - torch.cosine_similarity(made.predictor(one), other).mean() / 2
    parameters = list(made.encoder.backbone.parameters())
    loss = made.training_step(batch).loss
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters))


@pytest.mark.parametrize("stop_gradient", [pytest.param(True, marks=pytest.mark.slow), False])
def test_without_a_predictor_it_collapses(stop_gradient: bool) -> None:
    values = {"epochs": 40, "rate": 0.05}
    healthy = ended("byol", **values)
    collapsed = ended("byol", predictor=False, stop_gradient=stop_gradient, **values)
    assert healthy.logs["negative_cosine"] > -0.95
    assert healthy.spread > 0.7
    assert collapsed.logs["negative_cosine"] < -0.995
    assert collapsed.spread < 0.2
    assert collapsed.logs["projection_spread"] < 0.2
