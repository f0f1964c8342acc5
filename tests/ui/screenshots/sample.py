"""The gallery that is photographed: the project's samples, with a map and a lesson."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, expect

from retrieval.workflows.indexing import index_paths
from retrieval.workflows.mapping import draw_map
from tests.conftest import REPOSITORY

SAMPLES = REPOSITORY / "data" / "samples"
# Not among the indexed ones, as a person's own photo would not be.
QUERY = SAMPLES / "teapot" / "teapot_02.jpg"
_LATE = 900_000


@contextmanager
def sample_gallery(encoder: str) -> Iterator[Path]:
    """A gallery of the samples but the query, with their map; both are gone afterwards.

    Args:
        encoder: an encoder folder.
    """
    # A short path, since the pages show it.
    photos = Path(tempfile.gettempdir()) / "photos"
    shutil.copytree(SAMPLES, photos, ignore=shutil.ignore_patterns(QUERY.name))
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "gallery"
            index_paths(folder, [photos], model=encoder)
            draw_map(folder)
            yield folder
    finally:
        shutil.rmtree(photos)


def teach(browser: Browser, address: str) -> None:
    """Give the quick lesson in the page, and wait for its end."""
    page = browser.new_page()
    page.goto(f"{address}/teach")
    page.locator("#teach-start").click()
    expect(page.locator("#teach-proof .teach-figure").first).to_be_visible(timeout=_LATE)
    page.close()
