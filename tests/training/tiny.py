"""A tiny encoder, a tiny labelled source and a tiny method: what the training tests train."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.methods.method import Method, ParameterGroup, StepOutput
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.training.config import LoopConfig

FEATURES, DIMENSION, CLASSES = 6, 4, 3


class Backbone(nn.Module):
    """Two layers with batch-norm and dropout between them, as each test asks for."""

    def __init__(self, batch_norm: bool, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Linear(FEATURES, 8)
        self.norm = nn.BatchNorm1d(8) if batch_norm else nn.Identity()
        self.blocks = nn.Sequential(nn.Sequential(nn.Linear(8, 8), nn.Tanh()), nn.Sequential(nn.Linear(8, 8)))
        self.drop = nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.drop(torch.tanh(self.blocks(self.norm(self.stem(inputs)))))
        return features


class ConvolutionalBackbone(nn.Module):
    """Pictures of 3 x 6 x 6: two convolutions with batch-norm after the first, as each test asks for."""

    def __init__(self, batch_norm: bool, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8) if batch_norm else nn.Identity()
        self.blocks = nn.Sequential(nn.Sequential(nn.Conv2d(8, 8, 3), nn.Tanh()))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.drop = nn.Dropout(dropout)

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.drop(self.pool(self.blocks(torch.tanh(self.norm(self.stem(inputs))))))
        return features


def convolutional_encoder(batch_norm: bool = False, dropout: float = 0.0, seed: int = 0) -> Encoder:
    """An untrained encoder of pictures; its batch-norm has seen other pictures, so that freezing it matters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = ConvolutionalBackbone(batch_norm, dropout)
        if isinstance(backbone.norm, nn.BatchNorm2d):
            backbone.norm(1 + 2 * torch.randn(64, 8, 4, 4))
            nn.init.uniform_(backbone.norm.weight, 0.5, 1.5)
        return Encoder(backbone, nn.Linear(8, DIMENSION), DIMENSION)


def tiny_encoder(batch_norm: bool = False, dropout: float = 0.0, seed: int = 0) -> Encoder:
    """An untrained encoder of FEATURES values; the global random state is not changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(Backbone(batch_norm, dropout), nn.Linear(8, DIMENSION), DIMENSION)


class TinySource:
    """``per_epoch`` batches of ``size`` examples, two or more of each class; each epoch in another order and noise."""

    def __init__(self, per_epoch: int = 5, size: int = 12, seed: int = 0, part: slice = slice(None)) -> None:
        self.per_epoch, self.size, self.seed, self.part = per_epoch, size, seed, part
        generator = torch.Generator().manual_seed(seed)
        self.labels = torch.arange(per_epoch * size) % CLASSES
        means = torch.randn(CLASSES, FEATURES, generator=generator)
        self.inputs = means[self.labels] + 0.8 * torch.randn(len(self.labels), FEATURES, generator=generator)

    def steps(self, epoch: int) -> int:
        return self.per_epoch

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(1000 * self.seed + epoch)
        # Whole triples of the classes stay together, so that every batch has every class.
        order = torch.randperm(len(self.labels) // CLASSES, generator=generator)
        order = (order[:, None] * CLASSES + torch.arange(CLASSES)).flatten()
        noise = torch.randn(self.inputs.shape, generator=generator) / 10
        for n in range(start, self.per_epoch):
            ids = order[n * self.size : (n + 1) * self.size][self.part]
            yield Batch(self.inputs[ids] + noise[ids], self.labels[ids], ids)

    def describe(self, ids: Tensor) -> list[str]:
        return [f"photo {i}.jpg" for i in ids.tolist()]


class Pictures(TinySource):
    """The tiny source as pictures of 3 x 6 x 6."""

    def batches(self, epoch: int, start: int) -> Iterator[Batch]:
        for batch in super().batches(epoch, start):
            grid = batch.inputs[:, :, None] * batch.inputs[:, None, :]
            yield batch._replace(inputs=grid[:, None].repeat(1, 3, 1, 1))


class Pull(Method):
    """Supervised contrastive in its plainest form, with one parameter of its own and one buffer that counts steps."""

    seen: Tensor

    def __init__(self, encoder: Encoder, poison_at: int | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.log_scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.poison_at = poison_at

    def embed(self, inputs: Tensor) -> EncoderOutput:
        output: EncoderOutput = self.encoder(inputs)
        return output

    def loss_of(self, output: EncoderOutput, batch: Batch) -> StepOutput:
        embeddings = output.normalised.float()
        logits = embeddings @ embeddings.T * self.log_scale.exp()
        own = torch.eye(len(embeddings), dtype=torch.bool)
        log_share = logits.masked_fill(own, -torch.inf).log_softmax(1)
        same = (batch.labels[:, None] == batch.labels[None, :]) & ~own
        loss = -log_share[same].mean() + 0.01 * output.raw.float().square().mean()
        if self.poison_at is not None and int(self.seen) + 1 == self.poison_at:
            loss = loss * math.nan
        return StepOutput(loss, {"pull": loss.detach()}, embeddings.detach())

    def training_step(self, batch: Batch) -> StepOutput:
        return self.loss_of(self.embed(batch.inputs), batch)

    def after_step(self) -> None:
        self.seen += 1

    def groups(self) -> Iterator[ParameterGroup]:
        for name, part in (("backbone", self.encoder.backbone), ("head", self.encoder.head)):
            matrices = [p for p in part.parameters() if p.ndim > 1]
            vectors = [p for p in part.parameters() if p.ndim <= 1]
            yield ParameterGroup(name, matrices, 1.0, True)
            yield ParameterGroup(name, vectors, 1.0, False)
        yield ParameterGroup("loss", [self.log_scale], 10.0, False)


def config(**changes: object) -> LoopConfig:
    """Three epochs on the CPU that log every step."""
    values: dict[str, object] = {
        "epochs": 3, "learning_rate": 0.01, "backbone_rate": 0.5, "log_every": 2, "device": "cpu",
        "precision": "32-true",
    }  # fmt: skip
    return LoopConfig(**{**values, **changes})  # type: ignore[arg-type]


class StopAfter:
    """``hooks.stop`` that says yes after ``steps`` steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def same_state(first: nn.Module, second: nn.Module) -> None:
    """Every tensor of both is equal bit for bit."""
    one, two = first.state_dict(), second.state_dict()
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


TIMES = ("images_per_second", "eta_seconds")


def timeless(history: list[dict[str, object]]) -> list[dict[str, object]]:
    """Lines of a log without what depends on the clock."""
    return [{k: v for k, v in line.items() if k not in TIMES} for line in history]
