"""``retrieval explain``: where two pictures match."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import GalleryOption, JsonOption, gallery_folder
from retrieval.cli.say import note, print_json, warn
from retrieval.core.errors import BadValue, NoSuchPath, disk_full_is_said
from retrieval.core.files import write_atomically
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.core.types import Region


def explain(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="An image file, or the id of an image of the gallery.")],
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="An image of the gallery: its id, or its path.")],
    gallery: GalleryOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.png", help="Draw both pictures there; must not exist.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region", metavar="L,T,R,B", help="Only this part of the query, as shares: 0.2,0,0.8,1 is its middle."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which parts of two pictures match, and so why one is found for the other."""
    from retrieval.workflows.gallery import Gallery
    from retrieval.workflows.matching_sheet import draw_explanation, named_example, named_image
    from retrieval.workflows.searching import Searcher

    if out is None and not as_json:
        raise BadValue("There is nothing to be done.", "Say where to draw with --out FILE.png, or take --json.")
    if out is not None:
        _check(out)
    part = None if region is None else _region(region)
    with Gallery(gallery_folder(gallery)) as opened, Searcher(opened, warn) as searcher:
        example, image_id = named_example(searcher, query, part), named_image(searcher, image)
        found = searcher.explain(example, image_id)
        if out is not None:
            with disk_full_is_said(str(out)):
                write_atomically(out, draw_explanation(searcher, example, image_id, found, Path(query).name))
    if as_json:
        print_json({"image_id": image_id, **found.to_dict()})
    if out is not None:
        note(f"{shown(str(out))}: cosine {found.score:.3f}{'' if found.exact else ', told apart approximately'}.")


def _check(out: Path) -> None:
    if out.suffix.lower() != ".png":
        raise BadValue(f"{out} is not the name of a PNG file.", "Let it end in .png.")
    if out.exists():
        raise BadValue(f"{out} exists already.", "Choose another name, or remove it first.")
    if not out.absolute().parent.is_dir():
        raise NoSuchPath(f"There is no folder {out.absolute().parent}.", "Make it first, or choose another one.")


def _region(text: str) -> "Region":
    from retrieval.core.types import Region

    try:
        left, top, right, bottom = (float(side) for side in text.split(","))
    except ValueError:
        raise BadValue(f"{text!r} is no part of a picture.", "Give left,top,right,bottom: 0.2,0,0.8,1.") from None
    return Region(left, top, right, bottom)
