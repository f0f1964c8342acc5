"""Barlow Twins and VICReg as methods: healthy runs beside runs that are made to collapse."""

from typing import Any

import pytest
import torch

from retrieval.functional.batch import Batch
from retrieval.losses.barlow_twins import cross_correlation
from retrieval.methods.barlow_twins import BarlowTwins
from retrieval.methods.vicreg import VICReg
from retrieval.models.encoder import EncoderOutput
from tests.methods.collapse import run
from tests.methods.views import TinyViews, tiny_encoder, tiny_method


def trained(name: str, **options: Any) -> tuple[dict[str, float], set[str]]:
    return run(tiny_method(name, **options), TinyViews().batches(0, 0), steps=100, rate=0.1)


def test_vicreg_without_its_variance_term_collapses() -> None:
    """Table 4 of the paper in miniature: the projections become one point and the alarm rings."""
    healthy, silence = trained("vicreg")
    collapsed, alarms = trained("vicreg", variance=0.0)
    assert healthy["variance"] < 0.3
    assert collapsed["variance"] > 0.985
    assert collapsed["invariance"] < 1e-4 < healthy["invariance"]
    assert alarms == {"loss = chance"}
    assert not silence


@pytest.mark.parametrize("redundancy", [0.005, 2.0])
def test_views_without_anything_in_common_disagree_as_chance_says(redundancy: float) -> None:
    """Whatever lambda is, and with few rows, whose correlations are far from 0: the mean of C_ii is what is left."""
    method = tiny_method("barlow_twins", dimension=512, redundancy=redundancy)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 64, 512, generator=generator)
    method.projector = torch.nn.Identity()
    method.encoder = _Given()  # type: ignore[assignment]
    images = torch.zeros(64)
    for other, stands in ((rows[1], True), (rows[0] + 0.5 * rows[1], False)):
        _, logs, _ = method.loss_of_views([rows[0], other], Batch(images, images.long(), images.long()))
        chance = method.chance_constants()["disagreement"]
        diagonal = cross_correlation(rows[0], other).diagonal()
        assert chance == pytest.approx(float(1 + diagonal.square().mean()), rel=1e-5)
        assert float(logs["disagreement"]) == pytest.approx(chance - 2 * float(diagonal.mean()), rel=1e-4)
        assert (abs(float(logs["disagreement"]) / chance - 1) < 0.03) is stands
        # That of rows that are alike, 1, would be apart by 1 / N.
        assert not stands or chance == pytest.approx(1 + 1 / 64, abs=0.005)


class _Given(torch.nn.Module):
    """Gives its input as the embedding."""

    def forward(self, rows: torch.Tensor) -> EncoderOutput:
        return EncoderOutput(rows, rows)


def test_barlow_twins_without_redundancy_reduction_becomes_one_dimension() -> None:
    healthy, _ = trained("barlow_twins", redundancy=0.5)
    collapsed, _ = trained("barlow_twins", redundancy=0.0)
    assert healthy["diagonal"] > 0.8
    assert collapsed["diagonal"] > 0.8
    assert collapsed["off_diagonal"] > 0.5
    assert healthy["off_diagonal"] < 0.25


@pytest.mark.parametrize("scaling", ["authors", "paper"])
def test_a_collapsed_encoder_stands_at_the_constants(scaling: Any) -> None:
    """What the alarms lean on: the same picture everywhere."""
    batch = next(TinyViews().batches(0, 0))
    alike = batch._replace(inputs=torch.ones_like(batch.inputs), others=(torch.ones_like(batch.inputs),))
    for method in (tiny_method("barlow_twins"), tiny_method("vicreg", scaling=scaling)):
        logs = method.training_step(alike).logs
        assert method.chance_constants()
        for name, constant in method.chance_constants().items():
            assert float(logs[name]) == pytest.approx(constant, rel=1e-3)


def test_the_terms_are_weighted() -> None:
    batch = next(TinyViews().batches(0, 0))
    step = tiny_method("vicreg", invariance=2.0, variance=3.0, covariance=5.0).training_step(batch)
    logs = step.logs
    torch.testing.assert_close(
        step.loss.detach(), 2 * logs["invariance"] + 3 * logs["variance"] + 5 * logs["covariance"]
    )
    alone = tiny_method("vicreg", invariance=0.0, variance=0.0, covariance=1.0).training_step(batch)
    torch.testing.assert_close(alone.loss.detach(), alone.logs["covariance"])
    with pytest.raises(ValueError, match="nothing is learned"):
        tiny_method("vicreg", invariance=0.0, variance=0.0, covariance=0.0)


def test_an_unknown_scaling_is_refused() -> None:
    with pytest.raises(ValueError, match="authors or paper"):
        VICReg(tiny_encoder(), scaling="solo")  # type: ignore[arg-type]


def test_the_projector_has_three_layers_without_a_last_norm() -> None:
    """The loss normalises by itself (Barlow Twins), or needs the scale that a norm would fix (VICReg)."""
    for method in (BarlowTwins(tiny_encoder(), hidden=12), VICReg(tiny_encoder(), hidden=12)):
        kinds = [type(layer).__name__ for layer in method.projector]
        assert kinds == ["Linear", "GatheredBatchNorm", "ReLU"] * 2 + ["Linear"]
        assert not any(layer.bias is not None for layer in method.projector if isinstance(layer, torch.nn.Linear))
