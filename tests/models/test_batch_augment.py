"""Views of a batch: torchvision's functions with the same parameters, picture after picture, are the witness."""

from itertools import permutations

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as tv
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.functional.counter import keys_of
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.batch_blur import blurred
from retrieval.models.batch_colour import ORDERS, greyed, hue_turned, jittered, solarised
from retrieval.models.look_draws import LookDraws, draw_looks
from retrieval.models.looks import PRESETS, Look, looks_for
from retrieval.models.resample import by_products, one_by_one, resized_crops
from tests.images.conftest import draw_photo

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def photos(count: int, height: int, width: int) -> torch.Tensor:
    """A drawing or a ramp, noise, and flat grey, which has no hue."""
    random = np.random.default_rng(count + height)
    kinds = [
        np.asarray(draw_photo(width, height)) if min(height, width) > 8 else np.full((height, width, 3), (9, 99, 200)),
        random.integers(0, 256, (height, width, 3), dtype=np.uint8),
        np.full((height, width, 3), 77, np.uint8),
    ]
    return torch.from_numpy(np.stack([kinds[n % 3] for n in range(count)]).astype(np.uint8)).permute(0, 3, 1, 2)


def floats(count: int, side: int = 24) -> torch.Tensor:
    return photos(count, side, side).to(torch.float32, memory_format=torch.contiguous_format) / 255


def boxes_in(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng(seed)
    w, h = random.integers(1, width + 1, count), random.integers(1, height + 1, count)
    left, top = random.integers(0, width - w + 1), random.integers(0, height - h + 1)
    return torch.from_numpy(np.stack([left, top, w, h], 1).astype(np.int64))


def cropped(picture: torch.Tensor, box: list[int], side: int, flip: bool, filter: str) -> torch.Tensor:
    """A crop by torchvision."""
    left, top, w, h = box
    crop = tv.resized_crop(picture, top, left, h, w, [side, side], tv.InterpolationMode(filter), antialias=True)
    return tv.horizontal_flip(crop) if flip else crop


# ------------------------------------------------------------------ crop and resize


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
@settings(max_examples=30, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 60), side=st.integers(1, 40), seed=st.integers(0, 99))
def test_crops_are_torchvisions_exactly_or_to_two_levels(
    device: str, filter: str, height: int, width: int, side: int, seed: int
) -> None:
    pictures, boxes = photos(5, height, width), boxes_in(5, height, width, seed)
    flips = torch.tensor([True, False, True, False, False])
    one = one_by_one(pictures, boxes, side, flips, filter)
    other = by_products(pictures.to(device), boxes.to(device), side, flips.to(device), filter).cpu()
    assert one.shape == other.shape == (5, 3, side, side)
    assert one.dtype == other.dtype == torch.uint8
    for n, box in enumerate(boxes.tolist()):
        assert torch.equal(one[n], cropped(pictures[n], box, side, bool(flips[n]), filter))
        assert (other[n].int() - one[n].int()).abs().max() <= 2
        if filter == "bilinear":
            # In floats, without the rounding to 8 bits after each pass.
            wanted = cropped(pictures[n].float(), box, side, bool(flips[n]), filter)
            assert (other[n] - wanted).abs().max() <= 1.51


def test_both_ways_agree_nearly_everywhere() -> None:
    pictures, boxes, flips = photos(12, 40, 50), boxes_in(12, 40, 50), torch.zeros(12, dtype=torch.bool)
    for filter in ("bilinear", "bicubic"):
        one = one_by_one(pictures, boxes, 32, flips, filter).int()
        other = by_products(pictures, boxes, 32, flips, filter).int()
        assert (one - other).abs().max() <= 2
        assert (one == other).float().mean() > 0.98
        assert ((one - other).abs() == 2).float().mean() < 1e-3


def test_a_shrunk_crop_is_the_mean_of_its_pixels() -> None:
    stripes = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 200
    whole = torch.tensor([[0, 0, 64, 64]])
    for way in (one_by_one, by_products):
        small = way(stripes, whole, 8, torch.tensor([False]), "bilinear")
        # Without antialiasing it would be 0 or 200.
        assert (small[..., 1:-1].int() - 100).abs().max() <= 2


def test_pictures_of_several_sizes_are_cropped_one_by_one() -> None:
    pictures = [photos(1, 20, 30)[0], photos(1, 41, 17)[0]]
    boxes, flips = torch.tensor([[3, 2, 20, 15], [0, 10, 17, 30]]), torch.tensor([False, True])
    crops = resized_crops(pictures, boxes, 16, flips, "bicubic")
    for n in range(2):
        alone = resized_crops(pictures[n][None], boxes[n : n + 1], 16, flips[n : n + 1], "bicubic")
        assert torch.equal(crops[n : n + 1], alone)


# ------------------------------------------------------------------ colour and blur


def changed(picture: torch.Tensor, order: int, factors: list[float], turn: float) -> torch.Tensor:
    """The four changes one after the other, by torchvision."""
    kinds, before = ORDERS[order]
    steps: list[int] = list(kinds)
    steps.insert(before, 3)
    for step in steps:
        if step == 3:
            picture = tv.adjust_hue(picture, turn)
        else:
            adjust = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)[step]
            picture = adjust(picture, factors[step])
    return picture


def test_the_orders_are_all_there_are() -> None:
    found = set()
    for kinds, before in ORDERS:
        steps = list(kinds)
        steps.insert(before, 3)
        found.add(tuple(steps))
    assert found == set(permutations(range(4)))
    assert len(ORDERS) == 24


@pytest.mark.parametrize("device", DEVICES)
def test_jitter_is_torchvisions_in_every_order(device: str) -> None:
    random = np.random.default_rng(0)
    count = 72
    pictures, orders = floats(count), torch.arange(count) % 24
    factors = torch.from_numpy(random.uniform(0, 2, (count, 3)).astype(np.float32))
    turns = torch.from_numpy(random.uniform(-0.5, 0.5, count).astype(np.float32))
    given = pictures.clone().to(device)
    results = jittered(given, orders.to(device), factors.to(device), turns.to(device)).cpu()
    for n in range(count):
        wanted = changed(pictures[n], int(orders[n]), factors[n].tolist(), float(turns[n]))
        torch.testing.assert_close(results[n], wanted, atol=2e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    pixel=st.tuples(*[st.integers(0, 255)] * 3),
    turn=st.floats(-0.5, 0.5, width=32),
)
def test_hue_is_torchvisions_for_any_colour(pixel: tuple[int, int, int], turn: float) -> None:
    colour = (torch.tensor(pixel, dtype=torch.float32) / 255).view(1, 3, 1, 1)
    turned = hue_turned(colour, torch.tensor([turn]))
    # Where chroma is all that is left of a rounding, its hue is nobody's.
    torch.testing.assert_close(turned[0], tv.adjust_hue(colour[0], turn), atol=2e-5, rtol=0)


def test_a_jitter_of_nothing_changes_nothing() -> None:
    pictures = floats(24)
    same = jittered(pictures.clone(), torch.arange(24), torch.ones(24, 3), torch.zeros(24))
    torch.testing.assert_close(same, pictures, atol=1e-6, rtol=0)


def test_grey_and_solarise_are_torchvisions() -> None:
    pictures = floats(6)
    for one, grey, solar in zip(pictures, greyed(pictures), solarised(pictures), strict=True):
        torch.testing.assert_close(grey, tv.rgb_to_grayscale(one, 3), atol=1e-6, rtol=0)
        assert torch.equal(solar, tv.solarize(one, 0.5))


@pytest.mark.parametrize("most", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("side", [7, 32])
def test_blur_is_torchvisions_with_each_pictures_own_width(most: float, side: int) -> None:
    pictures = floats(6, side)
    sigmas = torch.linspace(0.1, most, 6)
    kernel = 2 * min(max(1, int(np.ceil(3 * most))), side - 1) + 1
    for result, picture, sigma in zip(blurred(pictures, sigmas, most), pictures, sigmas.tolist(), strict=True):
        wanted = tv.gaussian_blur(picture, [kernel, kernel], [sigma, sigma])
        torch.testing.assert_close(result, wanted, atol=1e-5, rtol=0)
        # And what is cut off of the tails is less than a level of 255.
        if side == 32:
            whole = tv.gaussian_blur(picture, [31, 31], [sigma, sigma])
            assert (result - whole).abs().max() < 1.5 / 255


# ------------------------------------------------------------------ whole views


def by_steps(look: Look, drawn: LookDraws, n: int, picture: torch.Tensor) -> torch.Tensor:
    """One view in torchvision's functions, in the order that the papers have."""
    view = cropped(picture, drawn.boxes[n].tolist(), look.size, bool(drawn.flips[n]), look.filter)
    view = changed(view.float() / 255, int(drawn.orders[n]), drawn.factors[n].tolist(), float(drawn.turns[n]))
    view = tv.rgb_to_grayscale(view, 3) if drawn.greys[n] else view
    if (sigma := float(drawn.sigmas[n])) > 0:
        kernel = 2 * min(max(1, int(np.ceil(3 * look.sigma[1]))), look.size - 1) + 1
        view = tv.gaussian_blur(view, [kernel, kernel], [sigma, sigma])
    view = tv.solarize(view, 0.5) if drawn.solarised[n] else view
    return tv.normalize(view, list(MEAN), list(STD))


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_views_are_torchvisions_with_the_same_draws(preset: str, size: int) -> None:
    count = 8 if size == 64 else 16
    looks, pictures = looks_for(preset, size), photos(count, size + 5, size + 9)
    augment = BatchAugment(looks, MEAN, STD)
    keys = keys_of(7, 3, np.arange(count))
    views = augment(pictures, keys)
    one_each = [look for look in looks for _ in range(look.count)]
    assert len(views) == len(one_each) == len(augment.sides)
    sizes = np.full((count, 2), (size + 9, size + 5))
    for number, (look, view) in enumerate(zip(one_each, views, strict=True)):
        assert (view.shape, view.dtype) == ((count, 3, look.size, look.size), torch.float32)
        assert view.is_contiguous()
        drawn = draw_looks(look, keys_of(keys, number), sizes)
        wanted = torch.stack([by_steps(look, drawn, n, pictures[n]) for n in range(count)])
        far = (view - wanted).abs() > 1e-3
        # A value within a rounding of one half is solarised either way; nothing else may differ.
        assert far.float().mean() < (1e-3 if look.solarise else 1e-9)


def test_each_view_is_another_one() -> None:
    views = BatchAugment(looks_for("simclr", 32, views=4), MEAN, STD)(photos(6, 32, 32), keys_of(0, np.arange(6)))
    for a in range(4):
        for b in range(a):
            assert all(not torch.equal(one, other) for one, other in zip(views[a][::3], views[b][::3], strict=True))


@pytest.mark.parametrize("preset", ["simclr", "byol", "dino-multi-crop"])
@pytest.mark.parametrize("size", [24, 96])
def test_a_view_is_the_same_in_any_batch(preset: str, size: int) -> None:
    augment, pictures = BatchAugment(looks_for(preset, size), MEAN, STD), photos(40, size, size)
    keys = keys_of(0, np.arange(40))
    whole = augment(pictures, keys)
    for some in ([5], [39, 2, 17], list(range(39, -1, -1))):
        for all_views, views in zip(whole, augment(pictures[some], keys[some]), strict=True):
            assert torch.equal(all_views[some], views)
    # Nor does it matter whether they lie in one tensor.
    for all_views, views in zip(whole, augment(list(pictures[:7]), keys[:7]), strict=True):
        assert torch.equal(all_views[:7], views)


def test_threads_change_nothing() -> None:
    augment, pictures = BatchAugment(looks_for("byol", 96), MEAN, STD), photos(9, 120, 120)
    keys, threads = keys_of(0, np.arange(9)), torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(augment(pictures, keys))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_the_pictures_stay_as_they_were() -> None:
    pictures = photos(6, 40, 40)
    before = pictures.clone()
    BatchAugment(looks_for("byol", 32), MEAN, STD)(pictures, keys_of(0, np.arange(6)))
    assert torch.equal(pictures, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_gpu_gives_the_same_views_to_a_level(preset: str) -> None:
    augment, pictures = BatchAugment(looks_for(preset, 64), MEAN, STD), photos(16, 80, 80)
    keys = keys_of(0, np.arange(16))
    for one, other in zip(augment(pictures, keys), augment(pictures.cuda(), keys), strict=True):
        # A level that is rounded apart can be stretched by the jitter, and be turned over by solarising.
        far = (one - other.cpu()).abs() > 8 / 255 / min(STD)
        assert far.float().mean() < 1e-2


def test_no_picture_gives_no_view_and_what_does_not_fit_is_refused() -> None:
    augment = BatchAugment(looks_for("byol", 32), MEAN, STD)
    assert [view.shape for view in augment(photos(3, 32, 32)[:0], keys_of(np.arange(0)))] == [(0, 3, 32, 32)] * 2
    with pytest.raises(ValueError, match="2 pictures, but 3 keys"):
        augment(photos(2, 32, 32), keys_of(np.arange(3)))
    with pytest.raises(ValueError, match="uint8"):
        augment(floats(2), keys_of(np.arange(2)))
    with pytest.raises(ValueError, match="no look"):
        BatchAugment((), MEAN, STD)
