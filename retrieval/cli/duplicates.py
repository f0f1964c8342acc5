"""``retrieval duplicates``: groups of near-duplicates."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.options import GalleryOption, JsonOption, WorkersOption, gallery_folder
from retrieval.cli.say import note, print_json, results, size, table, warn
from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.text import shown
from retrieval.workflows.words import count

if TYPE_CHECKING:
    from retrieval.workflows.duplicates import Duplicates


def duplicates(
    gallery: GalleryOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table: one row a file.")] = False,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """List files that show the same picture: copies, re-saved or scaled ones. Nothing is deleted."""
    from retrieval.workflows.duplicates import find_duplicates, write_csv
    from retrieval.workflows.hooks import Hooks

    if as_csv and as_json:
        raise BadValue("--csv and --json exclude each other.", "Choose one.")
    with stopping() as stop:
        found = find_duplicates(gallery_folder(gallery), workers=workers, hooks=Hooks(say=warn, stop=stop.is_set))
    if found.interrupted:
        raise Interrupted("Stopped.", "Nothing was changed; the same command begins anew.")
    if as_json:
        print_json(found.to_dict())
    elif as_csv:
        write_csv(found.groups, sys.stdout)
    else:
        _print(found)


def _print(found: "Duplicates") -> None:
    if found.groups:
        rows = table(">group", "file", ">pixels", ">size")
        for number, group in enumerate(found.groups, start=1):
            for copy in group:
                pixels = f"{copy.width} x {copy.height}"
                rows.add_row(str(number), escape(shown(copy.path)), pixels, size(copy.bytes))
        results.print(rows)
    groups = count(len(found.groups), "group")
    note(f"{groups} among {count(found.images, 'image')}; all but the best of each take {size(found.bytes)}.")
    if found.unread:
        note(f"{count(found.unread, 'image')} could not be read now: only nearly equal ones were believed.")
