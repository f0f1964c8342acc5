"""What fine-tuning the whole encoder brings: ``retrieval train`` with its recipes on real images, start against result.

The sets and their parts are those of ``tests.benchmarks.tasks``, given to the program as tables with a split; the
recipes are taken as they come. The test part is opened once, at the end of a run. Runs are kept in the cache under the
recipe's own values, so that an interrupted benchmark goes on where it stopped, in the middle of a run too.

``python -m tests.benchmarks.fine_tuning SET RECIPE [KEY=VALUE ...]`` makes one run, and prints what validation said;
``python -m tests.benchmarks.fine_tuning --rows SET RECIPE ...`` prints the rows of some recipes on one set (``naive``
is one of them), and makes the runs that are not there.
"""

import csv
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from retrieval.core.settings import Settings, load_settings
from retrieval.workflows.evaluating import EvaluateRequest, evaluate
from retrieval.workflows.recipes import Recipe, load_recipe
from retrieval.workflows.training import Request, TrainingHooks, train
from tests.benchmarks.support import CACHE, mobilenet, show, unpacked
from tests.benchmarks.tasks import Task, flowers, grocery, omniglot, thinned

SETS = {"flowers90": flowers, "omniglot": omniglot, "grocery": grocery}
LATER = ("normalise", "centre_rate", "mine_positives")
"""Fields that recipes were given after runs had been kept."""

COMPARED = ("quick-head", "triplet-center", "batch-hard", "multi-similarity")
"""The default head, the default of fine-tuning, and the two losses that ``losses_quality`` liked best as heads: by the
validation parts of flowers90 and omniglot, before any fine-tuning with them."""
METRICS = ("recall_at_1", "map_at_r")

NAIVE: Mapping[str, Any] = {
    "epochs": 8, "learning_rate": 1e-3, "backbone_rate": 0.1, "layer_decay": 1.0, "average": None, "trials": (1.0,),
    "head_epochs": 0, "blend": False, "validate_every": 8,
}  # fmt: skip
"""`triplet-center` as one would do it at first, on flowers90: a projection that learns ten times faster than ours, and
is not trained before the encoder, one rate for all layers, the last weights as they are. What it loses is what our
recipe was made to keep."""
NAIVELY = "naive"


def run(quick: bool = False) -> None:
    """Print the table: every recipe on every set."""
    if quick:
        table({"flowers90": COMPARED[:2]}, {"epochs": 2})
    else:
        table({name: COMPARED + ((NAIVELY,) if name == "flowers90" else ()) for name in SETS})


def table(asked: Mapping[str, Sequence[str]], changes: Mapping[str, Any] = {}) -> None:
    """Print the rows of some recipes on some sets; ``changes`` are made to all of them."""
    rows = []
    for name, recipes in asked.items():
        for recipe in recipes:
            taken = ("triplet-center", NAIVE) if recipe == NAIVELY else (recipe, changes)
            found = trained(name, *taken)
            rows += [_row(proof, recipe, values, found["seconds"]) for proof, values in found["proofs"].items()]
    show(
        "Training with the shared MobileNetV2, the test part opened once",
        ["set", "recipe", "recall@1", "difference", "MAP@R", "difference", "time"],
        rows,
    )


def trained(name: str, recipe: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """One run: comparisons by proof, seconds, and what validation said; from the cache where it is there."""
    resolved = load_recipe(recipe, changes)
    values = _deciding(resolved)
    key = hashlib.sha256(json.dumps([name, values], sort_keys=True).encode()).hexdigest()[:12]
    kept = CACHE / "quality" / f"full-{name}-{recipe}-{key}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    settings = replace(load_settings(), data=CACHE / "quality" / "data", cache=CACHE)
    table = _table(SETS[name](mobilenet()))
    out = CACHE / "quality" / f"run-{name}-{recipe}-{key}"
    asked = Request(str(table), resolved, out, model=str(mobilenet()), split="given", resume=out.exists())
    report = train(asked, settings=settings, hooks=_hooks())
    found = {
        "seconds": report.seconds,
        "training": report.metrics["training"],
        "proofs": {name: {metric: report.metrics["comparison"][metric] for metric in METRICS}},
    }
    if name == "grocery":
        found["proofs"]["grocery-iconic"] = _iconic(out, settings)
    kept.write_text(json.dumps(found))
    shutil.rmtree(out)
    return found


def _deciding(recipe: Recipe) -> dict[str, Any]:
    """The recipe's own values but its words; what it could not say when the first runs were kept counts where it is
    set, so that those are found again."""
    without = {field.name: field.default for field in fields(Recipe) if field.name in LATER}
    words = ("summary", "cost", "expected")
    found = recipe.to_dict()
    return {
        key: found[key] for key in found if key not in words and not (key in without and found[key] == without[key])
    }


def _iconic(run: Path, settings: Settings) -> dict[str, Any]:
    """Photos of ``test`` among the studio shots."""
    root = unpacked("grocery")
    request = EvaluateRequest(
        None,
        str(run / "encoder"),
        against=str(mobilenet()),
        queries=str(root / "test"),
        database=str(root / "iconic"),
    )
    comparison = evaluate(request, settings=settings).to_dict()["comparison"]
    return {metric: comparison[metric] for metric in METRICS}


def _table(task: Task) -> Path:
    """The task as a CSV with a split: its own parts for training, choosing and proving."""
    some = thinned(task)
    parts = {"train": some.train.images, "val": some.val.images, "test": task.proofs[task.name][0].images}
    path = CACHE / "quality" / f"{task.name}.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for part, images in parts.items():
            writer.writerows([os.fsdecode(image.path), image.label, part] for image in images)
    return path


def _hooks() -> TrainingHooks:
    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    return TrainingHooks(
        say=say, begin=say, validated=lambda *values: say("validation: " + ", ".join(str(value) for value in values))
    )


def _row(proof: str, recipe: str, comparison: Mapping[str, Any], seconds: float) -> list[str]:
    cells = [proof, recipe]
    for metric in METRICS:
        value = comparison[metric]
        cells.append(f"{value['before']['mean']:.3f} → {value['after']['mean']:.3f}")
        cells.append(f"{value['mean']:+.3f} [{value['low']:+.3f}, {value['high']:+.3f}]")
    return [*cells, f"{seconds / 60:.0f} min"]


if __name__ == "__main__":
    if sys.argv[1] == "--rows":
        table({sys.argv[2]: sys.argv[3:]})
        sys.exit()
    pairs = dict(text.split("=", 1) for text in sys.argv[3:])
    print(json.dumps(trained(sys.argv[1], sys.argv[2], pairs)["training"], indent=1))
