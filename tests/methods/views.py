"""A tiny network and a tiny source of views: what the tests of the self-supervised methods train."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.methods.table import METHODS
from retrieval.models.classifier import Classifier, classifier_layer
from retrieval.models.encoder import Encoder
from retrieval.training.config import LoopConfig

SIDE, FEATURES, EXAMPLES, BATCH, CLASSES = 8, 8, 48, 16, 3

LABELS = torch.where(torch.arange(EXAMPLES) % 4 == 0, -1, torch.arange(EXAMPLES) % CLASSES)
"""Of the examples, for methods that take labels: a quarter has none."""

SMALL: dict[str, dict[str, Any]] = {
    "simclr": {"hidden": 12, "dimension": 6},
    "byol": {"hidden": 12, "dimension": 6, "momentum": 0.9},
    "simsiam": {"hidden": 12, "dimension": 6, "bottleneck": 4},
    "barlow_twins": {"hidden": 12, "dimension": 6},
    "vicreg": {"hidden": 12, "dimension": 6},
    "moco": {"hidden": 12, "dimension": 6, "queue": 40, "splits": 2},
    "autoencoder": {"side": 8, "width": 16},
    "w_mse": {"hidden": 12, "dimension": 4, "slice_size": 8},
    "swav": {"hidden": 12, "dimension": 6, "prototypes": 10, "queue": 24, "queue_epoch": 0},
    "deepcluster": {"hidden": 12, "dimension": 6, "clusters": 8, "heads": 3},
    "dino": {"hidden": 12, "bottleneck": 6, "prototypes": 10, "momentum": 0.9, "warmup_epochs": 2},
}
"""Options that make a method small enough for tests; others keep their defaults."""


class TinyConv(nn.Module):
    """Two convolutions and average pooling: [B, 3, S, S] → [B, FEATURES], whatever S is."""

    def __init__(self, batch_norm: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6) if batch_norm else nn.Identity()
        self.blocks = nn.Sequential(nn.Conv2d(6, FEATURES, 3, padding=1), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.blocks(torch.tanh(self.norm(self.stem(images)))).mean(dim=(2, 3))
        return features


def tiny_encoder(batch_norm: bool = False, seed: int = 0) -> Encoder:
    """An untrained encoder of images; the global random state is not changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(TinyConv(batch_norm), nn.Identity(), FEATURES)


def tiny_method(name: str, batch_norm: bool = False, seed: int = 0, **options: Any) -> SelfSupervised:
    """A method of the table on a tiny encoder."""
    spec = METHODS[name]
    handed: dict[str, Any] = {
        "examples": EXAMPLES, "nearest": nearest, "classes": CLASSES, "teacher": tiny_encoder(seed=5),
        "teacher_classifier": tiny_classifier(),
    }  # fmt: skip
    given = {key: value for key, value in handed.items() if spec.needs(key)}
    return spec.make(tiny_encoder(batch_norm, seed), **{**SMALL.get(name, {}), **options}, **given, seed=seed)


def tiny_classifier() -> Classifier:
    """An untrained teacher of distinct opinions."""
    layer = classifier_layer(FEATURES, CLASSES, seed=5)
    with torch.no_grad():
        layer.weight.mul_(1000)
    return Classifier(tiny_encoder(seed=5), layer)


def nearest(queries: Any, base: Any) -> Any:
    """[Q] int64: for each row of ``queries`` [Q, D] the place of the row of ``base`` [N, D] most alike."""
    return (queries @ base.T).argmax(axis=1)


class TinyViews:
    """Batches of views: shifted, noisy looks at ``EXAMPLES`` fixed random pictures.

    Args:
        views: full-size views of an image.
        small: further, smaller ones.
        part: rows of every batch that this process has.
        noise: standard deviation of what a look adds to a picture, whose own is 1.
    """

    def __init__(
        self, views: int = 2, small: int = 0, part: slice = slice(None), seed: int = 0, noise: float = 0.3
    ) -> None:
        self.views, self.small, self.part, self.seed, self.noise = views, small, part, seed, noise
        self.pictures = torch.randn(EXAMPLES, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))

    def steps(self, epoch: int) -> int:
        return EXAMPLES // BATCH

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(1000 * self.seed + epoch)
        order = torch.randperm(EXAMPLES, generator=generator)
        looks = [self._look(generator) for _ in range(self.views + self.small)]
        for n in range(start, self.steps(epoch)):
            ids = order[n * BATCH : (n + 1) * BATCH][self.part]
            views = [look[ids] for look in looks]
            views[self.views :] = [view[:, :, : SIDE // 2, : SIDE // 2] for view in views[self.views :]]
            yield Batch(views[0], LABELS[ids], ids, tuple(views[1:]))

    def _look(self, generator: torch.Generator) -> Tensor:
        noise = torch.randn(self.pictures.shape, generator=generator)
        return self.pictures.roll(int(torch.randint(3, (), generator=generator)), 3) + self.noise * noise

    def describe(self, ids: Tensor) -> list[str]:
        return [f"photo {i}.jpg" for i in ids.tolist()]


def config(**changes: Any) -> LoopConfig:
    """Two epochs on the CPU, the whole encoder trained."""
    values: dict[str, Any] = {
        "epochs": 2, "learning_rate": 0.01, "backbone_rate": 1.0, "batch_norm": "train", "log_every": 1,
        "device": "cpu", "precision": "32-true",
    }  # fmt: skip
    return LoopConfig(**{**values, **changes})


def small_views(name: str) -> int:
    """How many small crops a method takes beside its full-size views."""
    return 2 if METHODS[name].looks.endswith("multi-crop") else 0
