"""A projection at the end of an encoder: the same numbers everywhere, kept on disk, told apart by the fingerprint."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from retrieval.models.card import ModelCard
from retrieval.models.create import create_encoder, with_projection
from retrieval.models.encoder import Encoder, Projection
from retrieval.models.folder import load_encoder, save_encoder, verify_folder
from retrieval.models.runtime import EncoderRuntime

START = {"backbone": "resnet10t", "input_size": 32}


def projection(features: int, dimension: int, seed: int = 0) -> Projection:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Projection(features, dimension)


def projected(*widths: int, head: str = "none", dim: int | None = None) -> tuple[Encoder, ModelCard]:
    encoder, card = create_encoder(**START, head=head, dim=dim)
    for seed, width in enumerate(widths):
        encoder, card = with_projection(encoder, card, projection(encoder.dimension, width, seed), origin="test")
    return encoder, card


@pytest.mark.parametrize(("head", "dim", "first"), [("none", None, 512), ("linear", 24, 24), ("mlp", 24, 24)])
def test_it_is_unit_norm_then_an_affine_map_then_unit_norm(head: str, dim: int | None, first: int) -> None:
    start, _ = create_encoder(**START, head=head, dim=dim)
    encoder, card = projected(16, 8, head=head, dim=dim)
    images = torch.rand(3, 3, 32, 32)
    with torch.inference_mode():
        expected = start(images).raw.double()
        for layer in encoder.projections:
            expected = normalize(expected, dim=1) @ layer.weight.double().T + layer.bias.double()
        output = encoder(images)
    torch.testing.assert_close(output.raw.double(), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(output.normalised, normalize(output.raw, dim=1))
    assert (card.dimension, card.projections, card.head_dimension) == (8, (first, 16, 8), first)
    assert encoder.dimension == 8


def test_it_survives_the_disk(tmp_path: Path) -> None:
    encoder, card = projected(16, 8)
    saved = save_encoder(encoder, card, tmp_path / "model")
    again, read = load_encoder(tmp_path / "model")
    assert read == saved
    assert verify_folder(tmp_path / "model") == saved
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(again(images), encoder(images), rtol=0, atol=0)


def test_the_fast_runtime_gives_the_same() -> None:
    encoder, card = projected(16)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    fast = EncoderRuntime(encoder, card.preprocessing, device="cpu", precision="fp32", threads=1).embed(pixels)
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - _row(card.preprocessing.mean)) / _row(
        card.preprocessing.std
    )
    with torch.inference_mode():
        np.testing.assert_allclose(fast, encoder.encode(images).numpy(), atol=1e-5)


def _row(values: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


def test_every_projection_is_another_space() -> None:
    cards = [projected()[1], projected(16)[1], projected(16, 8)[1]]
    encoder, card = create_encoder(**START)
    cards.append(with_projection(encoder, card, projection(512, 16, seed=7))[1])
    assert len({card.fingerprint for card in cards}) == 4


def test_a_card_without_projections_is_written_as_before() -> None:
    card = projected()[1]
    assert card.format == 1
    assert b"projections" not in card.to_bytes()
    assert "projections" not in card.identity()
    assert projected(16)[1].format == 2


def test_widths_that_do_not_fit_are_refused() -> None:
    encoder, card = create_encoder(**START)
    with pytest.raises(ValueError, match="does not fit"):
        with_projection(encoder, card, projection(511, 8))
