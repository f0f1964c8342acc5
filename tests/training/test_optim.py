"""Groups, layers, rates and policies."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from retrieval.methods.method import ParameterGroup
from retrieval.training.layers import layers_of
from retrieval.training.loop import fit
from retrieval.training.optim import make_optimiser, rate_at, set_rates, trained_groups
from retrieval.training.policies import apply_policies
from tests.training.tiny import Pull, TinySource, config, tiny_encoder


def names_of(module: nn.Module) -> list[list[str]]:
    name = {id(parameter): name for name, parameter in module.named_parameters()}
    return [[name[id(parameter)] for parameter in layer] for layer in layers_of(module)]


def test_layers_of_a_tiny_backbone() -> None:
    assert names_of(tiny_encoder(batch_norm=True).backbone) == [
        ["stem.weight", "stem.bias", "norm.weight", "norm.bias"],
        ["blocks.0.0.weight", "blocks.0.0.bias"],
        ["blocks.1.0.weight", "blocks.1.0.bias"],
    ]


def test_own_parameters_are_of_the_first_layer_and_shared_ones_of_one() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(2, 2, bias=False)
            self.again = nn.Linear(2, 2, bias=False)
            self.again.weight = self.embed.weight
            self.last = nn.Linear(2, 2, bias=False)
            self.position = nn.Parameter(torch.zeros(2))

    assert names_of(Positions()) == [["position", "embed.weight"], ["last.weight"]]
    assert layers_of(nn.Identity()) == []
    assert names_of(nn.LayerNorm(3)) == [["weight", "bias"]]


@pytest.mark.parametrize(
    ("backbone", "count"),
    [("resnet10t", 7), ("mobilenetv2_100", 9), ("vit_tiny_patch16_224", 13), ("convnext_atto", 5)],
)
def test_layers_of_timm_backbones(backbone: str, count: int) -> None:
    from retrieval.models.backbones import build_backbone

    module = build_backbone(backbone, {}, 0)
    layers = layers_of(module)
    assert len(layers) == count
    assert len({id(p) for layer in layers for p in layer}) == len(list(module.parameters()))


def test_layer_wise_rates() -> None:
    values = config(backbone_rate=0.1, layer_decay=0.5)
    rates = {(g.name, g.decay): g.rate for g in trained_groups(Pull(tiny_encoder()), values)}
    assert rates == {
        ("backbone.0", True): 0.025, ("backbone.0", False): 0.025, ("backbone.1", True): 0.05,
        ("backbone.1", False): 0.05, ("backbone.2", True): 0.1, ("backbone.2", False): 0.1,
        ("head", True): 1.0, ("head", False): 1.0, ("loss", False): 10.0,
    }  # fmt: skip


def test_every_trained_parameter_is_in_one_group() -> None:
    model = Pull(tiny_encoder(batch_norm=True))
    groups = trained_groups(model, config(batch_norm="train"))
    ids = [id(p) for g in groups for p in g.parameters]
    assert len(ids) == len(set(ids)) == len(list(model.parameters()))
    frozen = trained_groups(model, config(batch_norm="frozen"))
    assert len([p for g in frozen for p in g.parameters]) == len(ids) - 2
    resting = trained_groups(model, config(backbone_rate=0.0))
    assert {g.name for g in resting} == {"head", "loss"}


def test_decay_is_for_matrices() -> None:
    optimiser = make_optimiser(Pull(tiny_encoder()), config(weight_decay=0.3))
    for group in optimiser.param_groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] == 0.3}


def test_impossible_groups() -> None:
    class Twice(Pull):
        def groups(self):  # type: ignore[no-untyped-def]
            yield from super().groups()
            yield ParameterGroup("again", [self.log_scale], 1.0, False)

    class Nothing(Pull):
        def groups(self):  # type: ignore[no-untyped-def]
            yield ParameterGroup("backbone", list(self.encoder.backbone.parameters()), 1.0, True)

    with pytest.raises(ValueError, match="two groups"):
        trained_groups(Twice(tiny_encoder()), config())
    with pytest.raises(ValueError, match="Nothing is left"):
        trained_groups(Nothing(tiny_encoder()), config(backbone_rate=0.0))


@given(total=st.integers(1, 300), share=st.floats(0, 0.99))
def test_warmup_rises_then_falls(total: int, share: float) -> None:
    values = config(warmup_share=share)
    rates = [rate_at(step, total, values) for step in range(total)]
    warmup = round(share * total)
    assert all(0 <= rate <= 1 for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[max(0, warmup - 1) :] == sorted(rates[max(0, warmup - 1) :], reverse=True)
    for step in range(warmup, total):
        expected = (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
        assert rates[step] == pytest.approx(expected, abs=1e-12)


def test_constant_schedule_and_late_groups() -> None:
    values = config(warmup_share=0.2, schedule="constant", backbone_rate=0.5, learning_rate=0.1)
    assert [rate_at(step, 10, values) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]
    optimiser = make_optimiser(Pull(tiny_encoder()), values)
    for step, head, backbone in ((0, 0.05, 0.0), (4, 0.1, 0.0), (5, 0.1, 0.025), (6, 0.1, 0.05), (9, 0.1, 0.05)):
        assert set_rates(optimiser, step, 10, values, 5) == pytest.approx(head)
        for group in optimiser.param_groups:
            wanted = backbone if group["name"].startswith("backbone") else head * group["factor"]
            assert group["lr"] == pytest.approx(wanted)


def moved(model: Pull, start: Pull) -> set[str]:
    before = start.state_dict()
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_frozen_batch_norm_moves_in_nothing(tmp_path: Path) -> None:
    model, start = Pull(tiny_encoder(batch_norm=True)), Pull(tiny_encoder(batch_norm=True))
    fit(model, TinySource(), config(), folder=tmp_path / "frozen")
    names = moved(model, start)
    assert not any("norm" in name for name in names)
    assert "encoder.backbone.stem.weight" in names
    trained = Pull(tiny_encoder(batch_norm=True))
    fit(trained, TinySource(), config(batch_norm="train"), folder=tmp_path / "trained")
    assert {f"encoder.backbone.norm.{x}" for x in ("weight", "running_mean", "num_batches_tracked")} <= moved(
        trained, start
    )


@pytest.mark.parametrize("values", [{"backbone_rate": 0.0}, {"head_first_epochs": 9}])
def test_a_frozen_backbone_does_not_move(tmp_path: Path, values: dict[str, float]) -> None:
    model, start = Pull(tiny_encoder(batch_norm=True, dropout=0.5)), Pull(tiny_encoder(batch_norm=True))
    modes = set()
    model.encoder.backbone.register_forward_hook(lambda module, _, out: modes.add((module.training, out.requires_grad)))
    fit(model, TinySource(), config(batch_norm="train", **values), folder=tmp_path)
    assert moved(model, start) == {"encoder.head.weight", "encoder.head.bias", "log_scale", "seen"}
    assert modes == {(False, False)}


def test_head_first_then_everything(tmp_path: Path) -> None:
    model, start = Pull(tiny_encoder()), Pull(tiny_encoder())
    weights = []

    def validate(method: nn.Module) -> float:
        weights.append(method.encoder.backbone.stem.weight.clone())  # type: ignore[union-attr,operator]
        return float(len(weights))

    fit(model, TinySource(), config(epochs=3, head_first_epochs=2), folder=tmp_path, validate=validate)
    assert torch.equal(weights[2], start.encoder.backbone.stem.weight)  # type: ignore[arg-type]
    assert not torch.equal(weights[3], weights[2])


def test_a_frozen_start_is_thawed() -> None:
    """Encoders come with ``requires_grad`` off."""
    model = Pull(tiny_encoder(batch_norm=True))
    model.encoder.eval().requires_grad_(False)
    apply_policies(model, config(), 0)
    off = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert off == {"encoder.backbone.norm.weight", "encoder.backbone.norm.bias"}
    assert model.encoder.backbone.drop.training  # type: ignore[union-attr]
    assert not model.encoder.backbone.norm.training  # type: ignore[union-attr]
