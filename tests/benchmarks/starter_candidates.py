"""Small networks as students of the starter's recipe: what each learns in the same seconds, and how fast each then is.

Each candidate begins untrained and takes over the teacher's embeddings by ``retrieval distil --recipe starter``, at two
sizes of pictures, for as many passes as fit into ``SECONDS`` of one core. The classes of caltech101 and flowers90 that
choose recipes (``--validating`` in ``data/make_starter_set.py``) and signs that nobody learned measure: recall@1, leave
one out, of the embedding as it is, last level alone, whatever becomes of it afterwards. Grocery, omniglot and the parts
that are measured in ``starter`` are not opened. Images a second are those of the runtime on all cores, the teacher
beside them, all in turns: run it on a quiet machine, a second time if something else ran; what was learned is kept.
"""

import csv
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from retrieval.core.labelled import Labelled, LabelledImage
from retrieval.core.settings import load_settings
from retrieval.evaluation.retrieval import RECALL_AT_1, retrieve
from retrieval.models.folder import load_encoder
from retrieval.workflows.distilling import DistilRequest, distil
from retrieval.workflows.embedding_sets import embed_labelled, runtime_of
from retrieval.workflows.labelled_sets import open_pictures
from retrieval.workflows.models import create_model
from retrieval.workflows.recipes.starter import STARTER
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.train_request import TrainingHooks
from tests.benchmarks.starter import images_of, images_per_second
from tests.benchmarks.support import CACHE, REPOSITORY, mobilenet, show, unpacked

SECONDS = 150.0
SIZES = ((96, 64), (128, 96))
"""Sides of the pictures that are searched with, and of the views that are learned from."""

BATCH = 64
SIGNS_PROVING = range(150, 200)


@dataclass(frozen=True)
class Candidate:
    """An architecture of timm.

    Attributes:
        name: of the row.
        backbone, args: timm's.
    """

    name: str
    backbone: str
    args: tuple[str, ...] = ()


# The smallest RepViT of timm, M0.9, has 4.7 million weights: more than 8 MB in float16.
CANDIDATES = (
    Candidate("ResNet-10-t, narrow", "resnet10t", ("channels=[32,64,160,384]",)),
    Candidate("MobileNetV4-conv-small", "mobilenetv4_conv_small"),
    Candidate("MobileNetV4-conv-small, half width", "mobilenetv4_conv_small_050"),
    Candidate("MobileNetV3-small", "mobilenetv3_small_100"),
    Candidate("EfficientViT-B0", "efficientvit_b0"),
)


def run(quick: bool = False) -> None:
    """Print the table."""
    root = CACHE / "starter_candidates"
    pictures = _pictures(root)
    found, folders = {}, {"teacher": mobilenet()}
    for one in CANDIDATES[:1] if quick else CANDIDATES:
        for side, view in SIZES[:1] if quick else SIZES:
            encoder = _learned(root, one, side, view, pictures, 5.0 if quick else SECONDS)
            folders[f"{one.name}, {side}"] = encoder
            found[f"{one.name}, {side}"] = (encoder, _recalls(encoder, root))
    speeds = images_per_second(folders)
    rows = []
    for name, (encoder, recalls) in found.items():
        weights = sum(p.numel() for p in load_encoder(encoder)[0].parameters())
        passes = RunFolder(encoder.parent).read("recipe.json")["recipe"]["loop"]["epochs"]
        cells = [f"{value:.3f}" for value in (*recalls.values(), statistics.mean(recalls.values()))]
        speed = [f"{speeds[name]:,.0f}", f"{speeds[name] / speeds['teacher']:.2f}"]
        rows.append([name, f"{2 * weights / 1e6:.1f} MB", str(passes), *cells, *speed])
    show(
        f"Students after {SECONDS:.0f} s of one core, recall@1",
        ["student, pixels", "float16", "passes", "caltech101", "flowers90", "signs", "mean", "images/s", "× teacher"],
        rows,
    )


def _pictures(root: Path) -> Path:
    table = root / "set" / "pictures.csv"
    if not table.exists():
        for name in ("caltech101", "flowers90", "imagenette", "cifar10"):
            unpacked(name)
        table.parent.mkdir(parents=True, exist_ok=True)
        script = [sys.executable, str(REPOSITORY / "data" / "make_starter_set.py"), "--from", str(CACHE)]
        subprocess.run([*script, "--out", str(table.parent), "--stage", "pilot", "--validating"], check=True)
    learned = table.with_name("learned.csv")
    if not learned.exists():
        with (
            open(table, newline="", encoding="utf-8") as read,
            open(learned, "w", newline="", encoding="utf-8") as file,
        ):
            rows = csv.reader(read)
            csv.writer(file).writerows(row for row in rows if row[1] not in {f"signs/{n:04d}" for n in SIGNS_PROVING})
    return learned


def _learned(root: Path, one: Candidate, side: int, view: int, pictures: Path, seconds: float) -> Path:
    """The encoder of a run of so many seconds; one that is done is not made again."""
    out = root / f"{one.backbone}-{side}-{seconds:g}"
    start = root / f"{one.backbone}-{side}-start"
    if not (start / "card.json").exists():
        create_model(
            start, backbone=one.backbone, backbone_args=one.args, untrained=True, input_size=side, mean="0.5",
            std="0.5", interpolation="bicubic",
        )  # fmt: skip
    if not (out / "metrics.json").exists():
        passes = _passes(start, view, pictures, seconds)
        recipe = STARTER.with_values({"epochs": passes, "view_size": view, "views_kept": 2})
        request = DistilRequest(str(mobilenet()), str(start), str(pictures), recipe, out, resume=out.exists())
        hooks = TrainingHooks(say=lambda line: print(line, file=sys.stderr, flush=True))
        distil(request, settings=replace(load_settings(), data=root / "data", cache=CACHE, threads=1), hooks=hooks)
    return RunFolder(out).encoder


def _passes(start: Path, view: int, pictures: Path, seconds: float) -> int:
    """How often all pictures can be seen: by forward and backward of a few batches on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    encoder = load_encoder(start)[0].train().requires_grad_().to(memory_format=torch.channels_last)
    batch = torch.randn(BATCH, 3, view, view).to(memory_format=torch.channels_last)
    times = []
    for _ in range(6):
        begun = time.process_time()
        with torch.autocast("cpu", torch.bfloat16):
            made = encoder(batch).raw
        made.float().square().sum().backward()
        times.append(time.process_time() - begun)
    torch.set_num_threads(threads)
    return max(1, round(seconds / (statistics.median(times) / BATCH * len(open_pictures(str(pictures)).images))))


def _recalls(folder: Path, root: Path) -> dict[str, float]:
    encoder, card = load_encoder(folder)
    settings = load_settings()
    runtime, found = runtime_of(encoder, card, settings), {}
    for name, images in _proofs(root).items():
        made = embed_labelled(Labelled(images, name), runtime, card.preprocessing, settings)
        numbers = np.unique([image.label for image in made.labelled.images], return_inverse=True)[1]
        found[name] = float(retrieve(made.vectors, numbers).intervals[RECALL_AT_1].mean)
    return found


def _proofs(root: Path) -> dict[str, list[LabelledImage]]:
    """The last fifth of the classes that are trained on in the end, and signs that no pilot learns."""
    proofs = {}
    for name in ("caltech101", "flowers90"):
        classes = sorted(folder.name for folder in (CACHE / name).iterdir() if folder.is_dir())
        half = len(classes) // 2
        proofs[name] = images_of(CACHE / name, classes[half - half // 5 : half])
    proofs["signs"] = images_of(root / "set" / "signs", [f"{n:04d}" for n in SIGNS_PROVING])
    return proofs


if __name__ == "__main__":
    run("--quick" in sys.argv)
