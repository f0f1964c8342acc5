"""``retrieval pretrain``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.live import TrainingDisplay
from retrieval.cli.options import GalleryOption, JsonOption, WorkersOption, gallery_folder
from retrieval.cli.say import note, print_json, results, table
from retrieval.cli.train import (
    EpochsOption,
    OutOption,
    ResumeOption,
    SeedOption,
    SetOption,
    changed_keys,
    metric_rows,
    run_folder,
)
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.workflows.pretraining import PretrainReport


ImagesArgument = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER|CSV|gallery",
        help="A folder (recursively), a CSV with a column path, or the word gallery: all its images.",
    ),
]

StartOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="M",
        help="What to start from: 'starter', 'auto', an encoder folder, a timm name (pretrained weights from the hub), "
        "or 'untrained:NAME' (of timm's, to learn from nothing).",
        show_default="the gallery's, or the starter",
    ),
]


def pretrain(
    images: ImagesArgument,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="NAME", help="How it learns: `retrieval recipes` lists the methods."),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe",
            metavar="NAME|FILE",
            help="A recipe, or a .toml or .py file with one.",
            show_default="the method's own",
        ),
    ] = None,
    settings: SetOption = None,
    model: StartOption = None,
    out: OutOption = None,
    epochs: EpochsOption = None,
    seed: SeedOption = None,
    resume: ResumeOption = False,
    workers: WorkersOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train an encoder on images without labels.

    Nothing is chosen by labels: the last weights are kept. Where labels are known (class folders, a CSV's column label,
    the gallery's) they only measure the start and the result. RUN/encoder goes wherever an encoder folder goes.
    """
    from retrieval.workflows.pretraining import PretrainRequest
    from retrieval.workflows.pretraining import pretrain as run
    from retrieval.workflows.recipes import load_pretrain_recipe

    chosen = load_pretrain_recipe(method, recipe, changed_keys(settings, epochs=epochs, seed=seed))
    request = PretrainRequest(
        dataset=images,
        recipe=chosen,
        out=run_folder(out, chosen.name, resume),
        model=model,
        gallery=gallery_folder(gallery),
        workers=workers,
        resume=resume,
    )
    with stopping() as stop, TrainingDisplay().shown() as display:
        report = run(request, hooks=display.hooks(stop))
    if as_json:
        print_json(report.to_dict())
    else:
        print_pretraining(report)


def print_pretraining(report: "PretrainReport") -> None:
    """What a run without labels has changed, and where its report is."""
    from retrieval.workflows.pretrain_report import diagnostic_rows

    rows = table("without labels", ">before", ">after")
    for row in diagnostic_rows(report.metrics):
        rows.add_row(*row)
    results.print(rows)
    labelled: dict[str, Any] | None = report.metrics["labelled"]
    if labelled is not None:
        results.print(metric_rows(labelled["comparison"]))
        queries = labelled["after"]
        searched = f"{queries['queries']:,} labelled queries of {queries['classes']:,} classes"
        results.print(f"{searched}, {labelled['way']}. No label was used to choose anything.")
    results.print(f"Report: {escape(shown(report.out))}/report.html")
    note(f"Switch a gallery to it, where its labels prove it to be better: retrieval switch {report.out}")
    note(f"Index with it, in a new gallery: retrieval index --model {report.out}/encoder --gallery DIR PATH")
    note(f"Measure it on labels: retrieval evaluate DATASET --model {report.out}/encoder --against START")
