"""The commands, put together."""

from typing import Annotated

import typer

from retrieval import __version__
from retrieval.cli import (
    diagnose,
    duplicates,
    evaluate,
    explain,
    gallery,
    index,
    jobs,
    labels,
    later_stages,
    models,
    pretrain,
    probe,
    search,
    serve,
    spaces,
    temperature,
    train,
)

app = typer.Typer(
    name="retrieval",
    help="Find pictures by picture: index a folder, upload a photo, see its nearest neighbours.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=True,
)

app.command("index")(index.index)
app.command("search")(search.search)
app.command("explain")(explain.explain)
app.command("status")(gallery.status)
app.command("failures")(gallery.failures)
app.command("roots")(gallery.roots)
app.command("prune")(gallery.prune)
app.command("duplicates")(duplicates.duplicates)
app.command("backup")(gallery.backup)
app.command("restore")(gallery.restore)
app.command("models")(models.models)
app.add_typer(models.model, name="model")
app.command("train")(train.train)
app.command("pretrain")(pretrain.pretrain)
app.command("finetune")(later_stages.finetune)
app.command("distil")(later_stages.distil)
app.command("evaluate")(evaluate.evaluate)
app.command("probe")(probe.probe)
app.command("diagnose")(diagnose.diagnose)
app.command("temperature")(temperature.temperature)
app.command("recipes")(train.recipes)
app.add_typer(labels.labels, name="labels")
app.command("spaces")(spaces.spaces)
app.command("switch")(spaces.switch)
app.command("rollback")(spaces.rollback)
app.command("jobs")(jobs.jobs)
app.command("serve")(serve.serve)
app.command("demo")(serve.demo)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"retrieval {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass
