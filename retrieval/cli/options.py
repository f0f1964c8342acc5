"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from retrieval.core.settings import load_settings

GalleryOption = Annotated[
    Path | None,
    typer.Option(
        "--gallery",
        envvar="RETRIEVAL_GALLERY",
        metavar="DIR",
        help="The gallery's folder.",
        show_default="a per-user data folder",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="M",
        help="'starter' (the default of a new gallery), 'auto' (a stronger one from the hub, where it can be had), "
        "an encoder folder, a run's, or a timm name (pretrained weights from the hub).",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=256, metavar="N", help="Decoding processes.", show_default="one a core"),
]


def gallery_folder(given: Path | None) -> Path:
    """The gallery to work on: the option, the environment variable, or the per-user folder."""
    return (given or load_settings().gallery).expanduser().absolute()
