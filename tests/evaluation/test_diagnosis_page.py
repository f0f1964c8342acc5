"""The page of a diagnosis: well-formed, needing nothing but itself, whatever labels and files are called."""

import re
from dataclasses import replace

import numpy as np
import pytest

from retrieval.evaluation.diagnosis import diagnose
from retrieval.evaluation.diagnosis_page import _STYLE, Diagnosed, DiagnosisPage, Flat, render
from retrieval.evaluation.invariance import invariance
from retrieval.evaluation.looks import LOOKS
from retrieval.evaluation.picture_map import SIDE, WIDTH, layout, picture_map, shown_pictures
from retrieval.evaluation.pictures import Picture
from retrieval.evaluation.report import write_page
from tests.evaluation.test_diagnosis import clusters
from tests.evaluation.test_looks import embedded, pixels
from tests.evaluation.test_report import ODD, Tree, browser, jpeg  # noqa: F401


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def diagnosed(name, spread, seed, labelled=True):
    vectors, numbers = clusters(spread, classes=12, each=6, seed=seed)
    # Two things under one name, so that there is a label that falls into groups.
    numbers = np.where(numbers == 11, 10, numbers)
    found = diagnose(vectors, numbers if labelled else None)
    gallery = np.stack([pixels(n) for n in range(6)])
    rows = np.concatenate([embedded(gallery), unit(np.random.default_rng(0).random((3, 12)))])
    changes = invariance(gallery, np.arange(6), rows, embedded)
    places = np.random.default_rng(seed).standard_normal((60, 2))
    return Diagnosed(name, replace(found, invariance=changes), Flat(np.arange(60), places, 0.5, "Drawn by hand."))


def made(beside=True, labelled=True):
    after = diagnosed(ODD[7], 0.2, 0, labelled)
    before = diagnosed(ODD[0], 0.8, 1, labelled) if beside else None
    small = {n: jpeg(n) for n in range(5)}
    return DiagnosisPage(
        dataset=ODD[1],
        after=after,
        before=before,
        class_names=ODD,
        picture={
            n: Picture(small.get(n % 7), ODD[n // 6] if labelled else "", f"{ODD[n // 6]}.jpg") for n in range(72)
        },
        thumbs={n: small[n % 5] for n in range(60) if n % 3},
        looks={look.name: small[0] for look in LOOKS},
        facts={ODD[3]: ODD[4]},
        notes=[ODD[0]],
    )


@pytest.fixture(scope="module")
def full():
    return made()


@pytest.mark.parametrize(("beside", "labelled"), [(True, True), (False, True), (True, False), (False, False)])
def test_it_is_well_formed_with_labels_and_without_alone_and_beside(beside, labelled):
    page = made(beside, labelled)
    written = render(page)
    tree = Tree(written)
    text = " ".join(tree.texts)
    assert ("Granularity" in text) == labelled
    assert ("hard negatives, mean" in text) == labelled
    assert ("random pairs, mean" in text) == (not labelled)
    assert ("<div>difference</div>" in written) == beside
    for heading in (
        "Alarms",
        "Figures",
        "The hypersphere, flattened",
        "Similarities and dimensions",
        "Invariance",
        "Hubs",
    ):
        assert heading in text
    maps = [attributes for tag, attributes in tree.elements if attributes.get("class") == "map"]
    assert len(maps) == 1 + beside


def test_nothing_runs_or_is_fetched_and_labels_stay_text(full):
    tree = Tree(render(full))
    assert {tag for tag, _ in tree.elements} & {"script", "link", "iframe", "object", "base", "form"} == set()
    for tag, attributes in tree.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("srcset", "style")]
        for name in ("src", "href"):
            if name in attributes:
                assert tag in ("img", "image")
                assert attributes[name].startswith("data:image/jpeg;base64,")
    style = _STYLE.read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style
    assert "<script>alert(1)</script>" in " ".join(tree.texts)


def test_alarms_that_ring_say_what_to_do(full):
    sound = replace(full.after.found, invariance=())
    quiet = render(replace(full, after=replace(full.after, found=sound), before=None))
    assert "No alarms ring" in quiet
    vectors = unit(np.ones((72, 8)) + 1e-4 * np.random.default_rng(0).standard_normal((72, 8)))
    loud = render(replace(full, after=replace(full.after, found=diagnose(vectors)), before=None))
    assert 'class="verdict-card worse"' in loud
    assert "complete collapse" in loud
    assert "All embeddings are one point" in loud
    assert "All embeddings are one point" not in quiet


def test_the_map_holds_every_image_and_pictures_that_do_not_touch():
    places = np.random.default_rng(0).standard_normal((80, 2))
    boxed, height = layout(places)
    assert boxed[:, 0].min() >= SIDE / 2
    assert boxed[:, 0].max() <= WIDTH - SIDE / 2
    assert boxed[:, 1].min() >= SIDE / 2
    assert boxed[:, 1].max() <= height - SIDE / 2
    # One scale on both axes, and up is up.
    for a, b in ((0, 1), (2, 3)):
        across, up = (boxed[b] - boxed[a]) / (places[b] - places[a])
        assert across == pytest.approx(-up)
        assert across > 0
    kept = shown_pictures(boxed)
    assert kept[0] == 0
    for i, first in enumerate(kept):
        for second in kept[:i]:
            assert np.abs(boxed[first] - boxed[second]).max() >= SIDE
    for row in set(range(80)) - set(kept):
        assert min(np.abs(boxed[row] - boxed[one]).max() for one in kept if one < row) < SIDE + 7
    drawn = picture_map(places, ["plain"] * 80, {row: jpeg(0) for row in range(80)}, ["t"] * 80, "said")
    assert drawn.count("<circle") == 80
    assert drawn.count("<image") == len(kept)


def test_points_on_one_line_or_in_one_place_can_be_drawn():
    for places in (np.zeros((3, 2)), np.stack([np.arange(4.0), np.zeros(4)], axis=1)):
        boxed, height = layout(places)
        assert np.isfinite(boxed).all()
        assert height > 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_never_scrolls_sideways(full, browser, tmp_path, width, scheme):  # noqa: F811
    write_page(tmp_path / "page.html", render(full))
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "[...document.querySelectorAll('section, .card, .scroll, .pan, .look, .alarm, .figure, .verdict-card')]"
        ".filter(one => one.getBoundingClientRect().right > innerWidth + 0.5).length"
    )
    assert wide == 0
    assert [url for url in asked if not re.match("file:|data:", url)] == []
    assert said == []
    page.close()
