"""What the fast runtime costs in quality: the shared MobileNetV2 and the starter as they run here, beside plain fp32.

Grocery test images, leave one out: cosine between the two embeddings of an image, recall@1 and MAP@R of each with
95 % intervals, and the paired difference.
"""

from pathlib import Path

import numpy as np

from retrieval.core.types import Vectors
from retrieval.functional.metrics import (
    bootstrap_difference,
    bootstrap_interval,
    leave_one_out,
    map_at_r,
    recall_at_k,
    relevance,
)
from retrieval.functional.topk import exact_topk
from retrieval.images.decode import decode
from retrieval.models.card import ModelCard
from retrieval.models.choice import RuntimeChoice
from retrieval.models.encoder import Encoder
from retrieval.models.folder import load_encoder
from retrieval.models.runtime import EncoderRuntime
from retrieval.models.starter import load_starter
from tests.benchmarks.support import mobilenet, show, spread, unpacked


def run(quick: bool = False) -> None:
    """Print a table for each encoder."""
    folder = unpacked("grocery") / "test"
    files = spread(folder, 300 if quick else 10_000)
    for name, (encoder, card) in (("MobileNetV2", load_encoder(mobilenet())), ("starter", load_starter())):
        _compare(name, encoder, card, files)


def _compare(encoder_name: str, encoder: Encoder, card: ModelCard, files: list[Path]) -> None:
    pixels = np.stack([decode(file.read_bytes(), card.preprocessing)[1] for file in files])
    names = sorted({file.parent.name for file in files})
    labels = np.array([names.index(file.parent.name) for file in files])
    exact = EncoderRuntime(encoder, card.preprocessing, precision="fp32", choice=None)
    fast = EncoderRuntime(encoder, card.preprocessing)
    a, b = exact.embed(pixels), fast.embed(pixels)
    cosine = (a * b).sum(axis=1)
    scores = {name: _scores(vectors, labels) for name, vectors in (("fp32", a), (_named(fast.choice), b))}
    rows = []
    for name, (recall, precision) in scores.items():
        rows.append([name, *(_with_interval(values, labels) for values in (recall, precision))])
    (recall_a, map_a), (recall_b, map_b) = scores.values()
    differences = [bootstrap_difference(x, y, labels, seed=0) for x, y in ((recall_a, recall_b), (map_a, map_b))]
    rows.append(["difference, paired", *(f"{d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]" for d in differences)])
    show(
        f"The fast runtime beside fp32, {len(files):,} grocery test images, leave one out; cosine between the two: "
        f"mean {cosine.mean():.5f}, lowest {cosine.min():.5f}",
        [encoder_name, "recall@1", "MAP@R"],
        rows,
    )


def _named(choice: RuntimeChoice) -> str:
    return f"{choice.precision}, {choice.mode}"


def _scores(vectors: Vectors, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ids = np.arange(1, len(labels) + 1)
    deepest = int(np.bincount(labels).max())
    matches = leave_one_out(exact_topk(vectors, vectors, ids, deepest + 1).ids, ids)
    relevant, positives = relevance(matches, labels, ids, labels, ids)
    return recall_at_k(relevant, positives, 1).values, map_at_r(relevant, positives).values


def _with_interval(values: np.ndarray, labels: np.ndarray) -> str:
    interval = bootstrap_interval(values, labels, seed=0)
    return f"{interval.mean:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
