"""The three stages of SimCLRv2 on imagenette with 1 % and 10 % of the labels: what each of them brings.

Chen et al., "Big Self-Supervised Models are Strong Semi-Supervised Learners", NeurIPS 2020:
https://arxiv.org/abs/2006.10029. The commands themselves are run (``pretrain``, ``finetune``, ``distil``), from an
untrained encoder on, scaled for two cores: a ResNet-10 and pictures of 64 pixels. The test part is imagenette's own
``val``, which is in no stage's images; labels are drawn from ``train``. Compared, on the same test images, paired:

- from scratch: fine-tuning the untrained encoder with the labels (what stage 1 is worth);
- stage 1 and 2: fine-tuning the encoder that learned without labels, from the projector's first layer;
- stage 3: a student of the same size, distilled from stage 2's answers for all images.

Runs are kept in the cache and go on where they stopped: run it again after an interruption. One share of the labels
alone: ``python -m tests.benchmarks.simclr_v2 0.01``.
"""

import csv
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.core.settings import Settings, load_settings
from retrieval.functional.metrics import bootstrap_difference, bootstrap_interval
from retrieval.models.folder import load_encoder
from retrieval.workflows.classifying import Answers, classifier_of
from retrieval.workflows.distilling import DistilRequest, distil
from retrieval.workflows.embedding_sets import embed_labelled
from retrieval.workflows.finetuning import FinetuneRequest, finetune
from retrieval.workflows.labelled_sets import open_dataset
from retrieval.workflows.models import create_model
from retrieval.workflows.pretraining import PretrainRequest, TrainingHooks, pretrain
from retrieval.workflows.recipes import load_distil_recipes, load_finetune_recipe, load_pretrain_recipe
from retrieval.workflows.run_folder import RunFolder
from tests.benchmarks.support import CACHE, show, unpacked

FRACTIONS = (0.01, 0.1)
SIDE = 64
EPOCHS = {"pretrain": 40, "finetune": 60, "distil": 40}
QUICK = {"pretrain": 1, "finetune": 1, "distil": 1}
PRETRAIN = {"simclr.temperature": 0.2, "simclr.hidden": 512, "optimiser": "adamw", "learning_rate": 1e-3}
FINETUNE = {"learning_rate": 1e-3, "backbone_rate": 1.0}


def run(quick: bool = False, fractions: Sequence[float] = FRACTIONS) -> None:
    """Print the table of some shares of the labels, or of all."""
    epochs = QUICK if quick else EPOCHS
    made = _Stages(CACHE / "simclr_v2" / ("quick" if quick else "whole"), epochs)
    rows = []
    for fraction in fractions:
        stages = {
            "2 from scratch": made.finetuned(made.untrained_run(), fraction, "scratch"),
            "1 + 2": made.finetuned(made.pretrained(), fraction, "stage2"),
        }
        stages["1 + 2 + 3"] = made.distilled(stages["1 + 2"], fraction)
        rows += _rows(fraction, {name: made.right(folder) for name, folder in stages.items()}, made.numbers())
    show(
        f"SimCLRv2 on imagenette, {epochs['pretrain']} + {epochs['finetune']} + {epochs['distil']} epochs",
        ["labels", "stages", "accuracy", "gained by the last stage"],
        rows,
    )


def _rows(fraction: float, right: dict[str, Any], numbers: Any) -> list[list[str]]:
    rows, before = [], None
    for name, one in right.items():
        found = bootstrap_interval(one, numbers, seed=0)
        gained = ""
        if before is not None:
            gain = bootstrap_difference(before, one, numbers, seed=0)
            gained = f"{gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
        rows.append([f"{fraction:.0%}", name, f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]", gained])
        before = one
    return rows


class _Stages:
    """The runs, each in a folder of its own; one that is done is not made again."""

    def __init__(self, root: Path, epochs: dict[str, int]) -> None:
        self.root, self.epochs = root, epochs
        self.images = unpacked("imagenette")
        self.settings: Settings = replace(load_settings(), data=root / "data", cache=CACHE)
        self.hooks = TrainingHooks(say=lambda line: print(line, file=sys.stderr, flush=True))
        root.mkdir(parents=True, exist_ok=True)

    def start(self) -> Path:
        """The untrained encoder."""
        folder = self.root / "start"
        if not folder.exists():
            create_model(folder, backbone="resnet10t", untrained=True, input_size=SIDE)
        return folder

    def pretrained(self) -> Path:
        """Stage 1: SimCLR with three layers, on all training images without labels."""
        recipe = load_pretrain_recipe(
            name="simclrv2", settings={**PRETRAIN, "epochs": self.epochs["pretrain"], "batch_size": 128}
        )
        return self._made("stage1", lambda out: self._pretrain(out, recipe))

    def untrained_run(self) -> Path:
        """A run of no epochs: where stage 2 begins without stage 1."""
        recipe = load_pretrain_recipe(name="simclrv2", settings={**PRETRAIN, "epochs": 0})
        return self._made("stage0", lambda out: self._pretrain(out, recipe))

    def finetuned(self, start: Path, fraction: float, name: str) -> Path:
        """Stage 2 with a share of the labels."""
        recipe = load_finetune_recipe(settings={**FINETUNE, "epochs": self.epochs["finetune"]})

        def make(out: Path) -> None:
            request = FinetuneRequest(
                start, str(self._table()), recipe, out, fraction, split="given", resume=out.exists()
            )
            finetune(request, settings=self.settings, hooks=self.hooks)

        return self._made(f"{name}-{fraction:g}", make)

    def distilled(self, teacher: Path, fraction: float) -> Path:
        """Stage 3: a student like the untrained encoder."""
        settings = {"epochs": self.epochs["distil"], "distillation.alpha": 1.0}
        features, answers = load_distil_recipes(settings, with_labels=True)

        def make(out: Path) -> None:
            request = DistilRequest(
                str(teacher), str(self.start()), str(self.images / "train"), features, out,
                labels=str(self._table()), answers=answers, split="given", resume=out.exists(),
            )  # fmt: skip
            distil(request, settings=self.settings, hooks=self.hooks)

        return self._made(f"stage3-{fraction:g}", make)

    def right(self, run: Path) -> Any:
        """[N] 1 where a run's classifier names a test image rightly, else 0."""
        kept = run / "right.npy"
        if not kept.exists():
            teacher, test = classifier_of(run), open_dataset(str(self.images / "val"))
            found = embed_labelled(
                test, Answers(teacher.classifier, teacher.card.preprocessing), teacher.card.preprocessing,
                self.settings, workers=None, what="Classifying", progress=self.hooks.working,
            )  # fmt: skip
            names = np.array(teacher.classes)[found.vectors.argmax(axis=1)]
            np.save(kept, (names == [image.label for image in found.labelled.images]).astype(float))
        return np.load(kept)

    def numbers(self) -> Any:
        """[N] class numbers of the test images."""
        return open_dataset(str(self.images / "val")).numbers

    def _pretrain(self, out: Path, recipe: Any) -> None:
        request = PretrainRequest(str(self.images / "train"), recipe, out, model=str(self.start()), resume=out.exists())
        pretrain(request, settings=self.settings, hooks=self.hooks)

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        out = self.root / name
        if not (out / "metrics.json").exists() or not (out / "report.html").exists():
            make(out)
        load_encoder(RunFolder(out).encoder)
        return out

    def _table(self) -> Path:
        """imagenette as a table with a split: a tenth of ``train`` chooses (nothing, here), ``val`` proves."""
        path = self.root / "imagenette.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "split"])
            for part, name in (("train", "train"), ("val", "test")):
                for place, image in enumerate(sorted((self.images / part).glob("*/*.jpg"))):
                    chosen = "val" if name == "train" and place % 10 == 0 else name
                    writer.writerow([os.fspath(image), image.parent.name, chosen])
        return path


if __name__ == "__main__":
    run("--quick" in sys.argv, [float(share) for share in sys.argv[1:] if share != "--quick"] or FRACTIONS)
