"""``retrieval finetune`` and ``retrieval distil``: what follows training without labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.live import TrainingDisplay
from retrieval.cli.options import GalleryOption, JsonOption, WorkersOption, gallery_folder
from retrieval.cli.pretrain import ImagesArgument, print_pretraining
from retrieval.cli.say import note, print_json, results
from retrieval.cli.train import (
    DatasetArgument,
    EpochsOption,
    OutOption,
    ResumeOption,
    SeedOption,
    SetOption,
    SplitOption,
    changed_keys,
    print_proof,
    run_folder,
)
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.workflows.train_request import TrainReport


def finetune(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run of `retrieval pretrain`.")],
    dataset: DatasetArgument,
    fraction: Annotated[
        float,
        typer.Option(
            "--fraction",
            metavar="F",
            help="Share of the training labels, e.g. 0.01, 0.1 or 1; below 1 equally many of each class.",
        ),
    ] = 1.0,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME|FILE", help="A recipe, or a .toml or .py file with one.")
    ] = "fine_tuning",
    settings: SetOption = None,
    out: OutOption = None,
    epochs: EpochsOption = None,
    seed: SeedOption = None,
    split: SplitOption = "auto",
    resume: ResumeOption = False,
    workers: WorkersOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune what was trained without labels, with few of them (SimCLRv2's second stage).

    It goes on from the first hidden layer of the run's projector; a classifier stands on it, and everything is trained.
    Accuracy and retrieval are measured on images that were held out.
    """
    from retrieval.workflows.finetuning import FinetuneRequest
    from retrieval.workflows.finetuning import finetune as start
    from retrieval.workflows.recipes import load_finetune_recipe

    chosen = load_finetune_recipe(recipe, changed_keys(settings, epochs=epochs, seed=seed))
    request = FinetuneRequest(
        run=run.expanduser().absolute(),
        dataset=dataset,
        recipe=chosen,
        out=run_folder(out, chosen.name, resume),
        fraction=fraction,
        gallery=gallery_folder(gallery),
        split=split,
        workers=workers,
        resume=resume,
    )
    with stopping() as stop, TrainingDisplay().shown() as display:
        report = start(request, hooks=display.hooks(stop))
    _tell(report, as_json)


def distil(
    images: ImagesArgument,
    teacher: Annotated[
        str,
        typer.Option(
            "--teacher", metavar="M", help="A run's folder, an encoder folder, or a timm name; it stays as it is."
        ),
    ],
    student: Annotated[
        str,
        typer.Option(
            "--student",
            metavar="BACKBONE",
            help="A timm name (pretrained weights from the hub), 'untrained:NAME', or an encoder folder.",
        ),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="DATASET",
            help="Labelled images: the student then learns the teacher's answers too. "
            "The teacher is a run of `retrieval finetune`.",
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="NAME|FILE", help="Of the features: a recipe, or a file with one.")
    ] = "feature_distillation",
    settings: SetOption = None,
    out: OutOption = None,
    epochs: EpochsOption = None,
    seed: SeedOption = None,
    split: SplitOption = "auto",
    resume: ResumeOption = False,
    workers: WorkersOption = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Distil a smaller encoder: it learns to lay out images as the teacher does.

    Needs no labels. With --labels the answers of a fine-tuned teacher follow (SimCLRv2's third stage), and accuracy and
    retrieval are measured on images that were held out. --set takes the keys of the recipes of --recipe and, with
    --labels, distillation; one that both have changes both. With --set views_kept=8 the teacher looks only once at each
    of eight views of an image, and the student may be an encoder folder of smaller pictures than the teacher's.
    """
    from retrieval.workflows.distilling import DistilRequest
    from retrieval.workflows.distilling import distil as start
    from retrieval.workflows.pretrain_request import PretrainReport
    from retrieval.workflows.recipes import load_distil_recipes

    features, answers = load_distil_recipes(
        changed_keys(settings, epochs=epochs, seed=seed), with_labels=labels is not None, name=recipe
    )
    request = DistilRequest(
        teacher=teacher,
        student=student,
        dataset=images,
        features=features,
        out=run_folder(out, "distil", resume),
        labels=labels,
        answers=answers,
        gallery=gallery_folder(gallery),
        split=split,
        workers=workers,
        resume=resume,
    )
    with stopping() as stop, TrainingDisplay().shown() as display:
        report = start(request, hooks=display.hooks(stop))
    if not isinstance(report, PretrainReport):
        _tell(report, as_json)
    elif as_json:
        print_json(report.to_dict())
    else:
        print_pretraining(report)


def _tell(report: "TrainReport", as_json: bool) -> None:
    from retrieval.workflows.classifying import in_words

    if as_json:
        print_json(report.to_dict())
        return
    results.print(f"Classification: {in_words(report.metrics['classification'])}.")
    if "teacher_classification" in report.metrics:
        results.print(f"The teacher's: {in_words(report.metrics['teacher_classification'])}.")
    print_proof(report.metrics)
    results.print(f"Report: {escape(shown(report.out))}/report.html")
    if report.better:
        note(f"Switch a gallery to it with: retrieval switch {report.out}")
