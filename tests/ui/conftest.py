"""A small real gallery, servers on free ports, and a browser."""

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from tests.ui.drawing import draw_folder


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
def indexed(tmp_path_factory: pytest.TempPathFactory, pictures: Path, tiny_model: Path) -> Path:
    """A gallery of ``pictures``, made by the real workflow with an encoder without weights."""
    from retrieval.workflows.indexing import index_paths

    folder = tmp_path_factory.mktemp("gallery") / "gallery"
    report = index_paths(folder, [pictures], model=str(tiny_model), workers=1)
    assert report.failed == 0
    return folder


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
