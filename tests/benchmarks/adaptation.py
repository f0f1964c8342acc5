"""What learning without labels does to an encoder that is good already: recall@1 on the very images, up or down.

``retrieval pretrain`` goes on from the shared MobileNetV2 on unlabelled photos of groceries and of flowers; the labels,
which it never sees, measure start and result beside each other, at the same size of pictures. Grocery learns on its
training photos and is measured on its test photos, searched among the training photos; flowers learns on half of its
classes and is measured on the other half, leave one out.

Runs are kept in the cache and go on where they stopped: run it again after an interruption. One set alone:
``python -m tests.benchmarks.adaptation grocery``.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrieval.core.settings import load_settings
from retrieval.workflows.evaluating import EvaluateRequest, evaluate
from retrieval.workflows.models import create_model
from retrieval.workflows.pretraining import PretrainRequest, TrainingHooks, pretrain
from retrieval.workflows.recipes import PRETRAIN_RECIPES, load_pretrain_recipe
from retrieval.workflows.run_folder import RunFolder
from tests.benchmarks.support import CACHE, WEIGHTS, show, unpacked

SIDE = 96
METRICS = ("recall_at_1", "map_at_r")


@dataclass(frozen=True)
class Way:
    """One way to adapt.

    Attributes:
        name: of the row.
        method: a name in ``METHODS``.
        settings: of its recipe.
    """

    name: str
    method: str
    settings: dict[str, Any]


_GENTLE = {
    name: getattr(PRETRAIN_RECIPES["adapt"].loop, name)
    for name in ("epochs", "optimiser", "learning_rate", "backbone_rate", "batch_norm", "clip", "weight_decay")
} | {"batch_size": PRETRAIN_RECIPES["adapt"].batch_size}
"""What makes the recipe ``adapt`` gentle, for other methods."""

WAYS = (
    Way("SimCLR, gently", "simclr", {**_GENTLE, "simclr.temperature": 0.2}),
    Way("SimCLR, as from scratch", "simclr", {"epochs": 10, "batch_size": 64, "simclr.temperature": 0.2}),
    Way("VICReg, gently", "vicreg", _GENTLE),
)


def run(quick: bool = False, names: Sequence[str] = ()) -> None:
    """Print the table of the named sets, or of all."""
    rows = [_row(name, way, quick) for name in names or _TASKS for way in (WAYS[:1] if quick else WAYS)]
    show(
        f"Learning without labels from the shared MobileNetV2 on, {SIDE} pixels",
        ["images", "way", "recall@1", "difference", "MAP@R", "difference", "alarms"],
        rows,
    )


def _row(task: str, way: Way, quick: bool) -> list[str]:
    settings = replace(load_settings(), data=CACHE / "adaptation" / "data", cache=CACHE)
    recipe = load_pretrain_recipe(way.method, settings={**way.settings, **({"epochs": 1} if quick else {})})
    learn, prove = _TASKS[task]()
    out = CACHE / "adaptation" / f"{task}-{way.name.replace(', ', '-').replace(' ', '-')}{'-quick' if quick else ''}"
    if not (out / "report.html").exists():
        hooks = TrainingHooks(say=lambda line: print(line, file=sys.stderr, flush=True))
        request = PretrainRequest(str(learn), recipe, out, model=str(_start()), resume=out.exists())
        pretrain(request, settings=settings, hooks=hooks)
    alarms = RunFolder(out).read("metrics.json")["alarms"]
    encoder = str(RunFolder(out).encoder)
    asked = EvaluateRequest(model=encoder, against=str(_start()), **prove)
    comparison = evaluate(asked, settings=settings).to_dict()["comparison"]
    cells = [task, way.name]
    for metric in METRICS:
        value = comparison[metric]
        cells.append(f"{value['before']['mean']:.3f} → {value['after']['mean']:.3f}")
        cells.append(f"{value['mean']:+.3f} [{value['low']:+.3f}, {value['high']:+.3f}]")
    return [*cells, ", ".join(sorted({one["name"] for one in alarms}))]


def _start() -> Path:
    """The shared MobileNetV2 for small pictures."""
    folder = CACHE / f"mobilenetv2-at-{SIDE}"
    if not (folder / "card.json").exists():
        create_model(
            folder, backbone="mobilenetv2_100", backbone_args=["pad_type=same"], weights=WEIGHTS, mean="0.5", std="0.5",
            input_size=SIDE, interpolation="bicubic", head="none",
        )  # fmt: skip
    return folder


def _grocery() -> tuple[Path, dict[str, Any]]:
    root = unpacked("grocery")
    return root / "train", {"dataset": None, "queries": str(root / "test"), "database": str(root / "train")}


def _flowers() -> tuple[Path, dict[str, Any]]:
    """The first half of the classes learns, the second half proves, leave one out."""
    classes = sorted(folder for folder in unpacked("flowers90").iterdir() if folder.is_dir())
    parts = [_linked(f"flowers-{name}", some) for name, some in (("learn", classes[:45]), ("prove", classes[45:]))]
    return parts[0], {"dataset": str(parts[1])}


def _linked(name: str, classes: Sequence[Path]) -> Path:
    folder = CACHE / "adaptation" / name
    for one in classes:
        if not (folder / one.name).exists():
            making = folder / f"{one.name}.making"
            making.mkdir(parents=True, exist_ok=True)
            for image in one.iterdir():
                if not (making / image.name).exists():
                    os.link(image, making / image.name)
            making.rename(folder / one.name)
    return folder


_TASKS = {"grocery": _grocery, "flowers90": _flowers}


if __name__ == "__main__":
    run("--quick" in sys.argv, [name for name in sys.argv[1:] if name in _TASKS])
