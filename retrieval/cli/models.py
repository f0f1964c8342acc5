"""``retrieval models`` and ``retrieval model create``."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from retrieval.cli.options import GalleryOption, JsonOption, gallery_folder
from retrieval.cli.say import note, print_json, results, table
from retrieval.core.text import shown

_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")

model = typer.Typer(
    help="Make encoder folders.", no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)


@model.callback()
def _model() -> None:
    """Make encoder folders."""


def models(gallery: GalleryOption = None, as_json: JsonOption = False) -> None:
    """List the gallery's encoders, and what --model takes."""
    from retrieval.workflows.models import known_models

    listed = known_models(gallery_folder(gallery))
    if as_json:
        print_json([entry.to_dict() for entry in listed])
        return
    rows = table("--model", "what it is", ">dimension", "state")
    for entry in listed:
        what = _SHA256.sub(lambda found: f"{found[0][:12]}…", entry.what)
        rows.add_row(escape(entry.name), escape(shown(what)), str(entry.dimension or ""), escape(entry.state))
    results.print(rows)


@model.command("create")
def create(
    backbone: Annotated[str, typer.Option("--backbone", metavar="NAME", help="Any timm architecture.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The encoder folder to make.")],
    backbone_args: Annotated[
        list[str] | None,
        typer.Option("--backbone-args", metavar="KEY=VALUE", help="For timm's create_model; repeatable."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="A local safetensors file.", show_default="the hub's"),
    ] = None,
    untrained: Annotated[bool, typer.Option("--untrained", help="Random weights, for trying things out.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of random weights: --untrained, and the head's.")] = 0,
    input_size: Annotated[
        int | None, typer.Option("--input-size", help="Side of the input, pixels.", show_default="timm's")
    ] = None,
    mean: Annotated[
        str | None, typer.Option("--mean", help="One value, or three with commas.", show_default="timm's")
    ] = None,
    std: Annotated[
        str | None, typer.Option("--std", help="One value, or three with commas.", show_default="timm's")
    ] = None,
    interpolation: Annotated[
        str | None,
        typer.Option("--interpolation", help="nearest, bilinear, bicubic or lanczos.", show_default="timm's"),
    ] = None,
    crop: Annotated[
        float | None, typer.Option("--crop", help="Share of the short side that is kept.", show_default="1")
    ] = None,
    fit: Annotated[str | None, typer.Option("--fit", help="crop or stretch.", show_default="crop")] = None,
    pooling: Annotated[
        str, typer.Option("--pooling", help="backbone (as timm has it) or levels (mean and spread of every level).")
    ] = "backbone",
    head: Annotated[str, typer.Option("--head", help="none, linear, mlp or hidden.")] = "none",
    dim: Annotated[int | None, typer.Option("--dim", min=1, help="Embedding width of a head.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What to call it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an encoder folder from a timm backbone and a local weights file."""
    from retrieval.workflows.models import create_model

    card, folder = create_model(
        out,
        backbone=backbone,
        backbone_args=backbone_args or [],
        weights=weights,
        untrained=untrained,
        seed=seed,
        input_size=input_size,
        mean=mean,
        std=std,
        interpolation=interpolation,
        crop=crop,
        fit=fit,
        pooling=pooling,
        head=head,
        dim=dim,
        name=name,
        say=note,
    )
    if as_json:
        print_json(card | {"folder": str(folder)})
    else:
        results.print(
            f"{escape(str(folder))}: {escape(str(card['name']))}, {card['dimension']} dimensions, "
            f"fingerprint {str(card['fingerprint'])[:16]}."
        )
