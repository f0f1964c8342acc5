"""Views for self-supervised learning: SimCLR's two, beside torchvision's and Pillow's pipelines of a picture at a time.

All on one thread, in processor time, so that other load counts less; the ways take turns, several rounds, and each
keeps its best. At 32 pixels the pictures lie in memory; at 224 they are JPEG files of 256 pixels as ``prepared`` keeps
them, and their decoding is counted for everybody. The step is forward, backward and SGD of a bare ResNet-18 on both
views (at 32 pixels with the small stem: a 3 x 3 convolution, no pooling).

- torchvision v2: its transforms on uint8 tensors, normalised floats at the end;
- Pillow: torchvision's transforms on Pillow images and Pillow's blur, which is what lightly and the authors' code do;
- one-matrix Pillow: ``models.augment``, whose jitter neither clamps between steps nor turns the hue in HSV.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from time import process_time

import numpy as np
import torch
import torchvision
import torchvision.transforms as v1
import torchvision.transforms.v2 as v2
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor, nn

from retrieval.core.preprocessing import Preprocessing
from retrieval.datasets.loader import image_generator
from retrieval.datasets.prepared import kept_size
from retrieval.functional.counter import keys_of
from retrieval.models.augment import Augmentation
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.looks import Look, looks_for
from tests.benchmarks.support import show

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SAMPLES = Path(__file__).parents[2] / "data" / "samples"
VIEWS = 2


def run(quick: bool = False) -> None:
    """Print the tables."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _small(rounds=2 if quick else 7)
        _large(rounds=2 if quick else 7)
    finally:
        torch.set_num_threads(threads)


def _small(rounds: int, count: int = 256) -> None:
    pixels = np.stack([np.asarray(image.resize((32, 32))) for image in _samples(count)])
    pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    images = [Image.fromarray(one) for one in pixels]
    (look,) = looks_for("simclr", 32)
    augment, tensors, pillow = BatchAugment((look,), MEAN, STD), _torchvision(look), _pillow(look)
    ways: dict[str, Callable[[int], object]] = {
        "**ours**": lambda epoch: augment(pictures, keys_of(0, epoch, np.arange(count))),
        "torchvision v2, tensors": lambda epoch: [[tensors(one) for _ in range(VIEWS)] for one in pictures],
        "Pillow": lambda epoch: [[pillow(one) for _ in range(VIEWS)] for one in images],
    }
    _report("Two views of SimCLR at 32 pixels, from memory", ways, rounds, count, _step(32, 32, rounds))


def _large(rounds: int, count: int = 16) -> None:
    files = [_kept(image) for image in _samples(count)]
    (look,) = looks_for("simclr", 224)
    augment, tensors, pillow = BatchAugment((look,), MEAN, STD), _torchvision(look), _pillow(look)
    matrix = Augmentation(
        Preprocessing(input_size=224, interpolation=look.filter), "none", area=look.scale[0], flip=look.flip,
        brightness=look.brightness, contrast=look.contrast, saturation=look.saturation, hue=look.hue,
        jitter=look.jitter, grey=look.grey, blur=look.blur,
    )  # fmt: skip

    def ours(epoch: int) -> object:
        pixels = [_tensor(_decoded(file)) for file in files]
        # Eight at a time, as ViewSource's threads do.
        return [augment(pixels[at : at + 8], keys_of(0, epoch, np.arange(at, at + 8))) for at in range(0, count, 8)]

    def by_matrix(epoch: int) -> object:
        out = np.empty((VIEWS, count, 3, 224, 224), np.float32)
        for n, file in enumerate(files):
            picture = _decoded(file)
            for view in range(VIEWS):
                matrix.normalise(matrix(picture, image_generator(view, epoch, n)), out[view, n])
        return out

    ways: dict[str, Callable[[int], object]] = {
        "**ours**": ours,
        "torchvision v2, tensors": lambda _: [_twice(tensors, _tensor(_decoded(file))) for file in files],
        "Pillow": lambda _: [_twice(pillow, _decoded(file)) for file in files],
        "one-matrix Pillow": by_matrix,
        "decoding alone": lambda _: [_decoded(file) for file in files],
    }
    _report("Two views of SimCLR at 224 pixels, from JPEG files", ways, rounds, count, _step(224, 4, rounds))


def _report(title: str, ways: dict[str, Callable[[int], object]], rounds: int, count: int, step: float) -> None:
    seconds = dict.fromkeys(ways, float("inf"))
    for epoch in range(rounds + 1):
        for name, way in ways.items():
            start = process_time()
            way(epoch)
            if epoch:  # the first round warms up
                seconds[name] = min(seconds[name], (process_time() - start) / count)
    first = next(iter(seconds.values()))
    rows = [
        [name, f"{1e3 * one:.3f} ms", f"{1 / one:,.0f}", f"{one / first:.2f}", f"{100 * one / step:.1f} %"]
        for name, one in seconds.items()
    ]
    rows.append(["ResNet-18 step", f"{1e3 * step:.1f} ms", f"{1 / step:,.0f}", f"{step / first:.0f}", "100 %"])
    show(title, ["one thread", "an image", "images/s", "times ours", "of a step"], rows)


def _step(side: int, batch: int, rounds: int) -> float:
    """Seconds an image (both views) of a bare training step."""
    network = torchvision.models.resnet18(num_classes=128)
    if side == 32:
        network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    optimiser = torch.optim.SGD(network.parameters(), 0.01, 0.9)
    views, best = torch.randn(VIEWS * batch, 3, side, side), float("inf")
    for number in range(max(2, rounds // 2) + 1):
        start = process_time()
        network(views).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        best = min(best, process_time() - start) if number else best
    return best / batch


def _torchvision(look: Look) -> Callable[[Tensor], Tensor]:
    blur = [v2.RandomApply([v2.GaussianBlur(23, look.sigma)], look.blur)] if look.blur else []
    return v2.Compose(
        [
            v2.RandomResizedCrop(look.size, look.scale, look.ratio, v2.InterpolationMode(look.filter), antialias=True),
            v2.RandomHorizontalFlip(look.flip),
            v2.RandomApply([v2.ColorJitter(look.brightness, look.contrast, look.saturation, look.hue)], look.jitter),
            v2.RandomGrayscale(look.grey),
            *blur,
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )


def _pillow(look: Look) -> Callable[[Image.Image], Tensor]:
    blur = [v1.RandomApply([_PillowBlur(look.sigma)], look.blur)] if look.blur else []
    return v1.Compose(
        [
            v1.RandomResizedCrop(look.size, look.scale, look.ratio, v1.InterpolationMode(look.filter)),
            v1.RandomHorizontalFlip(look.flip),
            v1.RandomApply([v1.ColorJitter(look.brightness, look.contrast, look.saturation, look.hue)], look.jitter),
            v1.RandomGrayscale(look.grey),
            *blur,
            v1.ToTensor(),
            v1.Normalize(MEAN, STD),
        ]
    )


class _PillowBlur:
    """Pillow's Gaussian blur with a random radius, as MoCo's code has it."""

    def __init__(self, sigma: tuple[float, float]) -> None:
        self._sigma = sigma

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.filter(ImageFilter.GaussianBlur(float(np.random.uniform(*self._sigma))))


def _samples(count: int) -> list[Image.Image]:
    paths = sorted(SAMPLES.glob("*/*.jpg"))[:: max(1, len(list(SAMPLES.glob("*/*.jpg"))) // count)]
    return [Image.open(paths[n % len(paths)]).convert("RGB") for n in range(count)]


def _kept(image: Image.Image, side: int = 256) -> bytes:
    """As ``prepared`` keeps it, enlarged where a sample is smaller."""
    scale = max(1.0, side / min(image.size))
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    out = BytesIO()
    image.resize(kept_size(*image.size, side)).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def _decoded(file: bytes) -> Image.Image:
    image = Image.open(BytesIO(file), formats=("JPEG",))
    image.load()
    return image


def _tensor(image: Image.Image) -> Tensor:
    pixels: NDArray[np.uint8] = np.array(image)
    return torch.from_numpy(pixels).permute(2, 0, 1)


def _twice(make: Callable, picture: object) -> list[Tensor]:
    return [make(picture) for _ in range(VIEWS)]
