"""``retrieval labels``: teaching a gallery what its pictures show."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.options import GalleryOption, JsonOption, gallery_folder
from retrieval.cli.say import note, print_json, results, table, warn
from retrieval.core.errors import BadValue
from retrieval.core.text import shown
from retrieval.workflows.words import count

if TYPE_CHECKING:
    from retrieval.workflows.labels import LabelReport

labels = typer.Typer(
    help="Labels of images: from folders, tables and people; every change can be taken back.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_SHOWN = 10


@labels.callback()
def _labels() -> None:
    """Labels of images: from folders, tables and people; every change can be taken back."""


@labels.command("list")
def list_labels(
    gallery: GalleryOption = None,
    history: Annotated[bool, typer.Option("--history", help="The operations, newest first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the labels in use, or what was done to them."""
    from retrieval.workflows import labels as workflow

    folder = gallery_folder(gallery)
    if history:
        operations = workflow.history(folder)
        if as_json:
            print_json([asdict(operation) for operation in operations])
            return
        rows = table(">operation", "what", "when (UTC)", ">gave", ">of these stand", ">took away")
        for one in operations:
            values = (f"{number:,}" for number in (one.added, one.standing, one.removed))
            rows.add_row(str(one.id), one.kind, one.at.isoformat(" "), *values)
        results.print(rows)
        return
    listed = workflow.list_labels(folder)
    if as_json:
        print_json([asdict(entry) for entry in listed])
        return
    rows = table("label", ">images", "from")
    for entry in listed:
        sources = ", ".join(f"{source} {number:,}" for source, number in entry.sources.items())
        rows.add_row(escape(shown(entry.label)), f"{entry.images:,}", sources)
    results.print(rows) if listed else note("No image has a label.")


@labels.command("import")
def import_labels(
    table_file: Annotated[
        Path | None, typer.Argument(metavar="[CSV]", help="A table with the columns path,label[,split].")
    ] = None,
    folders: Annotated[
        bool, typer.Option("--folders", help="Take the names of the folders that hold the images.")
    ] = False,
    under: Annotated[
        list[Path] | None, typer.Option("--under", metavar="PATH", help="With --folders: only in this folder.")
    ] = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take labels from a table, or from the names of folders."""
    from retrieval.workflows import labels as workflow

    if (table_file is None) != folders:
        raise BadValue("Labels are imported from a CSV or from --folders.", "Give one of the two.")
    folder = gallery_folder(gallery)
    if table_file is None:
        report = workflow.import_folders(folder, under or [])
    else:
        report = workflow.import_csv(folder, table_file)
    _show(report, as_json)


@labels.command("export")
def export_labels(
    file: Annotated[Path, typer.Argument(metavar="CSV", help="Where to write; must not exist.")],
    automatic: Annotated[
        bool, typer.Option("--automatic", help="With automatic labels, which nobody has confirmed.")
    ] = False,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the labels to a table that can be imported, and trained on."""
    from retrieval.workflows.labels import export_csv

    rows = export_csv(gallery_folder(gallery), file, automatic=automatic)
    if as_json:
        print_json({"file": str(file), "rows": rows})
    else:
        results.print(f"{escape(shown(str(file)))}: {count(rows, 'label')}.")


@labels.command("set")
def set_labels(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Paths of indexed files, or image ids.")],
    label: Annotated[str, typer.Argument(metavar="LABEL", help="What they show.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take this label away.")] = False,
    only: Annotated[bool, typer.Option("--only", help="Take all other labels away.")] = False,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what images show: one or more images, then the label."""
    from retrieval.workflows.labels import set_label

    if remove and only:
        raise BadValue("--remove and --only exclude each other.", "Choose one.")
    _show(set_label(gallery_folder(gallery), images, label, remove=remove, only=only), as_json)


@labels.command("undo")
def undo_labels(
    operation: Annotated[
        int | None, typer.Argument(metavar="[OPERATION]", min=1, help="A number.", show_default="the newest")
    ] = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back the last change of labels, or another one by its number."""
    from retrieval.workflows.labels import undo

    undone, report = undo(gallery_folder(gallery), operation)
    if as_json:
        print_json({**report.to_dict(), "undone": undone.id})
        return
    results.print(f"Operation {undone.id} ({undone.kind}) was taken back.")
    _show(report, as_json)


@labels.command("auto")
def auto_labels(
    least: Annotated[
        float, typer.Option("--least", metavar="P", min=0, max=1, help="Confidence below which nothing is said.")
    ] = 0.9,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="SOURCE", help="Learn from person, csv or folder labels only.", show_default="all three"
        ),
    ] = None,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label what has no label as its nearest labelled neighbours are; `labels undo` takes it back."""
    from retrieval.catalog import TRUSTED
    from retrieval.workflows.automatic_labels import auto_label

    report = auto_label(gallery_folder(gallery), least=least, sources=tuple(source or TRUSTED), say=warn)
    if as_json:
        print_json(report.to_dict())
        return
    rows = table(">image", "label", ">confidence")
    for image_id, label, confidence in report.shown:
        rows.add_row(str(image_id), escape(shown(label)), f"{confidence:.3f}")
    if report.shown:
        results.print(rows)
        if report.proposed > len(report.shown):
            note(f"  and {report.proposed - len(report.shown):,} more")
    results.print(
        f"{count(report.proposed, 'image')} labelled automatically, {report.unsure:,} left alone as not sure enough. "
        f"Learned from {count(report.learned_from, 'image')}, which label each other right in {report.accuracy:.1%}."
    )
    if report.operation is not None:
        note(f"`retrieval labels undo {report.operation}` takes this back.")


@labels.command("check")
def check_labels(
    number: Annotated[int, typer.Option("-n", "--count", metavar="N", min=1, help="How many of each to list.")] = 20,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List labels that the nearest neighbours contradict, and images that are like nothing else; changes nothing."""
    from retrieval.workflows.hooks import Hooks
    from retrieval.workflows.label_check import check_labels as check

    found = check(gallery_folder(gallery), count=number, hooks=Hooks(say=warn))
    if as_json:
        print_json(found.to_dict())
        return
    rows = table(">image", "label", "neighbours say", ">sure", "file")
    for doubt in found.doubts:
        names = (escape(shown(doubt.label)), escape(shown(doubt.instead)))
        rows.add_row(str(doubt.image_id), *names, f"{doubt.confidence:.3f}", escape(shown(doubt.path)))
    if found.doubts:
        results.print(rows)
    results.print(
        f"{count(found.doubted, 'label')} contradicted by the neighbours, of {found.labelled:,} that were looked at; "
        f"these label each other right in {found.accuracy:.1%}."
    )
    lonely = table(">image", ">cosine to the tenth neighbour", "file")
    for outlier in found.outliers:
        lonely.add_row(str(outlier.image_id), f"{outlier.score:.3f}", escape(shown(outlier.path)))
    if found.outliers:
        results.print(f"\nThe loneliest of {count(found.looked_at, 'image')}:")
        results.print(lonely)
    if found.looked_at < found.images:
        note(f"A sample was looked at: {found.looked_at:,} of {found.images:,} images.")
    if found.doubts:
        note("`retrieval labels set IMAGE LABEL --only` corrects a label.")


@labels.command("resaved")
def resaved_labels(
    accept: Annotated[bool, typer.Option("--accept", help="Give the labels that are offered.")] = False,
    gallery: GalleryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Offer labels of files that were saved again, and so are other images now, to those that look the same."""
    from retrieval.workflows import labels as workflow

    folder = gallery_folder(gallery)
    offered = workflow.offers(folder)
    report = workflow.carry(folder, offered) if accept and offered else None
    if as_json:
        given = None if report is None else report.to_dict()
        print_json({"offers": [asdict(offer) for offer in offered], "given": given})
        return
    rows = table(">image", "labels", "file", ">bits apart")
    for offer in offered:
        path = escape(shown(offer.path))
        rows.add_row(str(offer.image_id), escape(shown(", ".join(offer.labels))), path, str(offer.bits))
    results.print(rows) if offered else note("No labelled image has lost its file to one that looks the same.")
    if report is not None:
        _show(report, False)
    elif offered:
        note("`retrieval labels resaved --accept` gives them; nothing was changed.")


def _show(report: "LabelReport", as_json: bool) -> None:
    if as_json:
        print_json(report.to_dict())
    elif not any((report.added, report.removed, report.unchanged, report.split)):
        results.print("Nothing was changed: no label was there to take away, and none to give.")
    else:
        done = [count(report.added, "label") + " given"]
        done += [f"{report.removed:,} taken away"] if report.removed else []
        done += [f"{report.unchanged:,} stood already"] if report.unchanged else []
        done += [f"{report.split:,} given to a part of the split"] if report.split else []
        results.print(f"{', '.join(done)}.")
    for path in report.unknown[:_SHOWN]:
        warn(f"The gallery has no image {path}")
    if len(report.unknown) > _SHOWN:
        note(f"  and {len(report.unknown) - _SHOWN:,} more")
