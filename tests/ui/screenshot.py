"""Takes the README's screenshot: ``python -m tests.ui.screenshot ENCODER_FOLDER [--all FOLDER]``.

The gallery is the project's own sample set, indexed with a real encoder (an encoder folder). ``--all`` also saves
desktop and phone, light and dark, of the first view, results, dialog and a bad file, to be looked at.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.searching import Searcher
from retrieval.workflows.views import Views
from tests.ui.conftest import CHROMIUM_FLAGS, chromium, running
from ui.app import create_app

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLES = REPOSITORY / "data" / "samples"
QUERY = SAMPLES / "teapot" / "teapot_02.jpg"
SIZES = {1440: 900, 390: 844}


def main() -> None:
    """Index the samples, serve them, take the pictures."""
    encoder = sys.argv[1]
    everything = Path(sys.argv[3]) if sys.argv[2:3] == ["--all"] else None
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "gallery"
        # A short path, since the cards show it.
        photos = Path(tempfile.gettempdir()) / "photos"
        shutil.copytree(SAMPLES, photos)
        index_paths(folder, [photos], model=encoder)
        with Gallery(folder) as gallery, Searcher(gallery) as searcher:
            searcher.warm()
            views = Views(gallery)
            with running(create_app(searcher, views)) as address, sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
                _readme(browser, address)
                if everything is not None:
                    everything.mkdir(parents=True, exist_ok=True)
                    _everything(browser, address, everything)
                browser.close()
            views.close()
        shutil.rmtree(photos)


def _readme(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    _search(page, address, QUERY)
    # A palette keeps it small: it is downloaded with every clone.
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(192, dither=Image.Dither.NONE)
    shot.save(REPOSITORY / ".github" / "search.png", optimize=True)
    page.close()


def _everything(browser: Browser, address: str, folder: Path) -> None:
    bad = folder / "bad.jpg"
    bad.write_bytes(b"this is text, not a picture")
    for width, height in SIZES.items():
        for theme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
            name = f"{width}-{theme}"
            page.goto(f"{address}/?__theme={theme}")
            page.locator("button.sample img").first.wait_for()
            page.wait_for_timeout(2500)
            page.screenshot(path=folder / f"{name}-first.png")
            _search(page, f"{address}/?__theme={theme}", QUERY)
            page.screenshot(path=folder / f"{name}-results.png")
            page.locator("#results button.card").nth(1).click()
            page.locator("dialog img").wait_for()
            page.wait_for_timeout(500)
            page.screenshot(path=folder / f"{name}-dialog.png")
            page.keyboard.press("Escape")
            page.goto(f"{address}/?__theme={theme}")
            page.locator("button.sample").first.wait_for()
            page.set_input_files("#photo input[type=file]", bad)
            page.locator("#results .notice").wait_for()
            page.screenshot(path=folder / f"{name}-bad.png")
            page.close()


def _search(page: Page, address: str, query: Path) -> None:
    page.goto(address)
    page.locator("button.sample").first.wait_for()
    page.set_input_files("#photo input[type=file]", query)
    page.locator("#results button.card img").first.wait_for()
    # Gradio keeps a stream open, so the network is never idle.
    page.wait_for_timeout(2500)


if __name__ == "__main__":
    main()
