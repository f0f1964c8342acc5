"""The projector's first layer as the encoder's head: the same numbers, kept on disk."""

from pathlib import Path

import pytest
import torch
from torch import nn

from retrieval.core.errors import BadValue
from retrieval.models.first_layer import first_layer, with_first_layer
from retrieval.models.folder import load_encoder, save_encoder, verify_folder
from retrieval.models.projector import mlp
from tests.models.conftest import tiny


def trained_projector(features: int) -> nn.Sequential:
    """One whose batch-norm has seen something."""
    projector = mlp([features, 12, 12, 6], seed=3)
    projector(torch.rand(20, features, generator=torch.Generator().manual_seed(0)) * 3)
    return projector.eval()


def test_it_is_the_backbone_and_the_layer_and_survives_the_disk(tmp_path: Path) -> None:
    encoder, card = tiny()
    projector = trained_projector(card.features)
    longer, new = with_first_layer(encoder, card, projector, name="stage-2", origin="test")
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features = encoder(images).raw
        linear, norm = projector[0], projector[1]
        assert isinstance(norm, nn.BatchNorm1d)
        scaled = (features @ linear.weight.T - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
        expected = (scaled * norm.weight + norm.bias).clamp_min(0)
        torch.testing.assert_close(longer(images).raw, expected, rtol=1e-4, atol=1e-5)
    assert (new.head, new.dimension, new.features, new.name) == ("hidden", 12, card.features, "stage-2")
    assert new.fingerprint != card.fingerprint
    saved = save_encoder(longer, new, tmp_path / "model")
    again, read = load_encoder(tmp_path / "model")
    assert read == saved == verify_folder(tmp_path / "model")
    with torch.inference_mode():
        assert torch.equal(again(images).raw, longer(images).raw)


def test_the_projector_is_left_as_it_was() -> None:
    projector = trained_projector(5)
    head = first_layer(projector)
    with torch.no_grad():
        head[0].weight.zero_()
    assert projector[0].weight.any()


def test_what_cannot_be() -> None:
    encoder, card = tiny(head="linear", dim=5)
    with pytest.raises(BadValue, match="takes the place of the head"):
        with_first_layer(encoder, card, trained_projector(5))
    encoder, card = tiny()
    with pytest.raises(BadValue, match="does not fit a backbone of 96"):
        with_first_layer(encoder, card, trained_projector(5))
    for projector in (mlp([5, 6]), mlp([5, 6, 6], batch_norm=False)):
        with pytest.raises(BadValue, match="no hidden layer"):
            first_layer(projector)
