"""Pooling over all levels: against NumPy, cell by cell, standardised, and as part of an encoder that is kept."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from retrieval.core.errors import BadValue
from retrieval.models.backbones import LEVELS, build_backbone
from retrieval.models.card import ModelCard
from retrieval.models.cells import embed_cells
from retrieval.models.create import create_encoder, describe, over_levels
from retrieval.models.encoder import Encoder
from retrieval.models.folder import load_encoder, save_encoder
from retrieval.models.levels import Levels
from retrieval.models.runtime import EncoderRuntime
from retrieval.training.layers import layers_of
from tests.models.conftest import tiny

CHANNELS = [16, 24, 32, 48]


def images(count: int = 4, size: int = 64, seed: int = 0) -> Tensor:
    """Smooth, so that levels differ in more than noise."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear") * 2 - 1


def small(**more: Any) -> tuple[Encoder, ModelCard]:
    return create_encoder(
        backbone="resnet10t", backbone_args={"channels": CHANNELS}, input_size=64, mean=[0.5], std=[0.5], **more
    )


def levels_of(encoder: Encoder) -> Levels:
    assert isinstance(encoder.backbone, Levels)
    return encoder.backbone


@torch.no_grad()
def test_means_and_spreads_of_every_level_but_the_finest() -> None:
    backbone = build_backbone("resnet10t", {"channels": CHANNELS}, pooling=LEVELS)
    body = timm.create_model("resnet10t", features_only=True, channels=CHANNELS).eval()
    body.load_state_dict(backbone.get_submodule("body").state_dict())
    maps = [level.numpy().astype(np.float64) for level in body(images())][1:]
    assert [level.shape[1] for level in maps] == CHANNELS
    wanted = np.concatenate([m.mean((2, 3)) for m in maps] + [np.sqrt(m.var((2, 3)) + 1e-6) for m in maps], axis=1)
    found = backbone(images())
    assert found.shape == (4, 2 * sum(CHANNELS))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=2e-4, atol=2e-5)


@torch.no_grad()
def test_its_cells_pool_to_what_it_gives() -> None:
    levels = levels_of(small(pooling=LEVELS)[0])
    cells = levels.forward_features(images())
    assert cells.shape == (4, levels.num_features, 2, 2)
    torch.testing.assert_close(levels.forward_head(cells), levels(images()), rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_standardised_every_level_has_the_same_share_and_the_network_stays() -> None:
    encoder, card = small(pooling=LEVELS)
    levels = levels_of(encoder)
    body = {name: tensor.clone() for name, tensor in levels.body.state_dict().items()}
    batches = images(64).split(16)
    raw = torch.cat([levels(batch) for batch in batches]).numpy().astype(np.float64)
    levels.standardise(batches)
    assert not levels.training
    found = torch.cat([levels(batch) for batch in batches]).numpy()
    at = 0
    for width in (*CHANNELS, *CHANNELS):
        block = slice(at, at + width)
        whole = np.sqrt(raw[:, block].var(0).sum() + 1e-6)
        np.testing.assert_allclose(found[:, block], (raw[:, block] - raw[:, block].mean(0)) / whole, atol=1e-4)
        at += width
    # Whatever it was standardised on before is forgotten.
    levels.standardise(batches)
    np.testing.assert_allclose(torch.cat([levels(batch) for batch in batches]).numpy(), found, atol=1e-5)
    assert all(torch.equal(tensor, body[name]) for name, tensor in levels.body.state_dict().items())
    assert describe(encoder, card).fingerprint != card.fingerprint


@torch.no_grad()
def test_half_floats_change_little() -> None:
    encoder = small(pooling=LEVELS)[0]
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(images()).normalised
    assert rough.dtype == torch.float32
    assert float((rough * encoder(images()).normalised).sum(1).min()) > 0.999


def test_the_gradient_of_a_flat_picture_is_finite() -> None:
    encoder = small(pooling=LEVELS)[0].requires_grad_(True)
    flat = torch.zeros(2, 3, 64, 64, requires_grad=True)
    encoder(flat).raw.sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_an_encoder_over_all_levels_keeps_the_weights_and_is_kept(tmp_path: Path) -> None:
    encoder, card = small(head="linear", dim=8)
    made, described = over_levels(encoder, card, origin="made over")
    assert (described.pooling, described.format, described.head, described.origin) == (LEVELS, 4, "none", "made over")
    assert described.features == described.dimension == 2 * sum(CHANNELS)
    assert described.fingerprint != card.fingerprint
    theirs = encoder.backbone.state_dict()
    assert all(torch.equal(t, theirs[name]) for name, t in levels_of(made).body.state_dict().items())
    save_encoder(made, described, tmp_path / "made")
    loaded, read = load_encoder(tmp_path / "made")
    assert read.pooling == LEVELS
    with torch.inference_mode():
        assert torch.equal(loaded(images()).raw, made(images()).raw)
    with pytest.raises(ValueError, match="already"):
        over_levels(made, described)


def test_cards_of_backbones_that_pool_themselves_are_as_they_were() -> None:
    card = tiny()[1]
    assert card.format == 1
    assert "pooling" not in card.to_dict()
    assert "pooling" not in card.identity()
    assert ModelCard.from_bytes(card.to_bytes()).pooling == "backbone"


def test_weights_of_the_whole_backbone_fit_without_what_is_behind_the_last_level(tmp_path: Path) -> None:
    own = timm.create_model("mobilenetv2_035", num_classes=7)
    save_file(own.state_dict(), tmp_path / "weights.safetensors")
    encoder, card = create_encoder(
        backbone="mobilenetv2_035", weights=tmp_path / "weights.safetensors", input_size=64, pooling=LEVELS
    )
    body = levels_of(encoder).body.state_dict()
    given = own.state_dict()
    assert not any(name.startswith(("conv_head", "classifier")) for name in body)
    assert all(torch.equal(tensor, given[name]) for name, tensor in body.items())
    assert card.trained


def test_the_runtime_gives_the_same() -> None:
    encoder, card = small(pooling=LEVELS)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    with torch.inference_mode():
        wanted = encoder.encode(torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(127.5).sub(1))
    found = EncoderRuntime(encoder, card.preprocessing, precision="fp32").embed(pixels)
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_the_runtime_gives_nearly_the_same_in_half_floats(precision: str) -> None:
    encoder, card = small(pooling=LEVELS)
    levels_of(encoder).standardise(images(64).split(16))
    pixels = ((images(4, seed=1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    with torch.inference_mode():
        wanted = encoder.encode(torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(127.5).sub(1))
    found = EncoderRuntime(encoder, card.preprocessing, precision=precision).embed(pixels)
    assert float((wanted.numpy() * found).sum(1).min()) > 0.99


@torch.no_grad()
def test_the_standardisation_stays_in_float32() -> None:
    levels = levels_of(small(pooling=LEVELS)[0])
    levels.standardise(images(64).split(16))
    before = levels.norm.mean.clone()
    levels.to(torch.bfloat16)
    assert torch.equal(levels.norm.mean, before)
    assert torch.equal(copy.deepcopy(levels).norm.mean, before)
    assert levels(images().bfloat16()).dtype == torch.float32


def test_where_two_pictures_match_can_be_said() -> None:
    encoder, card = small(pooling=LEVELS)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    found = embed_cells(encoder, card.preprocessing, pixels)
    assert [cells.parts.shape for cells in found] == [(2, 2, card.dimension)] * 2
    assert not any(cells.exact for cells in found)
    assert all(torch.isfinite(cells.parts).all() for cells in found)


def test_layers_for_falling_rates_are_those_of_the_backbone_itself() -> None:
    own = build_backbone("resnet10t", {"channels": CHANNELS})
    over = build_backbone("resnet10t", {"channels": CHANNELS}, pooling=LEVELS)
    assert [[p.shape for p in layer] for layer in layers_of(over)] == [
        [p.shape for p in layer] for layer in layers_of(own)
    ]


def test_weights_under_other_names_are_refused() -> None:
    levels = levels_of(small(pooling=LEVELS)[0])
    with pytest.raises(BadValue, match="another name"):
        levels.adopt(torch.nn.Linear(2, 2))


def test_a_pooling_that_is_not_there() -> None:
    with pytest.raises(BadValue, match="no pooling 'most'"):
        small(pooling="most")
