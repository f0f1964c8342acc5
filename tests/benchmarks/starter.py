"""The starter encoder beside its teacher, an untrained twin and a colour histogram: quality, and images a second.

Never seen in its making are all of grocery (photos of ``test`` search among those of ``train``) and all of omniglot
(characters of ``evaluation``, of each the first eight drawings, leave one out). Of flowers90 and caltech101 the second
half of the classes and of imagenette ``val`` were not trained on: leave one out. So are the project's own sample
pictures, which the demo shows: never seen, but drawn by the program that drew things to learn from. ``--quick`` takes a
part of each.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import available_cores, load_settings
from retrieval.core.types import Pixels, Vectors
from retrieval.datasets.samples import samples_folder
from retrieval.evaluation.retrieval import MAP_AT_R, RECALL_AT_1, RetrievalResult, retrieve
from retrieval.evaluation.vectors import LabelledVectors
from retrieval.models.create import create_encoder
from retrieval.models.folder import load_encoder, save_encoder
from retrieval.models.runtime import EncoderRuntime
from retrieval.models.starter import STARTER_FOLDER, starter_card
from retrieval.workflows.embedding_sets import embed_labelled, load_vectors, runtime_of, save_vectors
from tests.benchmarks.support import CACHE, mobilenet, show, unpacked
from tests.benchmarks.tasks import OMNIGLOT_DRAWINGS

NEVER_SEEN = ("grocery", "omniglot")
IN_PART = ("flowers90", "caltech101", "imagenette")
ROUNDS = 7
QUICK = 300

Images = list[LabelledImage]
Embed = Callable[[str, Images], Vectors]


def run(quick: bool = False) -> None:
    """Print both tables."""
    sets = {name: _some(parts, quick) for name, parts in _sets().items()}
    folders = {"untrained, same backbone": _untrained(), "starter": STARTER_FOLDER, "teacher": mobilenet()}
    ways: dict[str, Embed] = {"colour histogram": _histograms}
    ways |= {name: _embedding_with(folder) for name, folder in folders.items()}
    found = {way: {name: _measured(embed, name, *parts) for name, parts in sets.items()} for way, embed in ways.items()}
    for metric, words in ((RECALL_AT_1, "recall@1"), (MAP_AT_R, "MAP@R")):
        rows = [[way, *(_with_interval(one, metric) for one in results.values())] for way, results in found.items()]
        show(f"{words}, 95 % intervals", ["", *(_titled(name, parts) for name, parts in sets.items())], rows)
    speeds = images_per_second(folders)
    rows = [[name, f"{speed:,.0f}", f"{speed / speeds['teacher']:.2f}"] for name, speed in speeds.items()]
    show("images a second, forward in the runtime", ["", "images/s", "times the teacher"], rows)
    shares = {name: _share(found["starter"][name], found["teacher"][name]) for name in sets}
    mean = statistics.mean(shares[name] for name in NEVER_SEEN)
    each = ", ".join(f"{name} {share:.3f}" for name, share in shares.items())
    print(f"\nrecall@1 of the starter over the teacher's: {each}; mean of {' and '.join(NEVER_SEEN)} {mean:.3f}")


def _sets() -> dict[str, tuple[Images, Images | None]]:
    """Queries and database of each set; no database: leave one out."""
    grocery = unpacked("grocery")
    made: dict[str, tuple[Images, Images | None]] = {
        "grocery": (images_of(grocery / "test"), images_of(grocery / "train")),
        "omniglot": (images_of(unpacked("omniglot") / "evaluation", each=OMNIGLOT_DRAWINGS), None),
    }
    for name in ("flowers90", "caltech101"):
        folder = unpacked(name)
        classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
        made[name] = (images_of(folder, classes[len(classes) // 2 :]), None)
    made["imagenette"] = (images_of(unpacked("imagenette") / "val"), None)
    made["samples"] = (images_of(samples_folder()), None)
    return made


def images_of(folder: Path, classes: Sequence[str] | None = None, each: int | None = None) -> Images:
    """The pictures of some class folders, or of all; of each class the first ``each``."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if classes is None else classes
    return [
        LabelledImage(bytes(file), name)
        for name in names
        for file in sorted(path for path in (folder / name).iterdir() if path.suffix in (".jpg", ".png"))[:each]
    ]


def _some(parts: tuple[Images, Images | None], quick: bool) -> tuple[Images, Images | None]:
    if not quick:
        return parts
    queries, database = parts
    return queries[:QUICK], None if database is None else database[:QUICK]


def _titled(name: str, parts: tuple[Images, Images | None]) -> str:
    queries, database = parts
    classes = len({image.label for image in queries})
    among = "" if database is None else f" among {len(database):,}"
    return f"{name}{' (unseen part)' if name in IN_PART else ''}: {len(queries):,}{among}, {classes} classes"


def _measured(embed: Embed, name: str, queries: Images, database: Images | None) -> RetrievalResult:
    number = {label: n for n, label in enumerate(sorted({i.label for i in [*queries, *(database or [])]}))}

    def numbers(images: Images) -> NDArray[np.int64]:
        return np.array([number[image.label] for image in images], np.int64)

    asked = embed(f"starter-{name}-queries", queries)
    if database is None:
        return retrieve(asked, numbers(queries))
    base = embed(f"starter-{name}-database", database)
    return retrieve(base, numbers(database), queries=LabelledVectors(asked, numbers(queries), None))


def _with_interval(result: RetrievalResult, metric: str) -> str:
    interval = result.intervals[metric]
    return f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _share(one: RetrievalResult, other: RetrievalResult) -> float:
    return float(one.intervals[RECALL_AT_1].mean / other.intervals[RECALL_AT_1].mean)


def _untrained() -> Path:
    """The starter's architecture and pictures with the weights that its training began with; not standardised and not
    whitened, since both are made of what was learned."""
    card = starter_card()
    spec = card.preprocessing
    encoder, own = create_encoder(
        backbone=card.backbone,
        backbone_args=card.backbone_args,
        input_size=spec.input_size,
        mean=spec.mean,
        std=spec.std,
        interpolation=spec.interpolation,
        pooling=card.pooling,
        name="untrained twin of the starter",
    )
    folder = CACHE / f"starter-untrained-{own.fingerprint[:12]}"
    save_encoder(encoder, own, folder)
    return folder


def _embedding_with(folder: Path) -> Embed:
    encoder, card = load_encoder(folder)
    settings = load_settings()
    runtime = runtime_of(encoder, card, settings)

    def embed(name: str, images: Images) -> Vectors:
        path = CACHE / "embeddings" / f"{name}-{len(images)}-{card.fingerprint[:12]}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        labelled = Labelled(images, name)
        made = load_vectors(path, labelled, card.fingerprint)
        if made is None or len(made.labelled) != len(labelled):
            made = embed_labelled(labelled, runtime, card.preprocessing, settings)
            save_vectors(path, made, card.fingerprint)
        assert len(made.labelled) == len(labelled)
        return made.vectors

    return embed


class _Colours:
    """8 x 8 x 8 bins of red, green and blue, square roots of their shares: dot products are Bhattacharyya's."""

    batch, parallel_calls = 64, available_cores()

    def embed(self, pixels: Pixels) -> Vectors:
        """[n, 512] of unit norm."""
        bins = (pixels >> 5).astype(np.int64).reshape(len(pixels), -1, 3) @ np.array([64, 8, 1])
        counts = np.stack([np.bincount(row, minlength=512) for row in bins])
        return np.sqrt(counts / counts.sum(1, keepdims=True)).astype(np.float32)


def _histograms(name: str, images: Images) -> Vectors:
    made = embed_labelled(Labelled(images, name), _Colours(), Preprocessing(input_size=128), load_settings())
    assert len(made.labelled) == len(images)
    return made.vectors


def images_per_second(folders: dict[str, Path]) -> dict[str, float]:
    """Median over rounds that take all in turn, each on all cores as indexing runs it."""
    runs: dict[str, tuple[Any, Pixels]] = {}
    for name, folder in folders.items():
        encoder, card = load_encoder(folder)
        runtime = EncoderRuntime(encoder, card.preprocessing, threads=load_settings().threads)
        side = card.preprocessing.input_size
        runs[name] = (runtime, np.random.default_rng(0).integers(0, 256, (runtime.batch, side, side, 3), np.uint8))
    colours = _Colours()
    runs["colour histogram"] = (colours, np.random.default_rng(0).integers(0, 256, (64, 128, 128, 3), np.uint8))
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(ROUNDS + 1):
        for name, (runtime, pixels) in runs.items():
            calls = 8 * runtime.parallel_calls
            with ThreadPoolExecutor(runtime.parallel_calls) as threads:
                list(threads.map(runtime.embed, [pixels] * runtime.parallel_calls))
                start = time.perf_counter()
                list(threads.map(runtime.embed, [pixels] * calls))
                passed = time.perf_counter() - start
            if turn:
                rates[name].append(calls * len(pixels) / passed)
    return {name: statistics.median(values) for name, values in rates.items()}
