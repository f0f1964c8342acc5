"""Where two pictures match: a patch that both show is found in both, at its place in the original pictures."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from retrieval.core.errors import EmptyGallery, ImageError, NoGrid, NoSuchPath
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.types import Pixels, Region
from retrieval.images.decode import decode
from retrieval.images.jobs import BytesResult
from retrieval.images.region import decode_region
from retrieval.models.cells import Cells, embed_cells
from retrieval.models.encoder import Encoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.matching import MOST_CELLS, Explanation, Heat, ToMatch, explained
from retrieval.workflows.models import create_model
from retrieval.workflows.queries import Example
from retrieval.workflows.searching import Searcher

from .support import fill, index, picture

CELL = 16
SPEC = Preprocessing(input_size=128, interpolation="nearest", mean=(0.5,) * 3, std=(0.25,) * 3)


class Seeing(nn.Module):
    """Every cell of 16 x 16 pixels becomes 512 random but fixed mixtures of its pixels; pooled by mean or maximum."""

    num_features = 512

    def __init__(self, pool: str) -> None:
        super().__init__()
        self._pool = pool
        self.mix = nn.Conv2d(3, 512, CELL, CELL, bias=False)
        with torch.no_grad():
            self.mix.weight.copy_(torch.randn(self.mix.weight.shape, generator=torch.Generator().manual_seed(1)))

    def forward_features(self, images: Tensor) -> Tensor:
        mixed: Tensor = self.mix(images)
        return mixed

    def forward_head(self, grid: Tensor) -> Tensor:
        return grid.mean((2, 3)) if self._pool == "mean" else grid.amax((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(images))


class Eye:
    """Such an encoder as the workflow sees it."""

    def __init__(self, pool: str = "mean", spec: Preprocessing = SPEC) -> None:
        self.spec = spec
        self._encoder = Encoder(Seeing(pool), nn.Identity(), 512).eval().requires_grad_(False)

    def embed_cells(self, pixels: Pixels) -> list[Cells]:
        return embed_cells(self._encoder, self.spec, pixels)


def noise(seed: int, size: tuple[int, int], patch_at: tuple[int, int] | None = None) -> bytes:
    """Faint noise of its own, and a patch of strong contrast that is always the same."""
    pixels = np.random.default_rng(seed).integers(112, 145, (size[1], size[0], 3)).astype(np.uint8)
    if patch_at is not None:
        left, top = patch_at
        pixels[top : top + CELL, left : left + CELL] = np.random.default_rng(0).integers(0, 2, (CELL, CELL, 3)) * 255
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def read(data: bytes, region: Region | None = None, spec: Preprocessing = SPEC) -> ToMatch:
    facts, pixels = decode(data, spec)
    if region is not None:
        pixels = decode_region(data, region, spec)
    return ToMatch(BytesResult(facts, pixels), region)


def box(heat: Heat, cell: int) -> tuple[float, ...]:
    """A cell's left, top, right and bottom in pixels of the picture."""
    rows, columns = heat.values.shape
    row, column = divmod(cell, columns)
    left, top, right, bottom = heat.seen
    across, down = (right - left) * heat.width / columns, (bottom - top) * heat.height / rows
    x, y = left * heat.width + column * across, top * heat.height + row * down
    return (x, y, x + across, y + down)


def hottest(found: Explanation) -> tuple[tuple[float, ...], tuple[float, ...]]:
    query, image = (box(heat, int(heat.values.argmax())) for heat in (found.query, found.image))
    return query, image


def at(left: int, top: int) -> pytest.approx:  # type: ignore[valid-type]
    return pytest.approx((left, top, left + CELL, top + CELL), abs=1e-6)


# Of a wide and of a tall picture the encoder sees a square in the middle, which begins at 32.
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_what_both_show_is_hot_in_both_where_it_lies(pool: str) -> None:
    wide, tall = noise(1, (192, 128), (32 + 5 * CELL, 2 * CELL)), noise(2, (128, 192), (CELL, 32 + 6 * CELL))
    found = explained(Eye(pool), [read(wide), read(tall)])
    assert hottest(found) == (at(112, 32), at(16, 128))
    assert found.query.seen == pytest.approx((1 / 6, 0, 5 / 6, 1))
    assert found.exact == (pool == "mean")
    # Cell by cell: the patch of one finds the patch of the other, and the noise beside it does not.
    first, second = (int(heat.values.argmax()) for heat in (found.query, found.image))
    assert int(found.pairs[first].argmax()) == second
    assert int(found.pairs[:, second].argmax()) == first
    others = np.delete(found.pairs[first], second)
    assert found.pairs[first, second] > 3 * np.abs(others).max()
    # Without the patch the same places are cold.
    plain = explained(Eye(pool), [read(noise(1, (192, 128))), read(tall)])
    assert plain.query.values.flat[first] < 0.5 * found.query.values.flat[first]


def test_all_of_it_sums_to_the_score() -> None:
    eye = Eye()
    pair = [read(noise(1, (128, 128), (0, 0))), read(noise(2, (128, 128), (112, 112)))]
    found = explained(eye, pair)
    first, second = (one.whole.numpy() for one in eye.embed_cells(np.stack([p.decoded.pixels for p in pair])))  # type: ignore[misc]
    assert found.score == pytest.approx(float(first @ second), abs=1e-6)
    assert found.pairs.shape == (64, 64)
    for sum_of in (found.pairs, found.query.values, found.image.values):
        assert float(sum_of.sum()) == pytest.approx(found.score, abs=1e-4)
    np.testing.assert_allclose(found.pairs.sum(1).reshape(8, 8), found.query.values, atol=1e-5)
    np.testing.assert_allclose(found.pairs.sum(0).reshape(8, 8), found.image.values, atol=1e-5)


def test_of_a_marked_part_only_that_is_explained_and_it_lies_where_it_was_marked() -> None:
    data = noise(3, (256, 256), (128 + 2 * CELL, 64 + 3 * CELL))
    region = Region(0.5, 0.25, 1.0, 0.75)
    found = explained(Eye(), [read(data, region), read(noise(4, (128, 128), (0, 0)))])
    assert found.query.seen == pytest.approx((0.5, 0.25, 1.0, 0.75))
    assert hottest(found) == (at(160, 112), at(0, 0))


def test_a_fine_grid_is_put_together_and_still_sums() -> None:
    spec = Preprocessing(input_size=20 * CELL, interpolation="nearest", mean=(0.5,) * 3, std=(0.25,) * 3)
    pair = [read(noise(n, (320, 320), (n * CELL, 0)), spec=spec) for n in (5, 6)]
    found = explained(Eye(spec=spec), pair)
    assert found.query.values.shape == found.image.values.shape == (MOST_CELLS, MOST_CELLS)
    assert float(found.pairs.sum()) == pytest.approx(found.score, abs=1e-4)


# -- a gallery ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    base = tmp_path_factory.mktemp("explained")
    create_model(base / "model", backbone="test_resnet", untrained=True, seed=0, input_size=128, name="model")
    index(base / "gallery", fill(base / "photos", range(4)), model=str(base / "model"))
    with Gallery(base / "gallery") as opened, Searcher(opened) as searcher:
        yield searcher


def as_png(seed: int) -> bytes:
    out = io.BytesIO()
    picture(seed).save(out, "PNG")
    return out.getvalue()


def test_a_searcher_explains_its_own_scores(searcher: Searcher) -> None:
    upload = as_png(7)
    for neighbour in searcher.by_image(upload, 4).neighbours:
        found = searcher.explain(Example(None, upload), neighbour.id)
        assert found.exact
        # Vectors are kept in half precision.
        assert found.score == pytest.approx(neighbour.score, abs=2e-3)
        assert float(found.pairs.sum()) == pytest.approx(found.score, abs=1e-4)
        assert (found.query.width, found.query.height) == (48, 36)


def test_every_kind_of_example_is_explained_and_a_picture_with_itself_is_one(searcher: Searcher) -> None:
    first = searcher.samples(1)[0]
    same = searcher.explain(Example(first), first)
    assert same.score == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(same.query.values, same.image.values, atol=1e-6)
    part = Region(0.0, 0.0, 0.5, 0.5)
    marked = searcher.explain(Example(first, None, part), first)
    assert marked.query.seen[2] <= 0.75 + 1e-6
    assert marked.score < same.score
    key = searcher.remember(as_png(7))
    kept = searcher.explain(Example(None, None, None, key), first)
    assert kept.score == pytest.approx(searcher.explain(Example(None, as_png(7)), first).score, abs=0.02)


def test_what_cannot_be_explained_is_said(searcher: Searcher, tmp_path: Path) -> None:
    first = searcher.samples(1)[0]
    with pytest.raises(ImageError):
        searcher.explain(Example(None, b"no picture"), first)
    with pytest.raises(NoSuchPath, match="no image 999"):
        searcher.explain(Example(first), 999)
    with Gallery(tmp_path / "empty", create=True) as empty, Searcher(empty) as nobody, pytest.raises(EmptyGallery):
        nobody.explain(Example(1), 1)


def test_an_image_whose_file_is_gone_and_an_encoder_of_one_cell_are_said(gallery: Path, tmp_path: Path) -> None:
    fill(tmp_path / "photos", range(3))
    index(gallery, tmp_path / "photos")
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        first = searcher.samples(1)[0]
        with pytest.raises(NoGrid):
            searcher.explain(Example(first), first)
        for path in searcher.record(first).paths:
            Path(path).unlink()
        with pytest.raises(NoSuchPath, match="can be reached"):
            searcher.explain(Example(first), first)
