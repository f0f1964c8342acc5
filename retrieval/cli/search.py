"""``retrieval search``."""

import csv
import difflib
import os
import sys
from dataclasses import asdict
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from retrieval.cli.options import GalleryOption, JsonOption, ModelOption, gallery_folder
from retrieval.cli.say import json_text, results, table, warn
from retrieval.core.errors import BadValue, ImageError, Reason, RetrievalError
from retrieval.core.text import shown
from retrieval.workflows.words import chance_in_words, count

if TYPE_CHECKING:
    from retrieval.core.types import Filters
    from retrieval.workflows.results import Neighbour, SearchResult
    from retrieval.workflows.searching import Answer, Searcher

_FIELDS = ("rank", "id", "score", "probability", "labels", "paths", "width", "height")


def search(
    query: Annotated[
        Path, typer.Argument(metavar="IMAGE|FOLDER", help="An image, or a folder of them: one query each.")
    ],
    gallery: GalleryOption = None,
    k: Annotated[int, typer.Option("-k", min=1, max=10_000, help="How many neighbours.")] = 10,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="L", help="Only images with this label.")
    ] = None,
    not_label: Annotated[
        list[str] | None, typer.Option("--not-label", metavar="L", help="No images with this label.")
    ] = None,
    under: Annotated[
        list[Path] | None, typer.Option("--under", metavar="PATH", help="Only images in this folder.")
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", metavar="S", min=-1, max=1, help="Only neighbours at least this close."),
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="DATE", help="Only images taken on this day or later.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="DATE", help="Only images taken before this day.")
    ] = None,
    min_side: Annotated[
        int | None, typer.Option("--min-side", metavar="PX", min=1, help="Only if the shorter side has so many pixels.")
    ] = None,
    max_side: Annotated[
        int | None, typer.Option("--max-side", metavar="PX", min=1, help="Only if the longer side has no more pixels.")
    ] = None,
    min_size: Annotated[
        str | None, typer.Option("--min-size", metavar="SIZE", help="Only files this large, e.g. 200kB, 1.5MB.")
    ] = None,
    max_size: Annotated[
        str | None, typer.Option("--max-size", metavar="SIZE", help="No files larger than this.")
    ] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the result as CSV.")] = False,
) -> None:
    """Show the nearest neighbours of an image, or of every image in a folder."""
    from retrieval.core.types import Filters
    from retrieval.workflows.bounds import bytes_in, day
    from retrieval.workflows.gallery import Gallery
    from retrieval.workflows.searching import Searcher

    if as_json and as_csv:
        raise BadValue("--json and --csv exclude each other.", "Choose one.")
    filters = Filters(
        labels=tuple(label or ()),
        not_labels=tuple(not_label or ()),
        under=tuple(os.path.abspath(path) for path in under or ()),
        min_score=min_score,
        after=day(after),
        before=day(before),
        min_side=min_side,
        max_side=max_side,
        min_bytes=bytes_in(min_size),
        max_bytes=bytes_in(max_size),
    )
    with Gallery(gallery_folder(gallery)) as opened, Searcher(opened, warn) as searcher:
        _say_what_is_unknown(searcher, filters)
        answers = searcher.by_path(query, k, filters, model=model)
        printer = _Json() if as_json else _Csv() if as_csv else _Tables()
        usable = unusable = 0
        for answer in answers:
            if not isinstance(answer.found, RetrievalError):
                usable += 1
            elif query.is_dir():
                unusable += 1
                warn(f"{answer.path}: {answer.found}")
            else:
                raise answer.found
            printer.add(answer)
        if not usable:
            raise ImageError(
                Reason.NOT_AN_IMAGE,
                f"None of the {count(unusable, 'file')} in {query} can be used.",
                "Each one is named above.",
            )
        printer.finish()


def _say_what_is_unknown(searcher: "Searcher", filters: "Filters") -> None:
    """A filter that fits nothing is more often a slip of the fingers than a wish."""
    from retrieval.core.types import Filters

    named = (*filters.labels, *filters.not_labels)
    if named:
        known = [label for label, _ in searcher.labels()]
        for label in dict.fromkeys(named):
            if label not in known:
                near = difflib.get_close_matches(label, known, n=1)
                meant = f" Did you mean {near[0]}?" if near else ""
                warn(f"No image in the gallery has the label {label}.{meant}")
    for path in filters.under:
        if not len(searcher.gallery.catalog.images.passing(searcher.space.id, Filters(under=(path,)))):
            there = "" if os.path.lexists(path) else ", and there is no such folder"
            warn(f"No image in the gallery lies in {path}{there}.")


class _Json:
    """One list, written answer by answer: a folder of queries may be longer than memory."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []
        self._begun = False

    def add(self, answer: "Answer") -> None:
        row: dict[str, Any] = {"query": answer.path, "neighbours": [], "nothing_like_this": None, "error": None}
        self._waiting.append(row)
        if isinstance(answer.found, RetrievalError):
            # Not before there is an answer: where there is none, stdout stays empty.
            row["error"] = str(answer.found)
            return
        row["neighbours"] = [_fields(n) for n in answer.found.neighbours]
        row["nothing_like_this"] = answer.found.nothing_like_this
        self._write()

    def _write(self) -> None:
        for row in self._waiting:
            sys.stdout.write((",\n" if self._begun else "[\n") + indent(json_text(row), "  "))
            self._begun = True
        self._waiting.clear()

    def finish(self) -> None:
        self._write()
        sys.stdout.write("\n]\n")
        sys.stdout.flush()


class _Csv:
    def __init__(self) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._begun = False

    def add(self, answer: "Answer") -> None:
        if isinstance(answer.found, RetrievalError):
            return
        # Not before there is an answer: where there is none, stdout stays empty.
        if not self._begun:
            self._writer.writerow(("query", *_FIELDS))
            self._begun = True
        for n in answer.found.neighbours:
            values = _fields(n)
            values["labels"] = ";".join(n.labels)
            values["paths"] = ";".join(shown(path) for path in n.paths)
            self._writer.writerow((shown(answer.path), *values.values()))

    def finish(self) -> None:
        sys.stdout.flush()


class _Tables:
    def add(self, answer: "Answer") -> None:
        if isinstance(answer.found, RetrievalError):
            return
        print_neighbours(f"Neighbours of {shown(answer.path)}", answer.found)

    def finish(self) -> None:
        pass


def print_neighbours(title: str, found: "SearchResult") -> None:
    """A table of neighbours on stdout, below its title."""
    results.print(f"[bold]{escape(title)}[/]")
    if not found.neighbours:
        results.print(f"  Nothing found among {count(found.searched, 'image')}; loosen the filters or --min-score.\n")
        return
    if found.nothing_like_this:
        results.print("  [yellow]Probably nothing like this is here:[/] not even the nearest is as near as a match is.")
    calibrated = any(n.probability is not None for n in found.neighbours)
    rows = table(">rank", ">score", *([">same label"] if calibrated else []), ">id", "labels", "path")
    for n in found.neighbours:
        path = escape(shown(n.paths[0])) if n.paths else ""
        more = f" [dim](+{count(len(n.paths) - 1, 'copy', 'copies')})[/]" if len(n.paths) > 1 else ""
        offline = " [yellow](offline)[/]" if n.offline else ""
        chance = [] if not calibrated else ["" if n.probability is None else chance_in_words(n.probability)]
        labels = escape(", ".join(n.labels))
        rows.add_row(str(n.rank), f"{n.score:.4f}", *chance, str(n.id), labels, path + more + offline)
    results.print(rows)
    results.print()


def _fields(neighbour: "Neighbour") -> dict[str, Any]:
    values = asdict(neighbour)
    return {name: values[name] for name in _FIELDS}
