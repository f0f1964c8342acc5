"""Cells of an encoder's grid: their parts sum to what the encoder itself gives, wherever they claim to."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from retrieval.core.errors import NoGrid
from retrieval.core.preprocessing import Preprocessing
from retrieval.models.backbones import build_backbone
from retrieval.models.cells import embed_cells
from retrieval.models.encoder import Encoder, Projection
from retrieval.models.heads import make_head
from retrieval.models.projector import GatheredBatchNorm

SPEC = Preprocessing(input_size=64, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    """Networks begin with weights that are drawn."""
    torch.manual_seed(0)


def pixels(count: int = 2, size: int = 64) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def as_input(pixels: np.ndarray) -> Tensor:
    images = (pixels / 255.0 - np.array(SPEC.mean)) / np.array(SPEC.std)
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def encoder_of(name: str, head: str, projections: tuple[int, ...] = (), **args: Any) -> Encoder:
    backbone = build_backbone(name, args)
    with torch.inference_mode():
        features = backbone(torch.zeros(1, 3, 64, 64)).shape[1]
    dim = None if head == "none" else 24
    widths = (dim or features, *projections)
    stacked = [Projection(wide, narrow) for wide, narrow in pairwise(widths)]
    encoder = Encoder(backbone, make_head(head, features, dim), widths[-1], stacked)
    return encoder.eval().requires_grad_(False)


def normed_head(features: int) -> nn.Module:
    """Affine, with statistics that matter."""
    norm = GatheredBatchNorm(12)
    with torch.no_grad():
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
            assert values is not None
            values.copy_(torch.rand(12) + 0.5)
    return nn.Sequential(nn.Linear(features, 12, bias=False), norm)


@pytest.mark.parametrize("head", ["none", "linear", "norm"])
@pytest.mark.parametrize("projections", [(), (16,), (16, 6)])
def test_where_the_grid_is_averaged_the_parts_sum_to_the_embedding(head: str, projections: tuple[int, ...]) -> None:
    encoder = encoder_of("resnet10t", "linear" if head == "norm" else head, () if head == "norm" else projections)
    if head == "norm":
        encoder = Encoder(encoder.backbone, normed_head(512), 12).eval().requires_grad_(False)
    found = embed_cells(encoder, SPEC, pixels())
    expected = encoder.encode(as_input(pixels()))
    for one, whole in zip(found, expected, strict=True):
        assert one.exact
        assert one.parts.shape == (2, 2, encoder.dimension)
        torch.testing.assert_close(one.whole, whole, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(one.parts.sum((0, 1)), whole, atol=1e-5, rtol=1e-4)
        # Cells differ: not one even share each.
        assert one.parts.flatten(0, 1).std(0).max() > 1e-4


def test_a_part_is_what_the_cells_features_give_by_hand() -> None:
    encoder = encoder_of("resnet10t", "linear", (16,))
    image = as_input(pixels(1))
    with torch.inference_mode():
        grid: Tensor = encoder.backbone.forward_features(image)[0]  # type: ignore[operator]
    head, projection = encoder.head, encoder.projections[0]
    assert isinstance(head, nn.Linear)
    assert isinstance(projection, Projection)
    weights = [layer.numpy().astype(np.float64) for layer in (head.weight, projection.weight)]
    biases = [layer.numpy().astype(np.float64) for layer in (head.bias, projection.bias)]
    mean = weights[0] @ grid.mean((1, 2)).numpy() + biases[0]
    last = weights[1] @ (mean / np.linalg.norm(mean)) + biases[1]
    (found,) = embed_cells(encoder, SPEC, pixels(1))
    for row in range(2):
        for column in range(2):
            cell = weights[0] @ grid[:, row, column].numpy() + biases[0]
            cell = weights[1] @ (cell / np.linalg.norm(mean)) + biases[1]
            expected = cell / np.linalg.norm(last) / 4
            np.testing.assert_allclose(found.parts[row, column].numpy(), expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "head", "args", "shape"),
    [
        ("resnet10t", "mlp", {}, (2, 2)),
        ("resnet10t", "hidden", {}, (2, 2)),
        ("convnext_atto", "linear", {}, (2, 2)),  # a norm behind the pooling
        ("mobilenetv3_small_050", "none", {}, (2, 2)),  # a layer behind it
        ("vit_tiny_patch16_224", "linear", {"img_size": 64}, (4, 4)),  # a class token
        ("vit_tiny_patch16_224", "none", {"img_size": 64, "global_pool": "avg"}, (4, 4)),
        ("vit_tiny_patch16_224", "none", {"img_size": 64, "global_pool": "avg", "fc_norm": False}, (4, 4)),
    ],
)
def test_otherwise_a_cell_is_embedded_as_if_it_were_the_picture(
    name: str, head: str, args: dict[str, Any], shape: tuple[int, int]
) -> None:
    encoder = encoder_of(name, head, **args)
    found = embed_cells(encoder, SPEC, pixels())
    # Averaged patches without anything behind them are the one case with a sum.
    assert [one.exact for one in found] == [args.get("fc_norm") is False] * 2
    expected = encoder.encode(as_input(pixels()))
    for one, whole in zip(found, expected, strict=True):
        assert one.parts.shape == (*shape, encoder.dimension)
        torch.testing.assert_close(one.whole, whole, atol=1e-4, rtol=1e-3)
        if not one.exact:
            torch.testing.assert_close(one.parts.norm(dim=-1), torch.ones(shape))


class Even(nn.Module):
    """A backbone whose grid is the same everywhere; its layout can be chosen."""

    num_features = 3

    def __init__(self, layout: str = "NCHW", pool: str = "max") -> None:
        super().__init__()
        self.output_fmt = layout
        self._pool = pool

    def forward_features(self, images: Tensor) -> Any:
        grid = nn.functional.avg_pool2d(images, 16)
        return grid.permute(0, 2, 3, 1) if self.output_fmt == "NHWC" else grid

    def forward_head(self, grid: Tensor) -> Tensor:
        cells = grid.flatten(1, 2) if self.output_fmt == "NHWC" else grid.flatten(2).transpose(1, 2)
        return cells.amax(1) if self._pool == "max" else cells.mean(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("pool", ["max", "mean"])
def test_rows_are_rows_in_both_layouts(layout: str, pool: str) -> None:
    picture = np.full((1, 64, 64, 3), 100, np.uint8)
    picture[0, :16, 48:] = (255, 0, 0)
    encoder = Encoder(Even(layout, pool), nn.Identity(), 3).eval()
    (found,) = embed_cells(encoder, Preprocessing(input_size=64), picture)
    assert found.exact == (pool == "mean")
    odd = (found.parts - found.parts.flatten(0, 1).median(0).values).norm(dim=-1)
    assert np.unravel_index(int(odd.argmax()), odd.shape) == (0, 3)


class Odd(Even):
    """Gives what no picture can be laid under."""

    def __init__(self, features: Any) -> None:
        super().__init__()
        self._features = features

    def forward_features(self, images: Tensor) -> Any:
        return self._features

    def forward_head(self, grid: Any) -> Tensor:
        return torch.ones(1, 3)


@pytest.mark.parametrize(
    "backbone",
    [
        nn.Flatten(),
        Odd([torch.zeros(1, 3, 4, 4)]),
        Odd(torch.zeros(1, 3)),
        Odd(torch.zeros(1, 3, 1, 1)),
        Odd(torch.zeros(1, 7, 3)),
    ],
    ids=["no features", "several maps", "pooled already", "one cell", "tokens without a grid"],
)
def test_an_encoder_without_a_grid_says_so(backbone: nn.Module) -> None:
    encoder = Encoder(backbone, nn.Identity(), 3).eval()
    with pytest.raises(NoGrid, match="does not keep where"):
        embed_cells(encoder, SPEC, pixels(1))
