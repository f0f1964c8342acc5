"""The map of a hundred thousand pictures in a real browser: drawn by the graphics card, and a line counts exactly."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright import sync_api as playwright

from retrieval.catalog import Indexed
from retrieval.core.types import ImageFacts
from retrieval.workflows.gallery import Gallery
from tests.ui.conftest import Visit, running
from tests.ui.test_understand_page import lasso, on_screen, pixels, share
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.app import create_app

expect = playwright.expect

MANY, DIMENSION = 100_000, 4


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """(a gallery of 100,000 pictures that are nowhere, with a map that was written, the places on it)."""
    folder = tmp_path_factory.mktemp("crowded") / "gallery"
    random = np.random.default_rng(3)
    places = random.uniform(-1, 1, (MANY, 2)).astype(np.float32)
    vectors = random.normal(size=(MANY, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with Gallery(folder, create=True) as gallery:
        space = gallery.catalog.spaces.create("f" * 64, "none", DIMENSION, np.zeros((1, DIMENSION), np.float32))
        root = gallery.catalog.roots.ensure(b"/nowhere", whole=True)
        store, operation = gallery.store(space), gallery.catalog.ingest.start()
        for start in range(0, MANY, 10_000):
            batch = [_far(root.id, n, vectors[n]) for n in range(start, start + 10_000)]
            gallery.catalog.ingest.commit(space.id, batch, store.append, operation)
            store.refresh(start + 10_000)
        gallery.catalog.seal()
        ids, feed = gallery.catalog.spaces.findable(space.id)
        path = gallery.layout.map(space)
    path.parent.mkdir()
    with open(path, "wb") as file:
        np.savez(
            file, format=np.int64(1), space=np.array("f" * 64), last_change=np.int64(feed.last),
            drawn=np.float64(1.6e9), ids=ids, places=places,
        )  # fmt: skip
    return folder, places


def _far(root: int, n: int, vector: Any) -> Indexed:
    digest = n.to_bytes(32, "big")
    return Indexed(root, f"{n}.jpg".encode(), 9, 1, digest, ImageFacts(digest, 9, 8, 8, "JPEG", None, n), vector)


def within(polygon: Any, places: Any) -> Any:
    """[N] whether a place lies within a convex polygon [C, 2] that goes round to the left."""
    inside = np.ones(len(places), bool)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        inside &= (b[0] - a[0]) * (places[:, 1] - a[1]) - (b[1] - a[1]) * (places[:, 0] - a[0]) > 0
    return inside


@pytest.mark.slow
def test_a_hundred_thousand_points_are_drawn_and_a_line_around_some_counts_them(
    contexts: Callable[..., Any], crowded: tuple[Path, Any]
) -> None:
    folder, places = crowded
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=folder, read_only=True)
    with running(app) as address:
        here = Visit(contexts(color_scheme="light", locale="en-US"), address)
        page = here.page
        page.goto(f"{address}/understand")
        shown = page.locator(f'.und-map[data-ready="{MANY}"]')
        shown.wait_for(timeout=60_000)
        assert shown.get_attribute("data-drawn") == "webgl"
        expect(page.locator(".und-canvas")).to_have_attribute("aria-label", "Map of 100,000 pictures")
        expect(page.locator(".und-chip b")).to_have_text("100,000")
        # The dots are all over the square, and none beside it.
        page.wait_for_timeout(300)
        none = (0xB9, 0xB4, 0xA8)
        assert share(pixels(here, 0.3, -0.4, 60), none) > 0.2
        assert share(pixels(here, 1.3, 0, 20), none) == 0
        lasso(here, 0.2, -0.1, 0.5)
        # The line as it was drawn, in whole pixels or parts of them, taken back to the map by the map itself.
        angles = [a / 3 for a in range(19)]
        line = [on_screen(here, 0.2 + 0.5 * math.cos(a), -0.1 + 0.5 * math.sin(a)) for a in angles]
        box = page.locator(".und-canvas").bounding_box()
        around = page.evaluate(
            "line => line.map(([x, y]) => window.retrievalMap.view.toMap(x, y))",
            [[x - box["x"], y - box["y"]] for x, y in line],
        )
        count = int(within(np.array(around), places).sum())
        assert MANY / 7 < count < MANY / 4
        expect(page.locator(".und-count")).to_have_text(f"{count:,} pictures selected", timeout=60_000)
        page.close()
        # There are no pictures to be seen, and nothing else to complain of.
        assert [one for one in here.complaints if "404" not in one] == []
