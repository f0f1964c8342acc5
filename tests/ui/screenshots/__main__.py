"""Takes the README's pictures of the pages: ``python -m tests.ui.screenshots ENCODER_FOLDER [--all FOLDER]``.

The gallery is the project's own sample set, indexed with a real encoder (an encoder folder), its map drawn and a lesson
given by real work. The pictures go into ``.github``. With ``--all`` FOLDER gets every page and what opens on it at two
widths, light and dark, English and Chinese, to be looked at.
"""

import argparse
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.searching import Searcher
from retrieval.workflows.views import Views
from tests.ui.conftest import CHROMIUM_FLAGS, chromium, running
from tests.ui.screenshots.sample import sample_gallery, teach
from tests.ui.screenshots.scenes import MORE, SCENES, Scene
from tests.ui.screenshots.small import keep_for_readme
from ui.app import create_app

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LOOKS = {
    "wide": {"viewport": WIDE},
    "wide-dark": {"viewport": WIDE, "color_scheme": "dark"},
    "wide-zh": {"viewport": WIDE, "locale": "zh-CN"},
    "phone": {"viewport": NARROW},
    "phone-dark": {"viewport": NARROW, "color_scheme": "dark"},
    "phone-zh": {"viewport": NARROW, "locale": "zh-CN"},
}


def main() -> None:
    """Make the gallery, serve it, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="an encoder folder")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="gets every page in every look")
    asked = parser.parse_args()
    with sample_gallery(asked.encoder) as folder, Gallery(folder) as gallery, Searcher(gallery) as searcher:
        searcher.warm()
        views = Views(gallery)
        with running(create_app(searcher, views, gallery=folder)) as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
            teach(browser, address)
            _readme(browser, address)
            if asked.all is not None:
                _every_look(browser, address, asked.all)
            browser.close()
        views.close()


def _readme(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport=WIDE)
    for scene in SCENES:
        _set_up(page, address, scene)
        keep_for_readme(page.screenshot(), scene.name)
    page.close()


def _every_look(browser: Browser, address: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for look, arguments in LOOKS.items():
        context = browser.new_context(**arguments)  # type: ignore[arg-type]
        page = context.new_page()
        for scene in (*SCENES, *MORE):
            _set_up(page, address, scene)
            if scene.whole:
                _load_all(page)
            page.screenshot(path=folder / f"{scene.name}-{look}.png", full_page=scene.whole)
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over:
                print(f"{scene.name}-{look}: stands out to the side by {over} pixels")
        context.close()


def _set_up(page: Page, address: str, scene: Scene) -> None:
    page.goto(f"{address}/{scene.address}")
    # That work has ended is news only once.
    for news in page.locator("#jobs [data-job-seen]").all():
        news.click()
    page.mouse.move(0, 0)
    scene.set_up(page)
    # Gradio keeps a stream open, so the network is never idle.
    page.wait_for_timeout(1500)


def _load_all(page: Page) -> None:
    """Pictures further down are loaded only once they come into sight."""
    for image in page.locator("img[loading=lazy]:visible").all():
        image.scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
