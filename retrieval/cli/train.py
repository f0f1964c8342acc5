"""``retrieval train`` and ``retrieval recipes``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.live import TrainingDisplay
from retrieval.cli.options import GalleryOption, JsonOption, ModelOption, WorkersOption, gallery_folder
from retrieval.cli.say import note, print_json, results, table
from retrieval.core.text import shown

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.workflows.recipes import Recipe, ViewRecipe
    from retrieval.workflows.training import TrainReport

DatasetArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATASET",
        help="A folder of class folders, a CSV with path,label[,split], or the word gallery: its labels.",
    ),
]

SplitOption = Annotated[
    str,
    typer.Option(
        "--split",
        metavar="KIND",
        help="How images are set aside: class-disjoint, grouped, given, or auto.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe; may be repeated."),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="RUN", help="The run's folder.", show_default="runs/NUMBER-RECIPE")
]
EpochsOption = Annotated[int | None, typer.Option("--epochs", min=0, metavar="N", help="The same as --set epochs=N.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, metavar="S", help="The same as --set seed=S.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")]


def train(
    dataset: DatasetArgument,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME|FILE", help="A recipe, or a .toml or .py file with one.")
    ] = "quick-head",
    settings: SetOption = None,
    model: ModelOption = None,
    out: OutOption = None,
    epochs: EpochsOption = None,
    seed: SeedOption = None,
    split: SplitOption = "auto",
    resume: ResumeOption = False,
    workers: WorkersOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train an encoder on labelled images, and prove it on labels that were held out."""
    from retrieval.workflows.recipes import load_recipe
    from retrieval.workflows.training import Request
    from retrieval.workflows.training import train as run

    request = Request(
        dataset=dataset,
        recipe=load_recipe(recipe, changed_keys(settings, epochs=epochs, seed=seed)),
        out=run_folder(out, recipe, resume),
        model=model,
        gallery=gallery_folder(gallery),
        split=split,
        workers=workers,
        resume=resume,
    )
    with stopping() as stop, TrainingDisplay().shown() as display:
        report = run(request, hooks=display.hooks(stop))
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)


def changed_keys(settings: list[str] | None, **options: Any) -> dict[str, Any]:
    """The keys of a recipe that a command line changes: those of ``--set``, and options that are keys too."""
    from retrieval.workflows.recipes import parse_settings

    return parse_settings(settings or []) | {key: value for key, value in options.items() if value is not None}


def run_folder(given: Path | None, recipe: str, resume: bool) -> Path:
    """Where a run goes: ``--out``, or the next number below ``runs``. Raises BadValue: ``resume`` without ``--out``."""
    from retrieval.core.errors import BadValue

    if given is not None:
        return given.expanduser().absolute()
    if resume:
        raise BadValue("--resume needs the run's folder.", "Give it with --out RUN.")
    runs = Path("runs")
    taken = [
        int(path.name.partition("-")[0]) for path in runs.glob("[0-9]*-*") if path.name.partition("-")[0].isdigit()
    ]
    return (runs / f"{max(taken, default=0) + 1}-{Path(recipe).stem}").absolute()


def _print(report: "TrainReport") -> None:
    print_proof(report.metrics)
    results.print(f"Report: {escape(shown(report.out))}/report.html")
    if report.better:
        note(f"Switch a gallery to it with: retrieval switch {report.out}")


def print_proof(metrics: Mapping[str, Any]) -> None:
    """Before and after with intervals, on what they rest, and the verdict."""
    results.print(metric_rows(metrics["comparison"]))
    queries = metrics["after"]
    searched = f"{queries['queries']:,} held-out queries of {queries['classes']:,} classes"
    results.print(f"{searched}, {metrics['way']}.")
    verdicts = {
        "better": "[bold green]Proven better:[/] the interval of MAP@R lies above zero, and recall@1 is not worse.",
        "worse": "[bold red]Worse:[/] an interval lies below zero.",
        "open": f"[bold yellow]Not proven:[/] {_doubtful(metrics)}",
    }
    results.print(verdicts[_verdict(metrics["comparison"])])


def _verdict(comparison: Mapping[str, Any]) -> str:
    """By the rule of today: the word in a run that was kept may be that of an older one."""
    from retrieval.evaluation.comparison import judge

    first, ranking = ((gain["low"], gain["high"]) for gain in (comparison["recall_at_1"], comparison["map_at_r"]))
    return judge(first, ranking)


def metric_rows(comparison: Mapping[str, Any]) -> "Table":
    """The metrics of two models beside each other, with the interval of the difference."""
    rows = table("", ">before", ">after", ">difference", "95 % interval")
    for name in ("recall_at_1", "map_at_r", "recall_at_10", "r_precision"):
        value = comparison[name]
        rows.add_row(
            metric_name(name),
            f"{value['before']['mean']:.3f}",
            f"{value['after']['mean']:.3f}",
            f"{value['mean']:+.3f}",
            f"{value['low']:+.3f} to {value['high']:+.3f}",
        )
    return rows


def _doubtful(metrics: Mapping[str, Any]) -> str:
    """What the two metrics that decide leave open."""
    from retrieval.workflows.gate import doubtful

    ends = {"map_at_r": "its gain could be chance", "recall_at_1": "a loss is not ruled out"}
    doubts = []
    for name, end in ends.items():
        gain = metrics["comparison"][name]
        doubt = doubtful(name, gain["low"], gain["high"])
        if doubt:
            doubts.append(f"the interval of {metric_name(name)} {doubt}: {end}")
    return f"{'; '.join(doubts)}."


def metric_name(key: str) -> str:
    """A metric's key as people write it."""
    names = {"map_at_r": "MAP@R", "r_precision": "R-precision", "precision_at_1": "precision@1"}
    return names.get(key) or key.replace("map_at_", "mAP@").replace("recall_at_", "recall@")


def recipes(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show every key of one recipe.")] = None,
    as_json: JsonOption = False,
) -> None:
    """The recipes for training, with labels and without: what each is for, its cost, and what to expect."""
    from retrieval.workflows.recipes import (
        DISTIL_RECIPES,
        FINETUNE_RECIPES,
        PRETRAIN_RECIPES,
        RECIPES,
        find_recipe,
    )

    if name is not None:
        _one_recipe(find_recipe(name), as_json)
        return
    kinds: dict[str, list[Recipe | ViewRecipe]] = {
        "train": list(RECIPES.values()),
        "pretrain": list(PRETRAIN_RECIPES.values()),
        "finetune": list(FINETUNE_RECIPES.values()),
        "distil": list(DISTIL_RECIPES.values()),
    }
    if as_json:
        print_json([recipe.to_dict() | {"command": command} for command, some in kinds.items() for recipe in some])
        return
    for command, some in kinds.items():
        rows = table(f"retrieval {command} --recipe", "for", "cost", "seen")
        for recipe in some:
            rows.add_row(recipe.name, recipe.summary, recipe.cost, recipe.expected)
        results.print(rows)


def _one_recipe(recipe: "Recipe | ViewRecipe", as_json: bool) -> None:
    if as_json:
        print_json(recipe.to_dict())
        return
    rows = table("key", "value")
    for key, value in recipe.keys().items():
        rows.add_row(escape(key), escape(str(value)))
    results.print(rows)
