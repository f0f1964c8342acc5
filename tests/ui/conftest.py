"""A small real gallery, servers on free ports, and a browser."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.ui.drawing import draw_folder
from tests.ui.twins import SearcherTwin, ViewsTwin


@pytest.fixture(scope="session", autouse=True)
def _uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Gradio's folder for uploads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        yield


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve ``app`` in a thread; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures, a few with odd names."""
    folder = tmp_path_factory.mktemp("pictures") / "photos"
    draw_folder(folder)
    return folder


@pytest.fixture(scope="session")
def opened() -> Iterator[Callable[[Path], Any]]:
    """Opens galleries as an application, and closes them in the end."""
    from retrieval.workflows.gallery import Gallery
    from retrieval.workflows.searching import Searcher
    from retrieval.workflows.views import Views
    from ui.app import create_app

    open_now: list[Any] = []

    def open_app(folder: Path, **arguments: Any) -> FastAPI:
        gallery = Gallery(folder, create=True)
        searcher, views = Searcher(gallery), Views(gallery, workers=1)
        searcher.warm()
        open_now.extend([views, searcher, gallery])
        return create_app(searcher, views, **arguments)

    yield open_app
    for one in open_now:
        one.close()


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Path:
    """A gallery of ``pictures``, made by the real workflow with the default encoder."""
    from retrieval.workflows.indexing import index_paths

    folder = tmp_path_factory.mktemp("gallery") / "gallery"
    report = index_paths(folder, [pictures], workers=1)
    assert report.failed == 0
    return folder


@pytest.fixture(scope="module")
def gallery(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of ``indexed`` that may be changed."""
    folder = tmp_path_factory.mktemp("own") / "gallery"
    shutil.copytree(indexed, folder)
    return folder


@pytest.fixture(scope="module")
def client(gallery: Path, opened: Callable[..., FastAPI]) -> Iterator[TestClient]:
    """Asks the API of ``gallery``."""
    from tests.ui.api import V1

    app = opened(gallery, gallery=gallery, hosts={"testserver"}, pages=())
    with TestClient(app, base_url=f"http://testserver{V1}") as made:
        yield made


@pytest.fixture(scope="session")
def site(opened: Callable[..., FastAPI], indexed: Path) -> Iterator[str]:
    """Address of a server for ``indexed``."""
    with running(opened(indexed)) as address:
        yield address


CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


def chromium() -> str | None:
    """The system's Chromium, if it has one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; where there is none the tests are skipped, except on the project's own machines.

    For a module and no longer: while Playwright runs, its event loop is in the way of everybody else's.
    """
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        yield launched
        launched.close()


_CUT = ("AbortError", "Unexpected error Connection errored out")
_TOLD_FIRST = 2.0
"""Seconds by which the browser may tell of a cut connection before it tells of the page that cuts it."""


class Visit:
    """A page, and what it asked for and complained of on the way."""

    def __init__(self, context: Any, address: str) -> None:
        self.address = address
        self.context = context
        self.page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.leaving = False
        self._cut: list[tuple[float, str]] = []
        self.page.on("request", self._turn)
        self.page.on("pageerror", lambda error: self._complain(str(error)))
        self.page.on("response", lambda got: self._complain(f"{got.status} {got.url}") if got.status > 399 else None)
        self.page.on("console", lambda said: self._complain(said.text) if said.type == "error" else None)

    def _turn(self, request: Any) -> None:
        # Another page, or the same anew: the one that is shown is left.
        turns = request.is_navigation_request() and request.frame == self.page.main_frame
        if turns and self.page.url != "about:blank":
            self.leaving = True
            # What the page said of it may have been told first.
            for at, said in self._cut:
                if time.monotonic() - at < _TOLD_FIRST and said in self.complaints:
                    self.complaints.remove(said)
            self._cut.clear()

    def _complain(self, said: str) -> None:
        # Gradio's client holds a connection open, and says so when a page that is left cuts it.
        if not (self.leaving and said.startswith(_CUT)):
            self.complaints.append(said)
            if said.startswith(_CUT):
                self._cut.append((time.monotonic(), said))

    def open(self) -> "Visit":
        self.page.goto(self.address)
        self.page.locator("button.sample, .panel, #samples .notice").first.wait_for()
        return self

    def upload(self, file: Path | dict[str, Any]) -> None:
        self.page.set_input_files("#photo input[type=file]", file)

    def search(self, file: Path | dict[str, Any]) -> None:
        self.upload(file)
        self.cards.first.wait_for()

    @property
    def cards(self) -> Any:
        return self.page.locator("#results button.card")

    @property
    def dialog(self) -> Any:
        return self.page.get_by_role("dialog", name="Picture and its facts")

    def leave(self) -> None:
        """Close the page; until then all must have been calm."""
        self.leaving = True
        self.page.close()
        self.assert_calm()

    def assert_calm(self) -> None:
        """No complaint, and nothing asked of anybody else."""
        assert self.complaints == []
        foreign = [url for url in self.requests if not url.startswith((self.address, "data:", "blob:"))]
        assert foreign == []

    def overflow(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture(scope="module")
def contexts(browser: Any) -> Iterator[Callable[..., Any]]:
    """Browser contexts, one for each set of arguments: a second visit finds Gradio's many files in the cache."""
    made: dict[str, Any] = {}

    def context(**arguments: Any) -> Any:
        key = repr(arguments)
        if key not in made:
            made[key] = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **arguments})
        return made[key]

    yield context
    for one in made.values():
        one.close()


@pytest.fixture
def visit(contexts: Callable[..., Any], site: str) -> Iterator[Callable[..., Visit]]:
    """Opens the real gallery's page; checks in the end that all was calm."""
    visits: list[Visit] = []

    def open_page(**arguments: Any) -> Visit:
        visits.append(Visit(contexts(**arguments), site))
        return visits[-1].open()

    yield open_page
    for one in visits:
        one.leave()


@pytest.fixture
def staged(contexts: Callable[..., Any]) -> Iterator[Callable[..., Visit]]:
    """Opens a page over an in-memory gallery, for what is hard to bring about with a real one."""
    from ui.app import create_app

    with ExitStack() as stack:

        def open_page(searcher: SearcherTwin, auth: Sequence[tuple[str, str]] = (), **arguments: Any) -> Visit:
            address = stack.enter_context(running(create_app(searcher, ViewsTwin(), auth=auth)))
            visit = Visit(contexts(**arguments), address)
            stack.callback(visit.page.close)
            return visit

        yield open_page


@pytest.fixture
def arrive(contexts: Callable[..., Any], opened: Callable[..., FastAPI]) -> Iterator[Callable[..., Visit]]:
    """Opens a page of a gallery with all its pages; checks in the end that all was calm and nothing stood out to the
    side."""
    visits: list[Visit] = []
    servers: list[Any] = []

    def open_page(gallery: Path, path: str, **arguments: Any) -> Visit:
        servers.append(running(opened(gallery, gallery=gallery)))
        visits.append(Visit(contexts(**arguments), servers[-1].__enter__()))
        visits[-1].page.goto(visits[-1].address + path)
        return visits[-1]

    yield open_page
    for one in visits:
        assert one.overflow() == 0
        one.leave()
    for server in servers:
        server.__exit__(None, None, None)
