"""One protocol for methods that learn without labels: small pictures, one encoder, one loop, selection on validation.

CIFAR-10 is cut into three parts with equally many images of each class: the training images, without their labels for
training, and some of them with their labels as the kNN's and the linear probe's; a validation part, of the training
folder too, by which epochs and trials are chosen; and images of the test folder, which are looked at as often but
choose nothing.

A run is a process of its own (one thread, its peak of memory), keeps its checkpoint, and its result is kept as JSON in
the cache, so that an interrupted benchmark goes on where it stopped, in the middle of a run too.
"""

import hashlib
import json
import resource
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic, process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from retrieval.core.types import Vectors
from retrieval.datasets.view_sources import TensorSource
from retrieval.evaluation.knn import knn_accuracy
from retrieval.evaluation.linear_probe import linear_probe
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.diagnostics import dimension_std, effective_rank
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.methods.table import METHODS
from retrieval.mining.shuffled import Shuffled
from retrieval.models.batch_augment import BatchAugment
from retrieval.models.encoder import Encoder
from retrieval.models.looks import looks_for
from retrieval.training.config import LoopConfig
from retrieval.training.hooks import TrainHooks
from retrieval.training.loop import fit
from retrieval.workflows.methods_at_work import nearest_rows
from tests.benchmarks.ssl_network import make_small_resnet
from tests.benchmarks.support import CACHE, child, unpacked

Ints = NDArray[np.int64]
MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)
CROPS = (0.2, 1.0)
"""Share of a picture's area that a view shows: MoCo's, SimSiam's, and W-MSE's on CIFAR-10."""
LAB = CACHE / "ssl"
VERSION = 3
"""Of what a run is; raised when the same values give another result than before."""


@dataclass(frozen=True)
class Protocol:
    """What all methods have in common.

    Attributes:
        name: of it.
        images: how many of each class train, choose, and prove.
        labelled: of those that train, how many of each class the kNN and the linear probe have the labels of.
        layers, channels, stride: of the ResNet's blocks and of its first convolution (3 x 3, no pooling after it).
        levels: pool over the levels of the network (``models.levels``), not its last one alone.
        epochs, every: how long, and after how many epochs it is looked at.
        batch: images a step.
        precision, device: of the loop.
        seeds: of the runs that count; the trials have the first.
        choose: keep the epoch that validation likes best; False: the last one, and nothing is looked at on the way.
    """

    name: str
    images: tuple[int, int, int]
    labelled: int
    layers: tuple[int, ...]
    channels: tuple[int, ...]
    stride: int
    epochs: int
    every: int
    batch: int
    levels: bool = False
    precision: str = "auto"
    device: str = "cpu"
    seeds: tuple[int, ...] = (0, 1, 2)
    choose: bool = True


SMALL = Protocol(
    "cores", (1200, 200, 500), 500, (1, 1, 1, 1), (16, 32, 64, 128), 2, epochs=6, every=2, batch=64, levels=True,
    precision="32-true",
)  # fmt: skip
"""For a share of one core, some two minutes a run: a quarter of CIFAR-10 for six epochs; a ResNet-10 of a quarter of
the width that begins at half the size. Its convolutions are as fast in fp32 as in bf16, being so narrow."""

GPU = Protocol(
    "gpu", (4500, 500, 1000), 4500, (2, 2, 2, 2), (64, 128, 256, 512), 1, epochs=100, every=10, batch=256,
    precision="bf16-mixed", device="cuda",
)  # fmt: skip
"""ResNet-18 with the stem for small pictures, all of CIFAR-10, 100 epochs."""

COLLAPSE = replace(
    SMALL, name="collapse", images=(200, 1, 100), labelled=200, epochs=3, levels=False, seeds=(0,), choose=False
)  # fmt: skip
"""For runs that are to collapse: the last weights count, and the last level, which collapses first."""

PEERS = replace(SMALL, name="peers", images=(400, 1, 500), labelled=400, epochs=2, seeds=(0,), choose=False)
"""For two losses that should do the same: long enough that a wrong one would show."""

QUICK = replace(SMALL, name="quick", images=(40, 20, 20), labelled=40, epochs=1, every=1, seeds=(0,))
QUICK_COLLAPSE = replace(QUICK, name="quick-collapse", levels=False, choose=False)
QUICK_PEERS = replace(QUICK, name="quick-peers", choose=False)
PROTOCOLS = {one.name: one for one in (SMALL, GPU, COLLAPSE, PEERS, QUICK, QUICK_COLLAPSE, QUICK_PEERS)}


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        protocol: its name in ``PROTOCOLS``.
        method: a name in ``METHODS``.
        options: of the method.
        rate, decay, optimiser: of the loop.
        seed: of the encoder, the batches, the views and the method.
        by: whose: ``ours``, ``lightly`` (``ssl_peers``), or ``regularised`` (``collapse``).
    """

    protocol: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    rate: float = 1e-3
    decay: float = 1e-4
    optimiser: str = "adamw"
    seed: int = 0
    by: str = "ours"

    @property
    def key(self) -> str:
        """Names the run's files."""
        common = asdict(replace(PROTOCOLS[self.protocol], seeds=()))
        values = json.dumps([asdict(self), common, VERSION], sort_keys=True)
        return f"{self.protocol}-{self.method}-{hashlib.sha256(values.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Part:
    """Pictures [N, 3, 32, 32] uint8 and their class numbers [N]."""

    pictures: Tensor
    numbers: Ints


def cifar(protocol: Protocol) -> tuple[Part, Part, Part]:
    """The training, validation and test part of a protocol."""
    stored = np.load(_packed())
    train, val, test = protocol.images
    return (
        _drawn(stored["train"], stored["train_numbers"], 0, train),
        _drawn(stored["train"], stored["train_numbers"], train, train + val),
        _drawn(stored["test"], stored["test_numbers"], 0, test),
    )


def labelled(train: Part, protocol: Protocol) -> Part:
    """Those training images whose labels the kNN and the linear probe have; of each class the first."""
    rows = np.flatnonzero(np.arange(len(train.numbers)) % protocol.images[0] < protocol.labelled)
    return Part(train.pictures[torch.from_numpy(rows)], train.numbers[rows])


def small_resnet(protocol: Protocol, seed: int) -> Encoder:
    """The untrained encoder."""
    return make_small_resnet(protocol.layers, protocol.channels, protocol.stride, protocol.levels, seed)


def result(run: Run, minutes: float | None = None) -> dict[str, Any] | None:
    """What a run gave: from the cache, or made now in a process of its own.

    Args:
        run: which.
        minutes: stop after so many, to be gone on with later; None: go to the end.

    Returns:
        None where it is not finished; else ``looks`` (epoch, val, test: kNN accuracy), ``epoch`` (the chosen one),
        ``val``, ``knn`` and ``linear`` (right or wrong for each test image), ``rank``, ``std``, ``alarms``, ``seconds``
        of training (of the processor, which other work beside moves less; of the clock on a GPU) and ``bytes`` at its
        peak.
    """
    kept = LAB / f"{run.key}.json"
    if not kept.exists():
        arguments = ["-m", "tests.benchmarks.ssl_lab", json.dumps(asdict(run)), *([str(minutes)] if minutes else [])]
        child(arguments, OMP_NUM_THREADS="1")
    return dict(json.loads(kept.read_text())) if kept.exists() else None


def make(run: Run, encoder: Encoder, examples: int) -> SelfSupervised:
    """The method of a run."""
    if run.by == "lightly":
        from tests.benchmarks.ssl_peers import PEERS

        return PEERS[run.method](encoder, **run.options, seed=run.seed)
    if run.by == "regularised":
        from tests.benchmarks.collapse import REGULARISED

        return REGULARISED[run.method](encoder, **run.options, seed=run.seed)
    spec = METHODS[run.method]
    handed = {"examples": examples, "nearest": nearest_rows}
    given = {name: value for name, value in handed.items() if spec.needs(name)}
    return spec.make(encoder, **run.options, **given, seed=run.seed)


def source(run: Run, train: Part, protocol: Protocol) -> TensorSource:
    """Its batches: the views that its paper has at 32 pixels, without small crops, so that all see as many pixels; and
    of the same crops, since so few epochs cannot learn from a twelfth of so small a picture."""
    spec = METHODS[run.method]
    looks = looks_for(spec.looks, 32, views=spec.views_with(run.options), crops=0)
    augment = BatchAugment([replace(look, scale=CROPS) for look in looks], MEAN, STD)
    sampler = Shuffled(len(train.numbers), protocol.batch, run.seed)
    pictures = train.pictures.to(protocol.device)
    return TensorSource(pictures, sampler, augment, run.seed, workers=0 if protocol.device == "cpu" else 1)


def loop_of(run: Run, protocol: Protocol) -> LoopConfig:
    """How it is trained."""
    return LoopConfig(
        epochs=protocol.epochs, learning_rate=run.rate, weight_decay=run.decay, warmup_share=0.1, backbone_rate=1.0,
        optimiser=run.optimiser, batch_norm="train", validate_every=protocol.every, precision=protocol.precision,
        device=protocol.device, seed=run.seed, log_every=10, save_seconds=20.0,
    )  # type: ignore[arg-type]  # fmt: skip


def embedded(encoder: nn.Module, part: Part, device: str) -> Vectors:
    """[N, D] raw embeddings, in evaluation mode."""
    mean, std = (torch.tensor(value, device=device)[:, None, None] for value in (MEAN, STD))
    made = []
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
        for pictures in part.pictures.split(500):
            made.append(encoder((pictures.to(device).float() / 255 - mean) / std).raw.float().cpu())
    return torch.cat(made).numpy()


def knn_right(base: Vectors, queries: Vectors, train: Part, part: Part) -> list[bool]:
    """Right or wrong for each query: the weighted vote of its nearest training images, by cosine."""
    unit = (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (base, queries))
    found = knn_accuracy(*(LabelledVectors(rows, one.numbers) for rows, one in zip(unit, (train, part), strict=True)))
    return [bool(right) for right in found.correct]


def linear_right(base: Vectors, queries: Vectors, train: Part, part: Part) -> list[bool]:
    """Right or wrong for each query: a linear classifier, its penalty chosen within the training images."""
    found = linear_probe(LabelledVectors(base, train.numbers), LabelledVectors(queries, part.numbers))
    return [bool(right) for right in found.classified.correct]


def pixels_right(protocol: Protocol, centred: bool = False) -> list[bool]:
    """The kNN of the pictures themselves, normalised and flat: what no training at all gives; ``centred``: less the
    mean picture, without which the cosine of any two pictures is mostly their brightness."""
    train, _, test = cifar(protocol)
    known = labelled(train, protocol)
    rows = [part.pictures.float().flatten(1).numpy() for part in (known, test)]
    mean = rows[0].mean(axis=0) if centred else np.float32(0)
    return knn_right(rows[0] - mean, rows[1] - mean, known, test)


def trained(run: Run, minutes: float | None) -> dict[str, Any] | None:
    """Make a run, or go on with it; see ``result``."""
    protocol = PROTOCOLS[run.protocol]
    train, val, test = cifar(protocol)
    known, clock = labelled(train, protocol), process_time if protocol.device == "cpu" else monotonic
    encoder = small_resnet(protocol, run.seed)
    method, folder = make(run, encoder, len(train.numbers)), LAB / f"run-{run.key}"
    folder.mkdir(parents=True, exist_ok=True)
    looks = _Kept(folder / "looks.json")
    began, spent = monotonic(), clock()

    def look(_: object) -> float:
        start = clock()
        base = embedded(encoder, known, protocol.device)
        seen = {
            name: float(np.mean(knn_right(base, embedded(encoder, part, protocol.device), known, part)))
            for name, part in (("val", val), ("test", test))
        }
        looks.add({**seen, "seconds": clock() - start})
        return seen["val"]

    hooks = TrainHooks(stop=lambda: minutes is not None and monotonic() - began > 60 * minutes)
    before = _peak()
    fitted = fit(
        method, source(run, train, protocol), loop_of(run, protocol), folder=folder, resume=True,
        validate=look if protocol.choose else None, hooks=hooks,
    )  # fmt: skip
    looks.spent(clock() - spent)
    if fitted.stopped == "interrupted":
        return None
    base, proved = (embedded(encoder, part, protocol.device) for part in (known, test))
    rows = nn.functional.normalize(torch.from_numpy(proved), dim=1)
    checks = [line for line in fitted.history if line["kind"] == "validation"]
    shown = [{"epoch": line["epoch"], **one} for line, one in zip(checks, looks.values, strict=True)]
    made = {
        "looks": shown,
        "epoch": fitted.best_epoch,
        "val": fitted.best_value,
        "knn": knn_right(base, proved, known, test),
        "linear": linear_right(base, proved, known, test),
        "rank": float(effective_rank(rows[:512], centred=True)),
        "std": float(dimension_std(rows).mean()) * rows.shape[1] ** 0.5,
        "projected_std": _projected_std(method, proved),
        "alarms": sorted({line["name"] for line in fitted.history if line["kind"] == "alarm"}),
        "seconds": looks.seconds - sum(one["seconds"] for one in looks.values),
        "bytes": _peak() - before if protocol.device == "cpu" else torch.cuda.max_memory_allocated(),
    }
    shutil.rmtree(folder)
    return made


@torch.no_grad()
def _projected_std(method: SelfSupervised, vectors: Vectors) -> float | None:
    """Mean standard deviation of the unit projections' dimensions, times the root of D; None without a projector."""
    projector = getattr(method, "projector", None)
    if not isinstance(projector, nn.Module):
        return None
    rows = nn.functional.normalize(projector.cpu().eval()(torch.from_numpy(vectors)), dim=1)
    return float(dimension_std(rows).mean()) * rows.shape[1] ** 0.5


class _Kept:
    """What was seen in a run, and the time it took, also before it was interrupted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        stored = json.loads(path.read_text()) if path.exists() else {"values": [], "seconds": 0.0}
        self.values: list[dict[str, float]] = stored["values"]
        self.seconds: float = stored["seconds"]

    def add(self, values: dict[str, float]) -> None:
        """One look more."""
        self.values.append(values)
        self._write()

    def spent(self, seconds: float) -> None:
        """So much time more."""
        self.seconds += seconds
        self._write()

    def _write(self) -> None:
        self._path.write_text(json.dumps({"values": self.values, "seconds": self.seconds}))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _packed() -> Path:
    """CIFAR-10 as arrays; its files are read once."""
    path = LAB / "cifar10.npz"
    if not path.exists():
        LAB.mkdir(parents=True, exist_ok=True)
        arrays = {}
        for part in ("train", "test"):
            files = sorted((unpacked("cifar10") / part).glob("*/*.jpg"))
            classes = sorted({file.parent.name for file in files})
            arrays[part] = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
            arrays[f"{part}_numbers"] = np.array([classes.index(file.parent.name) for file in files])
        making = path.with_suffix(".making.npz")
        np.savez(making, **arrays)
        making.rename(path)
    return path


def _drawn(pixels: NDArray[np.uint8], numbers: Ints, start: int, stop: int) -> Part:
    """Of each class, those from place ``start`` to ``stop`` in a fixed random order."""
    random = np.random.default_rng(0)
    places = [random.permutation(np.flatnonzero(numbers == name))[start:stop] for name in range(10)]
    chosen = np.concatenate(places)
    return Part(torch.from_numpy(pixels[chosen]).permute(0, 3, 1, 2).contiguous(), numbers[chosen])


def main(write: Callable[[str], object] = print) -> None:
    """A run as a process: ``python -m tests.benchmarks.ssl_lab RUN [MINUTES]``."""
    run = Run(**json.loads(sys.argv[1]))
    if PROTOCOLS[run.protocol].device == "cpu":
        torch.set_num_threads(1)
    made = trained(run, float(sys.argv[2]) if len(sys.argv) > 2 else None)
    if made is not None:
        (LAB / f"{run.key}.json").write_text(json.dumps(made))
    write(json.dumps({"finished": made is not None}))


if __name__ == "__main__":
    main()
