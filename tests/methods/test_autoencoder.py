"""The autoencoder: its loss, its decoder, and the sign of collapse."""

import pytest
import torch

from retrieval.methods.autoencoder import Autoencoder, reduced
from retrieval.models.decoder import Decoder
from tests.methods.collapse import run
from tests.methods.views import TinyViews, tiny_method


def test_the_loss_is_the_mean_squared_error_of_the_small_image() -> None:
    """As loops: each target pixel is the mean of its 2 × 2 pixels."""
    method, batch = tiny_method("autoencoder", side=4), next(TinyViews().batches(0, 0))
    assert isinstance(method, Autoencoder)
    step = method.training_step(batch)
    decoded = method.decoder(method.encoder(batch.inputs).raw).detach().double()
    images = batch.inputs.double()
    squares, about_mean = [], []
    for c in range(3):
        for y in range(4):
            for x in range(4):
                pixels = [images[i, c, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].sum() / 4 for i in range(len(images))]
                middle = sum(pixels) / len(pixels)
                squares += [float((decoded[i, c, y, x] - pixels[i]) ** 2) for i in range(len(images))]
                about_mean += [float((pixel - middle) ** 2) for pixel in pixels]
    expected = sum(squares) / len(squares)
    assert step.loss.item() == pytest.approx(expected, rel=1e-5)
    assert float(step.logs["unexplained"]) == pytest.approx(expected / (sum(about_mean) / len(about_mean)), rel=1e-5)


def test_learns_more_than_the_mean_image_and_a_constant_embedding_does_not() -> None:
    """On images that are one colour each."""
    colours = torch.randn(48, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(48, 3, 8, 8)
    batches = [batch._replace(inputs=colours[batch.ids]) for batch in TinyViews(1).batches(0, 0)]
    healthy, silence = run(tiny_method("autoencoder"), batches, steps=150, rate=0.03)
    blind = tiny_method("autoencoder")
    with torch.no_grad():
        for parameter in blind.encoder.parameters():
            parameter.zero_()
    blind.encoder.requires_grad_(False)
    mean_image, alarms = run(blind, batches, steps=150, rate=0.03)
    assert healthy["unexplained"] < 0.5
    assert mean_image["unexplained"] > 0.98
    assert "complete collapse" in alarms
    assert "complete collapse" not in silence


@pytest.mark.parametrize("side", [4, 8, 32])
def test_the_decoder_gives_the_side_that_is_asked_for(side: int) -> None:
    decoder = Decoder(5, side, 16)
    assert decoder(torch.randn(2, 5)).shape == (2, 3, side, side)
    with torch.autocast("cpu", torch.bfloat16):
        assert decoder(torch.randn(2, 5)).dtype == torch.float32


def test_an_image_does_not_depend_on_its_batch() -> None:
    decoder, rows = Decoder(5, 16, 16), torch.randn(3, 5)
    torch.testing.assert_close(decoder(rows)[:1], decoder(rows[:1]))


@pytest.mark.parametrize("side", [0, 2, 12, 33])
def test_other_sides_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Decoder(5, side, 16)


def test_the_target_is_the_mean_over_areas() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    assert reduced(image, 2)[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert torch.equal(reduced(image, 4), image)
    assert reduced(image.bfloat16(), 2).dtype == torch.float32
