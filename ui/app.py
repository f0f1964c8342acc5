"""The application: the pages, the routes of pictures and the guards before both."""

import asyncio
import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from gradio.utils import get_upload_folder

from retrieval.core.settings import load_settings
from retrieval.workflows.jobs import Jobs
from ui.addresses import Addresses
from ui.answers import Answers
from ui.api.app import PICTURE_PATHS, PREFIX, create_api
from ui.exports import export_routes
from ui.icons import FAVICON
from ui.library.routes import library_routes
from ui.mcp import PATH as MCP_PATH
from ui.mcp import keep_files_with_uploads, need_mcp
from ui.pages import PAGES
from ui.pictures import picture_routes
from ui.ports import Pictures, Searches
from ui.programs import offer_to_programs
from ui.run_reports import report_routes
from ui.security import LOOPBACK_HOSTS, BasicAuth, BodyLimit, KnownHosts, SameOrigin, SecureHeaders
from ui.server import Place, serve
from ui.shell.door import Door
from ui.shell.jobs_routes import jobs_routes, looking_after
from ui.shell.page import Page
from ui.shell.site import Site
from ui.theme import page_theme
from ui.uploads import OnlyUploads
from ui.without_paths import WithoutPaths
from ui.words import ENGLISH, Words
from ui.words.visitors import said_here

__all__ = ["Place", "create_app", "serve"]

# What an upload needs beyond the file itself, and what any other request may send.
_FORM_BYTES = 64 * 1024
_REQUEST_BYTES = 1024 * 1024
_UPLOAD_PATHS = ("/gradio_api/upload", "/gradio_api/upload/", *PICTURE_PATHS)
# An upload is kept as long as its page may want to search with it again.
_UPLOADS_LOOKED_AT, _UPLOADS_KEPT = 1800, 6 * 3600


def create_app(
    searcher: Searches,
    views: Pictures,
    *,
    gallery: Path | None = None,
    auth: Sequence[tuple[str, str]] = (),
    title: str = "Retrieval",
    hosts: Collection[str] | None = LOOPBACK_HOSTS,
    max_upload_bytes: int | None = None,
    pages: Sequence[Page] = PAGES,
    read_only: bool = False,
    hide_paths: bool = False,
    mcp: bool = False,
) -> FastAPI:
    """The whole application.

    Args:
        searcher: the gallery to search in; the caller closes it.
        views: its pictures; the caller closes it.
        gallery: its folder; without it only the pages that search are there.
        auth: (user name, password) of those who are let in, asked for before anything is answered; none lets everybody
            in.
        title: of the page.
        hosts: names under which browsers may ask, without port; None allows all. ``serve`` sets this by the address
            it binds to.
        max_upload_bytes: larger uploads are refused; from the settings by default.
        pages: the navigation.
        read_only: nothing can be changed, and no job started or stopped.
        hide_paths: nobody is told where files lie on this machine; pages that live on it are left out.
        mcp: offer the search as a tool, too.

    Raises:
        BadValue: ``mcp`` is wanted, and what it needs is not installed.
    """
    if mcp:
        need_mcp()
    limit = load_settings().max_upload_bytes if max_upload_bytes is None else max_upload_bytes
    _prepare_gradio()
    if mcp:
        keep_files_with_uploads(get_upload_folder())
    addresses = Addresses()
    jobs = None if gallery is None else Jobs(gallery, may_write=not read_only)
    itself = searcher
    if hide_paths:
        searcher = WithoutPaths(searcher)
    site = Site(title, searcher, addresses, limit, gallery, jobs, not read_only, not hide_paths)
    shown = [
        page
        for page in pages
        if (gallery is not None or not page.needs_gallery) and not (hide_paths and page.tells_paths)
    ]
    tongues = said_here(site.may_add)
    apps: dict[str, FastAPI] = {}
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None, lifespan=_together(apps, site.jobs))
    app.state.hosts = hosts
    _add_own_routes(app, views, addresses)
    if gallery is not None and site.jobs is not None:
        app.include_router(jobs_routes(site.jobs))
        if not hide_paths:
            app.include_router(library_routes(site.jobs))
            app.include_router(report_routes(gallery, site.jobs))
    kept = gallery if site.may_write else None
    app.include_router(export_routes(itself, Answers(searcher, addresses, limit, ENGLISH, kept)))
    for page in shown:
        if page.routes is not None:
            app.include_router(page.routes(site))
    _within_a_loop(lambda: apps.update({code: _mounted(site, words, shown, mcp) for code, words in tongues.items()}))
    app.mount(PREFIX, create_api(site, with_auth=bool(auth)))
    app.mount("/", Door(apps, site, shown, tongues))
    _guard(app, auth, limit)
    return app


def _together(apps: dict[str, FastAPI], jobs: Jobs | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Starts and ends the applications of all languages, which a server does for the outermost one only.

    Meanwhile somebody looks after the jobs.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            await stack.enter_async_context(looking_after(jobs))
            yield

    return lifespan


def _mounted(site: Site, words: Words, pages: Sequence[Page], mcp: bool) -> FastAPI:
    """All pages in one language: one Gradio application, so that they share its scripts and its queue."""
    blocks = _built(site, words, pages, mcp)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    with warnings.catch_warnings():
        # Said of every application with several pages, also where nobody asked for rendering by a server.
        warnings.filterwarnings("ignore", "SSR mode is not supported", UserWarning)
        gr.mount_gradio_app(
            app,
            blocks,
            path="/",
            theme=page_theme(),
            max_file_size=site.max_upload_bytes,
            footer_links=[],
            run_history=False,
            show_error=False,
            enable_monitoring=False,
            ssr_mode=False,
            mcp_server=mcp,
            app_kwargs={"openapi_url": None},
        )
    # Gradio checks that a named file was uploaded only once it believes itself launched, which mounting does not do:
    # without this any request could have any file of the machine copied into the folder that is served.
    blocks.has_launched = True
    return app


def _built(site: Site, words: Words, pages: Sequence[Page], mcp: bool) -> gr.Blocks:
    blocks = gr.Blocks(
        title=site.title,
        analytics_enabled=False,
        delete_cache=(_UPLOADS_LOOKED_AT, _UPLOADS_KEPT),
        fill_width=True,
    )
    # The navigation is ours, and there before Gradio is.
    blocks.pages[0] = ("", site.title, False)
    for page in pages:
        with blocks.route(page.name(words), page.address, show_in_navbar=False) if page.address else blocks:
            page.build(site, words, blocks)
    if not mcp:
        # Whatever programs can ask for the tool server would make a tool: there the search is the only one.
        with blocks:
            offer_to_programs(site)
    blocks.queue(default_concurrency_limit=2, max_size=64)
    return blocks


def _within_a_loop(build: Callable[[], None]) -> None:
    """Call ``build`` while an event loop runs: without one Gradio makes several, and closes none."""

    async def inside() -> None:
        build()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(inside())
    else:
        build()


def _guard(app: FastAPI, auth: Sequence[tuple[str, str]], limit: int) -> None:
    # The last one added is the first one asked: a foreign host learns nothing, not even that a password is wanted.
    app.add_middleware(OnlyUploads, folder=Path(get_upload_folder()), upload_paths=_UPLOAD_PATHS)
    app.add_middleware(BodyLimit, limit=lambda path: _most_bytes(path, limit))
    app.add_middleware(SameOrigin)
    if auth:
        app.add_middleware(BasicAuth, pairs=auth, open_paths=("/healthz",))
    app.add_middleware(KnownHosts, hosts=lambda: app.state.hosts)
    app.add_middleware(SecureHeaders)


def _most_bytes(path: str, upload: int) -> int:
    if path in _UPLOAD_PATHS:
        return upload + _FORM_BYTES
    if path.startswith(MCP_PATH):
        # Tools are given files as text: four characters for three bytes.
        return upload * 4 // 3 + _REQUEST_BYTES
    return _REQUEST_BYTES


def _add_own_routes(app: FastAPI, views: Pictures, addresses: Addresses) -> None:
    app.include_router(picture_routes(views, addresses))

    @app.get("/healthz")
    def health() -> Response:
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    @app.get("/favicon.ico")
    def favicon() -> Response:
        return Response(FAVICON, media_type="image/svg+xml", headers={"Cache-Control": "private, max-age=86400"})


def _prepare_gradio() -> None:
    """Settings that Gradio takes from the environment only; what the user has set stays."""
    if not os.environ.get("GRADIO_TEMP_DIR"):
        # Its default is one folder for everybody in the system's temporary folder. Uploads are private, and nobody
        # needs them once the program has ended.
        folder = tempfile.mkdtemp(prefix="retrieval-page-")
        os.environ["GRADIO_TEMP_DIR"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # After every event Gradio makes a table of the last 10,000 for a monitoring page that is switched off here.
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
