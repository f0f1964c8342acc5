"""``retrieval serve`` and ``retrieval demo``: they open the page."""

import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from retrieval.cli.index import stopping
from retrieval.cli.options import GalleryOption, gallery_folder
from retrieval.cli.say import Bar, note, results, warn
from retrieval.cli.search import print_neighbours
from retrieval.core.errors import BadValue, EmptyGallery, Interrupted
from retrieval.core.settings import load_settings
from retrieval.core.text import shown
from retrieval.workflows.words import count

if TYPE_CHECKING:
    from retrieval.workflows.gallery import Gallery
    from ui.server import Place

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 lets others in.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")]


@dataclass(frozen=True, slots=True)
class _Offer:
    """Who is served, and what; see ``create_app``."""

    auth: tuple[tuple[str, str], ...] = ()
    read_only: bool = False
    hide_paths: bool = False
    mcp: bool = False


def serve(
    gallery: GalleryOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
    auth: Annotated[
        list[str] | None,
        typer.Option(
            "--auth",
            metavar="USER:PASSWORD",
            help="Ask for this on every request; may be given several times. RETRIEVAL_AUTH gives one, too.",
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Let nobody change the gallery, or start and stop jobs.")
    ] = False,
    hide_paths: Annotated[
        bool, typer.Option("--hide-paths", help="Show file names only, not where files lie on this machine.")
    ] = False,
    mcp: Annotated[bool, typer.Option("--mcp", help="Offer the search to assistants as a tool (MCP).")] = False,
    watch: Annotated[
        bool | None,
        typer.Option(
            "--watch/--no-watch",
            help="Look for changes in the folders while it runs; kept in the gallery, and idle with --read-only.",
        ),
    ] = None,
) -> None:
    """Open the page: upload a photo, see its nearest neighbours."""
    from ui.server import Place

    folder = gallery_folder(gallery)
    # Not typer's own: it would take a password with a space in it for two pairs.
    pairs = auth or list(filter(None, [os.environ.get("RETRIEVAL_AUTH")]))
    offer = _Offer(tuple(map(_credentials, pairs)), read_only, hide_paths, mcp)
    if mcp:
        from ui.mcp import need_mcp

        need_mcp()
    # Before anything is loaded, which takes seconds: a place that is taken is known at once.
    with Place(host, port) as place:
        from retrieval.workflows.gallery import Gallery

        # The user's own gallery may be empty, and so may a folder that was made for one: the page says how to fill it,
        # and notices when that is done. A folder that is not there is more often a slip of the fingers.
        try:
            opened = Gallery(folder, create=folder == _own_gallery() or _is_empty(folder))
        except EmptyGallery as error:
            raise EmptyGallery(
                f"There is no gallery in {folder}.",
                "Check the spelling of --gallery, or make it with `retrieval index FOLDER` and the same --gallery.",
            ) from error
        with opened:
            if watch is not None and not read_only:
                from retrieval.workflows.watching import set_watch, watch_of

                set_watch(folder, replace(watch_of(folder), on=watch))
            _serve(opened, place, offer)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _own_gallery() -> Path:
    return load_settings({}).gallery.expanduser().absolute()


def demo(
    gallery: Annotated[
        Path | None,
        typer.Option(
            "--gallery",
            metavar="DIR",
            help="A gallery of the demo's own; RETRIEVAL_GALLERY is not used, so that no sample lands in yours.",
            show_default="a per-user data folder",
        ),
    ] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Do not open the page.")] = False,
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
) -> None:
    """Index the sample images, show a search, and open the page."""
    # Not RETRIEVAL_GALLERY: the samples must never land in a user's own gallery.
    folder = (gallery or _own_gallery().with_name("demo")).expanduser().absolute()
    if no_serve:
        _demo(folder, gallery is not None, None)
        return
    from ui.server import Place

    with Place(host, port) as place:
        _demo(folder, gallery is not None, place)


def _demo(folder: Path, named: bool, place: "Place | None") -> None:
    from retrieval.workflows.demo import (
        demo_model,
        has_earlier_starter,
        refuse_other_pictures,
        sample_query,
        samples_folder,
    )
    from retrieval.workflows.gallery import Gallery
    from retrieval.workflows.index_report import Hooks
    from retrieval.workflows.indexing import index_paths
    from retrieval.workflows.searching import Searcher

    if named:
        refuse_other_pictures(folder)
    samples = samples_folder()
    note(f"Indexing the sample images in {shown(str(samples))} into {shown(str(folder))}")
    with stopping() as stop, Bar().shown() as bar:
        hooks = Hooks(say=warn, progress=bar.report, stop=stop.is_set)
        report = index_paths(folder, [samples], model=demo_model(folder), hooks=hooks)
    if report.interrupted:
        raise Interrupted("Stopped.", "The same command goes on from here.")
    indexed = count(report.found, "image")
    results.print(f"{indexed} indexed ({report.embedded:,} embedded now) in {report.seconds:.1f} s.\n")
    with Gallery(folder) as opened:
        with Searcher(opened, warn) as searcher:
            query, found = sample_query(searcher)
            print_neighbours(f"Neighbours of {shown(query)}", found)
            trained = searcher.summary().trained
            fingerprint = searcher.space.fingerprint
            earlier = has_earlier_starter(searcher.space)
        if not trained:
            note(f"This demo began with an untrained encoder; without {shown(str(folder))} it begins better.")
        if earlier:
            note(f"This demo has an earlier version's starter; without {shown(str(folder))} it begins with the new.")
        _lesson(folder, fingerprint)
        if place is not None:
            _serve(opened, place, _Offer())


def _lesson(folder: Path, fingerprint: str) -> None:
    """Train on the samples' labels and show what it brought on held-out ones."""
    from retrieval.cli.live import TrainingDisplay
    from retrieval.cli.train import print_proof
    from retrieval.workflows.demo import lesson
    from retrieval.workflows.train_request import TrainingHooks

    with stopping() as stop, TrainingDisplay().shown() as display:
        hooks = TrainingHooks(working=display.working, progress=display.progress, stop=stop.is_set)
        run, metrics = lesson(folder, fingerprint, hooks)
    results.print("\nTaught with the samples' labels (recipe quick-head), measured on labels that were held out:")
    print_proof(metrics)
    results.print(f"Report: {escape(shown(str(run)))}/report.html\n")


def _credentials(auth: str) -> tuple[str, str]:
    user, colon, password = auth.partition(":")
    if not user or not colon or not password:
        raise BadValue("--auth needs a user and a password.", "Write it as USER:PASSWORD.")
    return user, password


def _serve(gallery: "Gallery", place: "Place", offer: _Offer) -> None:
    from retrieval.workflows.jobs import Jobs
    from retrieval.workflows.searching import Searcher
    from retrieval.workflows.views import Views
    from retrieval.workflows.watching import Watcher

    if not place.is_local and not offer.auth:
        may = "see the pictures" if offer.read_only else "see the pictures and change the gallery"
        warn(f"Everybody who can reach {place.host} can {may}; --auth USER:PASSWORD asks for a password.")
    note("Opening the page …")
    from ui.app import create_app
    from ui.app import serve as run

    views = Views(gallery)
    # Those that were queued when an earlier server went down.
    jobs = Jobs(gallery.folder, may_write=not offer.read_only)
    jobs.advance(wait=False)
    try:
        watching = nullcontext() if offer.read_only else Watcher(gallery.folder, jobs)
        with Searcher(gallery, warn, workers=2) as searcher, watching:
            searcher.warm()
            views.warm()
            app = create_app(
                searcher,
                views,
                gallery=gallery.folder,
                auth=offer.auth,
                read_only=offer.read_only,
                hide_paths=offer.hide_paths,
                mcp=offer.mcp,
            )
            run(app, place, lambda address: results.print(f"The page is at {address}  (Ctrl-C ends it)"))
    finally:
        views.close()
    running = jobs.running()
    if running is not None:
        note(f"Job {running.id} goes on without the page; `retrieval jobs --cancel {running.id}` ends it.")
