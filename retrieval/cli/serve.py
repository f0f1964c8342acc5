"""``retrieval serve`` and ``retrieval demo``: they open the page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel

from retrieval.cli.index import stopping
from retrieval.cli.options import GalleryOption, gallery_folder
from retrieval.cli.say import Bar, messages, note, results, warn
from retrieval.cli.search import print_neighbours
from retrieval.core.errors import BadValue, Interrupted
from retrieval.core.text import shown

if TYPE_CHECKING:
    from retrieval.workflows.gallery import Gallery

HostOption = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 lets others in.")]
PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")]
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
    from retrieval.workflows.gallery import Gallery

    credentials = _credentials(auth)
    # An empty gallery is served too: the page says how to fill it, and notices when that is done.
    with Gallery(gallery_folder(gallery), create=True) as opened:
        _serve(opened, host, port, credentials)


def demo(
    gallery: Annotated[
        Path | None,
        typer.Option("--gallery", metavar="DIR", help="The demo's gallery.", show_default="a per-user data folder"),
    ] = None,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Do not open the page.")] = False,
    host: HostOption = "127.0.0.1",
    port: PortOption = 7860,
) -> None:
    """Index the sample images, show a search, and open the page."""
    from retrieval.core.settings import load_settings
    from retrieval.workflows.demo import DEMO_MODEL, sample_query, samples_folder
    from retrieval.workflows.gallery import Gallery
    from retrieval.workflows.indexing import Hooks, index_paths
    from retrieval.workflows.searching import Searcher

    # Not RETRIEVAL_GALLERY: the samples must never land in a user's own gallery.
    folder = (gallery or load_settings({}).gallery.with_name("demo")).expanduser().absolute()
    samples = samples_folder()
    note(f"Indexing the sample images in {shown(str(samples))} into {shown(str(folder))}")
    with stopping() as stop, Bar().shown() as bar:
        hooks = Hooks(say=warn, progress=bar.report, stop=stop.is_set)
        report = index_paths(folder, [samples], model=DEMO_MODEL, hooks=hooks)
    if report.interrupted:
        raise Interrupted("Stopped.", "The same command goes on from here.")
    results.print(f"{report.found} images indexed ({report.embedded} embedded now) in {report.seconds:.1f} s.\n")
    with Gallery(folder) as opened:
        with Searcher(opened, warn) as searcher:
            query, found = sample_query(searcher)
            print_neighbours(f"Neighbours of {shown(query)}", found)
            trained = searcher.summary().trained
        if not trained:
            _say_untrained()
        if not no_serve:
            _serve(opened, host, port, None)


def _say_untrained() -> None:
    messages.print(
        Panel(
            "This demo uses an [bold]UNTRAINED[/] encoder, with random weights, so that it needs no network.\n"
            "Its neighbours mean little. For your own photos give a pretrained one:\n\n"
            "  retrieval index FOLDER --model mobilenetv2_100\n"
            "  retrieval model create --weights FILE ...     [dim](without a network)[/]",
            title="[bold yellow]Untrained encoder[/]",
            border_style="yellow",
            expand=False,
        )
    )


def _credentials(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    user, colon, password = auth.partition(":")
    if not user or not colon or not password:
        raise BadValue("--auth needs a user and a password.", "Write it as USER:PASSWORD.")
    return user, password


def _serve(gallery: "Gallery", host: str, port: int, auth: tuple[str, str] | None) -> None:
    from retrieval.workflows.searching import Searcher
    from retrieval.workflows.views import Views

    if host not in _LOOPBACK and auth is None:
        warn(f"Everybody who can reach {host} can see the pictures; --auth USER:PASSWORD asks for a password.")
    note("Opening the page …")
    from ui.app import create_app
    from ui.app import serve as run

    views = Views(gallery)
    try:
        with Searcher(gallery, warn, workers=2) as searcher:
            searcher.warm()
            app = create_app(searcher, views, auth=auth)
            run(app, host, port, lambda address: results.print(f"The page is at {address}  (Ctrl-C ends it)"))
    finally:
        views.close()
