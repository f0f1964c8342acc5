"""What each loss brings on frozen features, beside the same loss of pytorch-metric-learning 2.9.

Every loss trains a projection (512 dimensions, started from a half-whitened PCA) on embeddings of the shared
MobileNetV2, on three tasks (``tests.benchmarks.tasks``; of omniglot a quarter of the characters trains). For both
libraries alike: the same loop, optimiser, precision, batches in the same order, number of epochs; class weights and
proxies start at the mean directions of their classes; the learning rate is the best of ``RATES`` on the validation part
with seed 0 (the same trials for both); then three seeds, and the test part is opened once, with the weights that
validation chose.

Figures are means over queries and seeds, with the seeds' own beside; intervals resample classes, then queries. The
result of every run is kept in the cache, so that an interrupted benchmark goes on where it stopped.

``python -m tests.benchmarks.losses_quality [TASK ...]`` prints the tables of some tasks.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.core.types import Vectors
from retrieval.datasets.loader import FeatureSource
from retrieval.evaluation.retrieval import RetrievalResult, retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.functional.batch import Batch
from retrieval.functional.metrics import bootstrap_difference, bootstrap_interval
from retrieval.methods.method import Method, ParameterGroup, StepOutput
from retrieval.methods.metric_learning import Term
from retrieval.mining.samplers import MPerClass
from retrieval.models.encoder import Projection
from retrieval.training.config import LoopConfig
from retrieval.training.loop import fit
from retrieval.workflows.projecting import class_directions, head_method, pca_projection, projected, start_losses
from tests.benchmarks.support import CACHE, mobilenet, show
from tests.benchmarks.tasks import EVERY, Part, Task, flowers, grocery, omniglot, thinned

RATES = (1e-4, 3e-4, 1e-3, 3e-3)
SEEDS = (0, 1, 2)
BATCH, PER_CLASS, DIMENSION, WHITENING = 128, 4, 512, 0.5
LOOP = LoopConfig(epochs=20, weight_decay=1e-4, validate_every=2, device="cpu", precision="32-true")

TASKS = {"flowers90": flowers, "grocery": grocery, "omniglot": omniglot}

_STARTS: dict[str, Projection] = {}

Floats = NDArray[np.float64]
Make = Callable[[Projection, Task, int], Method]


@dataclass(frozen=True)
class Contestant:
    """A loss as one of the two libraries has it.

    Attributes:
        loss: name of the row.
        library: ``ours`` or ``pml``.
        make: (projection, task, seed) to a method.
        kept_as: the name that its runs have in the cache; ``loss`` by default.
        batch, per_class: of its batches. A loss on pairs takes whatever is not its own pair for another class, so that
            it gets two images a class (and half the batch: flowers90 has 36 classes to train with).
    """

    loss: str
    library: str
    make: Make
    kept_as: str = ""
    batch: int = BATCH
    per_class: int = PER_CLASS


def ours(*terms: Term, normalise: bool = True) -> Make:
    """Our losses."""

    def make(projection: Projection, task: Task, seed: int) -> Method:
        method = head_method(
            projection, terms, task.train.numbers, seed, vectors=task.train.vectors, normalise=normalise
        )
        start_losses(method, projection, task.train.vectors, task.train.numbers)
        return method

    return make


class Peer(Method):
    """A loss (and miner) of pytorch-metric-learning in our loop."""

    def __init__(self, projection: Projection, loss: nn.Module, miner: nn.Module | None, rate: float) -> None:
        super().__init__()
        from retrieval.models.encoder import Encoder

        self.encoder = Encoder(nn.Identity(), nn.Identity(), projection.out_features, [projection])
        self.loss, self.miner, self.rate = loss, miner, rate

    def training_step(self, batch: Batch) -> StepOutput:
        """Embeddings are handed over with unit norm, as our losses get them."""
        output = self.encoder(batch.inputs)
        mined = None if self.miner is None else self.miner(output.normalised, batch.labels)
        loss: Tensor = self.loss(output.normalised, batch.labels, mined)
        return StepOutput(loss, {}, output.normalised.detach())

    def groups(self) -> Any:
        """The projection, and what the loss learns at a rate of its own."""
        projection = self.encoder.projections[0]
        yield ParameterGroup("head", [projection.weight], 1.0, True)
        yield ParameterGroup("head", [projection.bias], 1.0, False)
        learned = list(self.loss.parameters())
        if learned:
            yield ParameterGroup("loss", learned, self.rate, True)


def peer(
    loss: Callable[[int, int], nn.Module], miner: Callable[[], nn.Module] | None = None, rate: float = 1.0
) -> Make:
    """Their losses; ``loss`` gets the number of classes and the dimension."""

    def make(projection: Projection, task: Task, seed: int) -> Method:
        torch.manual_seed(seed)
        classes = int(task.train.numbers.max()) + 1
        criterion = loss(classes, projection.out_features)
        _start_at_means(criterion, class_directions(projection, task.train.vectors, task.train.numbers))
        return Peer(projection, criterion, None if miner is None else miner(), rate)

    return make


@torch.no_grad()
def _start_at_means(criterion: nn.Module, directions: Tensor) -> None:
    """Their class weights [D, C] and proxies [C, D] begin where ours do."""
    for parameter in criterion.parameters():
        parameter.copy_(directions if parameter.shape == directions.shape else directions.T)


def contestants() -> list[Contestant]:
    """Every loss of ours, and theirs where they have it."""
    from pytorch_metric_learning import losses, miners

    return [
        # Theirs takes plain distances, and the mean over positives and that over negatives apart.
        Contestant(
            "contrastive, plain", "ours", ours(Term("contrastive", options={"balanced": True, "squared": False}))
        ),
        Contestant("contrastive, plain", "pml", peer(lambda c, d: losses.ContrastiveLoss(0, 1)), kept_as="contrastive"),
        Contestant("contrastive", "ours", ours(Term("contrastive", options={"balanced": True}))),
        Contestant("contrastive, one mean", "ours", ours(Term("contrastive"))),
        Contestant("triplet, semi-hard", "ours", ours(Term("triplet", options={"margin": 0.2}))),
        Contestant(
            "triplet, semi-hard",
            "pml",
            peer(lambda c, d: losses.TripletMarginLoss(0.2), lambda: miners.TripletMarginMiner(0.2, "semihard")),
        ),
        Contestant("triplet, batch-hard", "ours", ours(Term("triplet", miner="batch_hard", options={"margin": 0.2}))),
        Contestant(
            "triplet, batch-hard", "pml", peer(lambda c, d: losses.TripletMarginLoss(0.2), miners.BatchHardMiner)
        ),
        Contestant(
            "triplet + center",
            "ours",
            ours(Term("triplet", options={"margin": 0.2}), Term("center", 0.003)),
            kept_as="triplet + center, exact in every epoch",
        ),
        Contestant(
            "triplet + center + softmax, as `triplet-center`",
            "ours",
            ours(
                Term("triplet", options={"margin": 0.2}),
                Term("center", 0.003),
                Term("cosine_softmax", 0.1, options={"kind": "normface", "scale": 32.0}),
            ),
        ),
        Contestant("softmax", "ours", ours(Term("softmax"))),
        Contestant("softmax + center", "ours", ours(Term("softmax"), Term("center", 0.003))),
        Contestant("cosine softmax", "ours", ours(Term("cosine_softmax", options={"kind": "normface"}))),
        Contestant("cosine softmax", "pml", peer(lambda c, d: losses.NormalizedSoftmaxLoss(c, d, temperature=1 / 64))),
        Contestant("CosFace", "ours", ours(Term("cosine_softmax", options={"kind": "cosface"}))),
        Contestant("CosFace", "pml", peer(lambda c, d: losses.CosFaceLoss(c, d, margin=0.35, scale=64))),
        Contestant("ArcFace", "ours", ours(Term("cosine_softmax", options={"kind": "arcface", "margin": 0.5}))),
        Contestant("ArcFace", "pml", peer(lambda c, d: losses.ArcFaceLoss(c, d, margin=28.6, scale=64))),
        Contestant("circle", "ours", ours(Term("circle"))),
        Contestant("circle, whole batch", "ours", ours(Term("circle_batch"))),
        Contestant("circle", "pml", peer(lambda c, d: losses.CircleLoss(0.4, 80))),
        Contestant("multi-similarity", "ours", ours(Term("multi_similarity", miner="multi_similarity"))),
        Contestant(
            "multi-similarity",
            "pml",
            peer(lambda c, d: losses.MultiSimilarityLoss(2, 50, 0.5), lambda: miners.MultiSimilarityMiner(0.1)),
        ),
        Contestant("proxy-anchor", "ours", ours(Term("proxy_anchor"))),
        Contestant("proxy-anchor", "pml", peer(lambda c, d: losses.ProxyAnchorLoss(c, d, 0.1, 32), rate=100.0)),
        Contestant(
            "supervised contrastive", "ours", ours(Term("supervised_contrastive", options={"temperature": 0.1}))
        ),
        Contestant(
            "supervised contrastive, as `quick-head`",
            "ours",
            ours(Term("supervised_contrastive", options={"temperature": 0.05})),
        ),
        Contestant("supervised contrastive", "pml", peer(lambda c, d: losses.SupConLoss(0.1))),
        Contestant("InfoNCE", "ours", ours(Term("info_nce"))),
        Contestant("InfoNCE", "pml", peer(lambda c, d: losses.NTXentLoss(0.1))),
        *(
            Contestant(name, "ours", ours(Term(term)), batch=64, per_class=2)
            for name, term in (
                ("InfoNCE on pairs", "info_nce_queries"),
                ("NT-Xent", "nt_xent"),
                ("NCE", "nce"),
            )
        ),
        Contestant("NCE, one class an image", "ours", ours(Term("nce_instance"))),
        *(
            Contestant(f"{name}, not normalised", "ours", ours(term, normalise=False))
            for name, term in (
                ("contrastive", Term("contrastive", options={"balanced": True})),
                ("triplet, semi-hard", Term("triplet", options={"margin": 0.2})),
                ("multi-similarity", Term("multi_similarity", miner="multi_similarity")),
            )
        ),
    ]


def run(quick: bool = False, names: Sequence[str] = ()) -> None:
    """Print one table a proof, of the named tasks or of all."""
    seeds, rates, epochs = (SEEDS[:1], RATES[1:2], 2) if quick else (SEEDS, RATES, LOOP.epochs)
    for make in [TASKS[name] for name in names or TASKS]:
        task = thinned(make(mobilenet()))
        found = {}
        for one in contestants():
            found[one.loss, one.library] = _measured(one, task, seeds, rates, epochs)
        for proof in task.proofs:
            _show(task, proof, found, seeds)


def _measured(one: Contestant, task: Task, seeds: tuple[int, ...], rates: tuple[float, ...], epochs: int) -> Any:
    trials = {rate: _trained(one, task, seeds[0], rate, epochs)["validation"] for rate in rates}
    rate = max(trials, key=lambda r: trials[r])
    return rate, [_trained(one, task, seed, rate, epochs) for seed in seeds]


def _trained(one: Contestant, task: Task, seed: int, rate: float, epochs: int) -> dict[str, Any]:
    """One run: validation, and every query's recall@1 and MAP@R for each proof; from the cache where it is there."""
    loop = replace(LOOP, epochs=epochs, learning_rate=rate, seed=seed)
    version = 5 if one.library == "pml" else 4
    name = f"{task.name}, every {EVERY[task.name]}" if task.name in EVERY else task.name
    key = json.dumps(
        [
            one.kept_as or one.loss,
            one.library,
            name,
            asdict(loop),
            one.batch,
            one.per_class,
            DIMENSION,
            WHITENING,
            version,
        ]
    )
    path = CACHE / "quality" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    projection = _started(task)
    method = one.make(projection, task, seed)
    sampler = MPerClass(task.train.numbers, one.batch, one.per_class, seed, singletons="drop")
    source = FeatureSource(task.train.vectors, task.train.numbers, sampler)
    folder = Path(tempfile.mkdtemp(prefix="quality-"))
    try:
        fitted = fit(method, source, loop, folder=folder, validate=lambda _: _validation(task, projection))
    finally:
        shutil.rmtree(folder)
    result: dict[str, Any] = {"validation": fitted.best_value, "epoch": fitted.best_epoch}
    for name, (queries, database) in task.proofs.items():
        found = _searched(queries, database, lambda vectors: projected(projection, vectors))
        result[name] = {m: found.values[m].tolist() for m in ("recall_at_1", "map_at_r")}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    return result


def _started(task: Task) -> Projection:
    """Where every run of a task begins; found once."""
    if task.name not in _STARTS:
        _STARTS[task.name] = pca_projection(task.train.vectors, DIMENSION, 0, WHITENING)
    return deepcopy(_STARTS[task.name])


def _validation(task: Task, projection: Projection) -> float:
    found = _searched(
        task.val, task.train if task.val_in_train else None, lambda vectors: projected(projection, vectors), resamples=1
    )
    return float(np.nanmean(found.values["map_at_r"]))


def _searched(
    queries: Part, database: Part | None, embed: Callable[[Vectors], Vectors], resamples: int = 1
) -> RetrievalResult:
    if database is None:
        return retrieve(embed(queries.vectors), queries.numbers, resamples=resamples)
    asked = LabelledVectors(embed(queries.vectors), queries.numbers)
    return retrieve(embed(database.vectors), database.numbers, queries=asked, resamples=resamples)


def _show(task: Task, proof: str, found: dict[tuple[str, str], Any], seeds: tuple[int, ...]) -> None:
    queries, database = task.proofs[proof]
    start = _searched(queries, database, lambda vectors: vectors)
    rows = [_row("before (the shared MobileNetV2)", "", start.values, None, queries)]
    for (loss, library), (rate, runs) in found.items():
        values = {m: np.mean([run[proof][m] for run in runs], axis=0) for m in ("recall_at_1", "map_at_r")}
        theirs = found.get((loss, "pml"))
        gap = ""
        if library == "ours" and theirs is not None:
            other = np.mean([run[proof]["map_at_r"] for run in theirs[1]], axis=0)
            difference = bootstrap_difference(other, values["map_at_r"], queries.numbers, seed=0)
            gap = f"{difference.mean:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
        apart = " ".join(f"{float(np.nanmean(run[proof]['map_at_r'])):.3f}" for run in runs)
        kept = " (the start was kept)" if all(run["epoch"] == 0 for run in runs) else ""
        rows.append([*_row(loss, library, values, start.values, queries)[:-1], apart, f"{rate:g}{kept}", gap])
    rows[0] = [*rows[0][:-1], "", "", ""]
    begun = _searched(queries, database, lambda vectors: projected(_started(task), vectors))
    rows.insert(1, [*_row("where all begin, untrained", "", begun.values, start.values, queries)[:-1], "", "", ""])
    show(
        f"{proof}: a projection on frozen features, {len(seeds)} seeds",
        ["loss", "by", "recall@1", "MAP@R", "MAP@R gained", "MAP@R by seed", "rate", "ours - pml, MAP@R"],
        rows,
    )


def _row(loss: str, library: str, values: Any, before: Any, queries: Part) -> list[str]:
    cells = [loss, library]
    for metric in ("recall_at_1", "map_at_r"):
        interval = bootstrap_interval(np.asarray(values[metric]), queries.numbers, seed=0)
        cells.append(f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]")
    if before is None:
        return [*cells, "", ""]
    gain = bootstrap_difference(before["map_at_r"], np.asarray(values["map_at_r"]), queries.numbers, seed=0)
    return [*cells, f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]", ""]


if __name__ == "__main__":
    run("--quick" in sys.argv, [name for name in sys.argv[1:] if name in TASKS])
