"""Mining and loss, forward and backward, beside pytorch-metric-learning 2.9: time and peak memory.

Random unit embeddings in 128 dimensions, four a class, in random order. Each measurement has a process of its own,
which may take ``LIMIT`` bytes beyond what its libraries take. A peak is the process's high-water mark over the first
call, less what was resident before it; a time is the median of the calls after that.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil
import torch
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning import miners as pml_miners
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.losses import LOSSES
from retrieval.mining import MINERS
from tests.benchmarks.support import REPOSITORY, show

SIZES = (256, 1024, 4096, 8192)
DIMENSION, PER_CLASS = 128, 4
LIMIT = 12 * 2**30
"""Bytes that a measurement may take; what needs more is reported so."""
SECONDS = 300
"""After which a measurement is given up."""
ENOUGH = 2.0
"""Seconds of measured calls after which no further one is made; there are three at least."""

Step = Callable[[Tensor, Tensor], Tensor]


def run(quick: bool = False) -> None:
    """Print the table."""
    rows = []
    for name in COMPARED:
        for size in (64, 256) if quick else SIZES:
            ours, theirs = (_measured(side, name, size) for side in ("ours", "theirs"))
            faster = f"{theirs['seconds'] / ours['seconds']:.1f}" if ours["seconds"] and theirs["seconds"] else "–"
            rows.append([name, f"{size:,}", _time(ours), _time(theirs), faster, _memory(ours), _memory(theirs)])
    show(
        f"Mining and loss, forward and backward, beside pytorch-metric-learning 2.9 (D = {DIMENSION}, {PER_CLASS} a "
        f"class, {LIMIT >> 30} GB and {SECONDS} s at most)",
        ["loss", "B", "**retrieval**", "PML", "times faster", "**retrieval**, peak", "PML, peak"],
        rows,
    )


def _time(found: dict[str, Any]) -> str:
    return f"{found['seconds'] * 1000:.1f} ms" if found["seconds"] else str(found["failed"])


def _memory(found: dict[str, Any]) -> str:
    return f"{found['bytes'] / 1e6:.0f} MB" if found["seconds"] else "–"


def _measured(side: str, name: str, size: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.losses_speed", side, name, str(size)]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {"seconds": None, "failed": f"over {SECONDS} s"}
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(step: Step, size: int) -> dict[str, Any]:
    """Seconds a call and peak bytes of ``step`` at a batch size, or that it needs more than ``LIMIT``."""
    _call(step, *_batch(16))
    embeddings, labels = _batch(size)
    used = psutil.Process().memory_info()
    resource.setrlimit(resource.RLIMIT_AS, (used.vms + LIMIT, resource.RLIM_INFINITY))
    Path("/proc/self/clear_refs").write_text("5")
    try:
        first = _call(step, embeddings, labels)
        peak = _high_water() - used.rss
        times = [first] if first > ENOUGH else []
        while sum(times) < ENOUGH and len(times) < 50:
            times.append(_call(step, embeddings, labels))
    except (MemoryError, RuntimeError) as error:
        if "alloc" not in str(error) and "memory" not in str(error):
            raise
        return {"seconds": None, "failed": f"over {LIMIT >> 30} GB"}
    return {"seconds": median(times), "bytes": max(0, peak)}


def _call(step: Step, embeddings: Tensor, labels: Tensor) -> float:
    leaf = embeddings.clone().requires_grad_()
    start = perf_counter()
    step(leaf, labels).backward()
    return perf_counter() - start


def _batch(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    embeddings = normalize(torch.randn(size, DIMENSION, generator=generator), dim=1)
    return embeddings, (torch.arange(size) // PER_CLASS)[torch.randperm(size, generator=generator)]


def _high_water() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _ours(name: str, miner: str | None = None, **options: Any) -> Callable[[int], Step]:
    spec = LOSSES[name]

    def made(size: int) -> Step:
        classes = max(16, size) // PER_CLASS
        state = {k: s.initial(classes, DIMENSION, size).requires_grad_() for k, s in spec.state.items()}

        def step(embeddings: Tensor, labels: Tensor) -> Tensor:
            mined = {} if miner is None else {"mined": MINERS[miner].function(embeddings, labels)}
            return spec.function(embeddings, labels, **state, **mined, **options)

        return step

    return made


def _our_views(size: int) -> Step:
    return lambda embeddings, _: LOSSES["nt_xent"].function(*embeddings.chunk(2), temperature=0.5)


def _theirs(loss: Callable[..., Any], miner: Any = None, classes: bool = False) -> Callable[[int], Step]:
    def made(size: int) -> Step:
        sizes = {"num_classes": max(16, size) // PER_CLASS, "embedding_size": DIMENSION} if classes else {}
        function = loss(**sizes)

        def step(embeddings: Tensor, labels: Tensor) -> Tensor:
            mined = None if miner is None else miner(embeddings, labels)
            value: Tensor = function(embeddings, labels, mined)
            return value

        return step

    return made


def _their_views(size: int) -> Step:
    function = pml.SelfSupervisedLoss(pml.NTXentLoss(temperature=0.5))
    return lambda embeddings, _: function(*embeddings.chunk(2))


MARGIN = 0.2

COMPARED: dict[str, tuple[Callable[[int], Step], Callable[[int], Step]]] = {
    "triplet, semi-hard": (
        _ours("triplet", select="semihard"),
        _theirs(lambda: pml.TripletMarginLoss(MARGIN), pml_miners.TripletMarginMiner(MARGIN, "semihard")),
    ),
    "triplet, all": (_ours("triplet", select="all"), _theirs(lambda: pml.TripletMarginLoss(MARGIN))),
    "triplet, all, soft margin": (
        _ours("triplet", select="all", soft=True),
        _theirs(lambda: pml.TripletMarginLoss(0.0, smooth_loss=True)),
    ),
    "triplet, batch-hard": (
        _ours("triplet", "batch_hard", select="mined"),
        _theirs(lambda: pml.TripletMarginLoss(MARGIN), pml_miners.BatchHardMiner()),
    ),
    "triplet, distance-weighted": (
        _ours("triplet", "distance_weighted", select="mined"),
        _theirs(lambda: pml.TripletMarginLoss(MARGIN), pml_miners.DistanceWeightedMiner()),
    ),
    "contrastive": (_ours("contrastive"), _theirs(pml.ContrastiveLoss)),
    "supervised contrastive": (_ours("supervised_contrastive"), _theirs(pml.SupConLoss)),
    "InfoNCE": (_ours("info_nce"), _theirs(lambda: pml.NTXentLoss(temperature=0.1))),
    "NT-Xent": (_our_views, _their_views),
    "circle": (_ours("circle"), _theirs(pml.CircleLoss)),
    "multi-similarity": (_ours("multi_similarity"), _theirs(pml.MultiSimilarityLoss)),
    "multi-similarity, mined": (
        _ours("multi_similarity", "multi_similarity"),
        _theirs(pml.MultiSimilarityLoss, pml_miners.MultiSimilarityMiner()),
    ),
    "Proxy-Anchor": (_ours("proxy_anchor"), _theirs(pml.ProxyAnchorLoss, classes=True)),
    "NormFace": (_ours("cosine_softmax", kind="normface"), _theirs(pml.NormalizedSoftmaxLoss, classes=True)),
    "CosFace": (_ours("cosine_softmax"), _theirs(pml.CosFaceLoss, classes=True)),
    "ArcFace": (_ours("cosine_softmax", kind="arcface", margin=0.5), _theirs(pml.ArcFaceLoss, classes=True)),
}
"""What both have, by name: ours and theirs, made for a batch size."""


if __name__ == "__main__":
    side, name, size = sys.argv[1:]
    made = COMPARED[name][side == "theirs"](int(size))
    print(json.dumps(measure(made, int(size))))
