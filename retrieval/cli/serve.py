"""``retrieval serve`` and ``retrieval demo``: they open the page."""

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


def serve(
    gallery: GalleryOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
    auth: Annotated[
        str | None,
        typer.Option("--auth", envvar="RETRIEVAL_AUTH", metavar="USER:PASSWORD", help="Ask for this on every request."),
    ] = None,
) -> None:
    """Open the page: upload a photo, see its nearest neighbours."""
    from ui.server import Place

    credentials, folder = _credentials(auth), gallery_folder(gallery)
    # Before anything is loaded, which takes seconds: a place that is taken is known at once.
    with Place(host, port) as place:
        from retrieval.workflows.gallery import Gallery

        # The user's own gallery may be empty: the page says how to fill it, and notices when that is done. Under any
        # other name a gallery that is not there is more often a slip of the fingers.
        try:
            opened = Gallery(folder, create=folder == _own_gallery())
        except EmptyGallery as error:
            raise EmptyGallery(
                f"There is no gallery in {folder}.",
                "Check the spelling of --gallery, or make it with `retrieval index FOLDER` and the same --gallery.",
            ) from error
        with opened:
            _serve(opened, place, credentials)


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
    from retrieval.workflows.demo import demo_model, refuse_other_pictures, sample_query, samples_folder
    from retrieval.workflows.gallery import Gallery
    from retrieval.workflows.indexing import Hooks, index_paths
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
        if not trained:
            note(f"This demo began with an untrained encoder; without {shown(str(folder))} it begins better.")
        _lesson(folder, fingerprint)
        if place is not None:
            _serve(opened, place, None)


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


def _credentials(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    user, colon, password = auth.partition(":")
    if not user or not colon or not password:
        raise BadValue("--auth needs a user and a password.", "Write it as USER:PASSWORD.")
    return user, password


def _serve(gallery: "Gallery", place: "Place", auth: tuple[str, str] | None) -> None:
    from retrieval.workflows.searching import Searcher
    from retrieval.workflows.views import Views

    if not place.is_local and auth is None:
        warn(f"Everybody who can reach {place.host} can see the pictures; --auth USER:PASSWORD asks for a password.")
    note("Opening the page …")
    from ui.app import create_app
    from ui.app import serve as run

    views = Views(gallery)
    try:
        with Searcher(gallery, warn, workers=2) as searcher:
            searcher.warm()
            app = create_app(searcher, views, auth=auth)
            run(app, place, lambda address: results.print(f"The page is at {address}  (Ctrl-C ends it)"))
    finally:
        views.close()
