"""The Understand page in a real browser: the map is drawn, looked at, selected on, and labelled, at both widths; the
check-up and the comparison of temperatures are started, stopped and read."""

import math
import re
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright import sync_api as playwright

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.jobs import Jobs, State
from retrieval.workflows.labelling import answer, progress
from retrieval.workflows.mapping import draw_map
from tests.ui.conftest import Visit, running
from tests.ui.drawing import COLOURS, picture
from tests.ui.finished import ADVICE, diagnosis, finished
from ui.words import CHINESE, ENGLISH

expect = playwright.expect
expect.set_options(timeout=20_000)

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
BRIGHT = {"color_scheme": "light", "locale": "en-US", "viewport": WIDE}
DARK = {"color_scheme": "dark", "locale": "zh-CN", "viewport": NARROW}
BOTH = pytest.mark.parametrize("how", [BRIGHT, DARK], ids=["light English 1440", "dark Chinese 390"])
KINDS = list(COLOURS)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A gallery of three clusters of twelve pictures, the map drawn; the clusters are laid out by hand below."""
    base = tmp_path_factory.mktemp("mapped")
    photos = base / "photos"
    photos.mkdir()
    for n in range(36):
        (photos / f"{KINDS[n % 3]} {n:02d}.png").write_bytes(picture(COLOURS[KINDS[n % 3]], n))
    index_paths(base / "gallery", [photos], model=str(tiny_model), workers=1)
    draw_map(base / "gallery")
    lay_out(base / "gallery")
    return base / "gallery"


def lay_out(gallery: Path) -> None:
    """Move the kinds of the map to three places of our own, so that a test knows where they are."""
    (path,) = (gallery / "maps").iterdir()
    with np.load(path) as file:
        values = dict(file)
    kind = kinds(gallery)
    for n, image_id in enumerate(values["ids"].tolist()):
        place = KINDS.index(kind[image_id])
        around = 2 * math.pi * n / 36
        centre = ((-0.7, 0.6), (0.7, 0.6), (0.0, -0.7))[place]
        values["places"][n] = (centre[0] + 0.12 * math.cos(around), centre[1] + 0.12 * math.sin(around))
    np.savez(path, **values)


def kinds(gallery: Path) -> dict[int, str]:
    """What each image shows, by the name of its file."""
    with Gallery(gallery) as opened:
        ids = opened.catalog.spaces.findable(opened.live_space().id)[0].tolist()
        return {i: Path(r.paths[0]).name.partition(" ")[0] for i, r in opened.catalog.images.records(ids).items()}


@pytest.fixture
def gallery(mapped: Path) -> Iterator[Path]:
    """The gallery without labels."""
    yield mapped
    ids = list(kinds(mapped))
    from retrieval.workflows.labelling import take_away

    take_away(mapped, ids)


@pytest.fixture(scope="module")
def address(mapped: Path, opened: Callable[..., Any]) -> Iterator[str]:
    with running(opened(mapped, gallery=mapped)) as served:
        yield served


@pytest.fixture
def arrive(contexts: Callable[..., Any], address: str, gallery: Path) -> Iterator[Callable[..., Visit]]:
    """Opens the page; checks in the end that all was calm."""
    visits: list[Visit] = []

    def open_page(**arguments: Any) -> Visit:
        visits.append(Visit(contexts(**arguments), address))
        here = visits[-1]
        here.page.goto(f"{address}/understand")
        here.page.locator('.und-map[data-ready="36"]').wait_for()
        return here

    yield open_page
    for one in visits:
        one.leave()


def on_screen(here: Visit, x: float, y: float) -> tuple[float, float]:
    """Where a place of the map is in the window."""
    canvas = here.page.locator(".und-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    half = min(box["width"], box["height"]) / 2 * 0.93
    return box["x"] + box["width"] / 2 + x * half, box["y"] + box["height"] / 2 - y * half


def lasso(here: Visit, x: float, y: float, radius: float = 0.22) -> None:
    here.page.get_by_role("button", name="Select with a line").click()
    places = [on_screen(here, x + radius * math.cos(a / 3), y + radius * math.sin(a / 3)) for a in range(19)]
    here.page.mouse.move(*places[0])
    here.page.mouse.down()
    for place in places[1:]:
        here.page.mouse.move(*place)
    here.page.mouse.up()
    here.page.get_by_role("button", name="Select with a line").click()


def pixels(here: Visit, x: float, y: float, side: int = 80) -> Any:
    """[side, side, 3] of the window around a place of the map."""
    left, top = on_screen(here, x, y)
    clip = {"x": left - side / 2, "y": top - side / 2, "width": side, "height": side}
    return np.asarray(Image.open(BytesIO(here.page.screenshot(clip=clip))).convert("RGB")).astype(int)


def share(found: Any, colour: tuple[int, int, int]) -> float:
    return float((np.abs(found - np.array(colour)).max(axis=2) < 40).mean())


@pytest.mark.parametrize("viewport", [WIDE, pytest.param(NARROW, marks=pytest.mark.slow)], ids=["wide", "narrow"])
def test_a_line_around_a_cluster_labels_exactly_its_pictures(
    arrive: Callable[..., Visit], gallery: Path, viewport: Any
) -> None:
    here = arrive(viewport=viewport)
    page = here.page
    assert page.locator(".und-map").get_attribute("data-drawn") == "webgl"
    none, first = (0xB9, 0xB4, 0xA8), (0x00, 0x72, 0xB2)
    # The dots are where the map says, in the colour of no label; the first label's colour is nowhere.
    assert share(pixels(here, -0.7, 0.6), none) > 0.02
    assert share(pixels(here, -0.7, 0.6), first) == 0
    assert share(pixels(here, 0, 0), none) == 0
    lasso(here, -0.7, 0.6)
    expect(page.locator(".und-count")).to_have_text("12 pictures selected")
    expect(page.locator(".und-list img")).to_have_count(12)
    page.locator(".und-form input").fill("red fruit")
    page.get_by_role("button", name="Label these").click()
    expect(page.locator("#understand-told")).to_contain_text("“red fruit” given to 12 pictures.")
    assert progress(gallery).labels == (("red fruit", 12),)
    known = kinds(gallery)
    with Gallery(gallery) as opened:
        assert {known[image_id] for image_id in opened.catalog.labels.chosen()} == {KINDS[0]}
    chip = page.locator(".und-chip", has_text="red fruit")
    expect(chip).to_contain_text("12")
    expect(page.locator(".und-count")).to_contain_text("Nothing selected")
    page.mouse.move(2, 2)
    page.wait_for_timeout(300)
    assert share(pixels(here, -0.7, 0.6), first) > 0.02
    assert share(pixels(here, 0.7, 0.6), first) == 0
    page.locator("#understand-told").get_by_role("button", name="Undo").click()
    expect(page.locator("#understand-told")).to_contain_text("Taken back.")
    expect(chip).to_have_count(0)
    assert progress(gallery).labelled == 0
    assert here.overflow() == 0


@pytest.mark.slow
def test_everything_goes_by_keyboard(arrive: Callable[..., Visit], gallery: Path) -> None:
    here = arrive(viewport=WIDE)
    page = here.page
    page.locator(".und-canvas").focus()
    keys = page.keyboard
    keys.press("n")
    expect(page.locator(".und-pin")).to_be_visible()
    expect(page.locator(".und-pin-name")).to_contain_text("apple")
    keys.press(" ")
    expect(page.locator(".und-count")).to_have_text("1 picture selected")
    keys.press("p")
    keys.press("Escape")
    expect(page.locator(".und-pin")).to_be_hidden()
    keys.press("s")
    expect(page.locator(".und-count")).to_have_text("36 pictures selected")
    keys.press("Escape")
    # Closer, up and to the left: only the first cluster is in view.
    for key in ("+", "+", "+", "+", *["ArrowLeft"] * 14, *["ArrowUp"] * 14):
        keys.press(key)
    keys.press("s")
    expect(page.locator(".und-count")).to_have_text("12 pictures selected")
    keys.press("l")
    keys.type("apple")
    keys.press("Enter")
    expect(page.locator("#understand-told")).to_contain_text("“apple” given to 12 pictures.")
    known = kinds(gallery)
    with Gallery(gallery) as opened:
        assert {known[image_id] for image_id in opened.catalog.labels.chosen()} == {"apple"}


def test_the_focus_stays_while_a_piece_is_made_anew(arrive: Callable[..., Visit]) -> None:
    here = arrive(viewport=WIDE)
    button = here.page.get_by_role("button", name="Start the check-up")
    button.focus()
    here.page.evaluate(
        "(() => { const part = document.querySelector('#understand-check .und-part');"
        " part.replaceWith(part.cloneNode(true)); })()"
    )
    expect(button).to_be_focused()


@pytest.mark.slow
def test_a_picture_is_shown_and_leads_on(arrive: Callable[..., Visit], gallery: Path) -> None:
    answer(gallery, {image_id: f"a {kind}" for image_id, kind in kinds(gallery).items() if kind != "sky"})
    here = arrive(viewport=WIDE)
    page = here.page
    place = page.evaluate("[window.retrievalMap.points.x[0], window.retrievalMap.points.y[0]]")
    page.mouse.move(*on_screen(here, *place))
    expect(page.locator(".und-pin")).to_be_visible()
    expect(page.locator(".und-pin-labels")).to_have_text("a apple")
    page.mouse.move(*on_screen(here, 0, 0))
    expect(page.locator(".und-pin")).to_be_hidden()
    page.mouse.click(*on_screen(here, *place))
    image = page.locator(".und-pin img")
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0
    # A label that is looked at leaves the others alone.
    page.locator(".und-chip", has_text="a grass").click()
    page.get_by_role("button", name="Select all in view").click()
    expect(page.locator(".und-count")).to_have_text("12 pictures selected")
    page.locator(".und-pin").get_by_role("link", name="Search with this one").click()
    page.locator("#results button.card").first.wait_for()
    assert "/?like=" in page.url


@pytest.mark.slow
def test_without_a_graphics_card_the_map_is_drawn_all_the_same(
    arrive: Callable[..., Visit], contexts: Callable[..., Any], address: str
) -> None:
    context = contexts(viewport=NARROW, locale="zh-CN", color_scheme="dark")
    context.add_init_script(
        "const real = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind === 'webgl2' ? null : real.call(this, kind, ...rest); };"
    )
    here = arrive(viewport=NARROW, locale="zh-CN", color_scheme="dark")
    assert here.page.locator(".und-map").get_attribute("data-drawn") == "plain"
    expect(here.page.locator(".und-simple")).to_be_visible()
    here.page.wait_for_timeout(300)
    assert share(pixels(here, -0.7, 0.6), (0x5F, 0x5B, 0x53)) > 0.02
    assert here.overflow() == 0


# -- the check-up and the comparison of temperatures ---------------------------------------------------------------


@pytest.fixture
def own(mapped: Path, tmp_path: Path) -> Iterator[Path]:
    """An own copy of the gallery, with a label on every picture; in the end no job runs."""
    folder = Path(shutil.copytree(mapped, tmp_path / "own"))
    answer(folder, {image_id: f"kind {n % 9}" for n, image_id in enumerate(kinds(folder))})
    yield folder
    for job in Jobs(folder).list():
        if not job.state.is_over:
            Jobs(folder).cancel(job.id, at_once=True)


@pytest.fixture
def enter(contexts: Callable[..., Any], opened: Callable[..., Any], own: Path) -> Iterator[Callable[..., Visit]]:
    """Opens the page of the own gallery; checks in the end that all was calm, in the language and scheme asked for."""
    visits: list[Visit] = []
    with running(opened(own, gallery=own)) as address:

        def open_page(how: Any) -> Visit:
            visits.append(Visit(contexts(**how), address))
            here = visits[-1]
            here.page.goto(f"{address}/understand")
            here.page.locator('.und-map[data-ready="36"]').wait_for()
            assert here.page.evaluate("document.body.classList.contains('dark')") == (how["color_scheme"] == "dark")
            return here

        yield open_page
        for one in visits:
            assert one.overflow() == 0
            one.leave()


def said_in(how: Any) -> Any:
    return (CHINESE if how["locale"] == "zh-CN" else ENGLISH).understand


def read_report(here: Visit, part: Any, title: str) -> None:
    """Open a part's report: a page of its own, which is there and says what it is about."""
    with here.context.expect_page() as waiting:
        part.locator(".und-report a").click()
    report = waiting.value
    try:
        expect(report.locator("h1")).to_contain_text(title)
        assert "/understand/report/" in report.url
    finally:
        report.close()


@pytest.mark.slow
@BOTH
def test_a_check_up_is_started_and_its_findings_hubs_and_report_are_read(
    enter: Callable[..., Visit], own: Path, how: Any
) -> None:
    here, said = enter(how), said_in(how)
    part = here.page.locator("#understand-check")
    assert part.locator(".und-found").count() == 0
    part.get_by_role("button", name=said.check_start).click()
    expect(part.locator(".und-work progress")).to_be_visible()
    expect(part.locator(".und-finding").first).to_be_visible(timeout=150_000)
    (job,) = Jobs(own).list()
    assert (job.kind, job.state) == ("diagnose", State.DONE)
    assert job.result is not None
    rung = [one["name"] for one in job.result["alarms"] if one["rings"]]
    # An encoder that nobody has trained rings an alarm at least, and each of them is a finding that is not well.
    expect(part.locator(".und-finding.is-bad")).to_have_count(len(rung))
    expect(part.locator(".und-whole")).to_contain_text(said.check_attention.of(len(rung)))
    expect(part.locator(".und-whole")).to_have_class(re.compile("is-bad"))
    assert part.locator(".und-finding h3").all_inner_texts() == [said.checked[key].name for key in said.checked]
    hubs = part.locator(".und-hubs li")
    expect(hubs).to_have_count(len(job.result["hubs"]))
    expect(hubs.first).to_contain_text(said.hub_times.of(job.result["hubs"][0]["occurrence"]))
    image = hubs.first.locator("img")
    image.scroll_into_view_if_needed()
    here.page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    assert f"like={job.result['hubs'][0]['id']}" in str(hubs.first.locator("a").get_attribute("href"))
    expect(part.get_by_role("button", name=said.check_again)).to_be_visible()
    read_report(here, part, "Diagnosis of gallery")


@pytest.mark.slow
@BOTH
def test_a_comparison_of_temperatures_is_started_and_stopped_and_one_that_ended_is_read(
    enter: Callable[..., Visit], own: Path, how: Any
) -> None:
    here, said = enter(how), said_in(how)
    part = here.page.locator("#understand-strict")
    start = part.get_by_role("button", name=said.strict_start)
    start.click(timeout=60_000)
    expect(part.locator(".und-work progress")).to_be_visible()
    part.get_by_role("button", name=said.stop).click()
    expect(part.locator(".und-end")).to_have_text(said.stopped, timeout=60_000)
    assert [(job.kind, job.state) for job in Jobs(own).list()] == [("temperature", State.CANCELLED)]
    expect(start).to_be_visible()
    finished(
        own, 2, "temperature", dataset="gallery", page="<h1>Of temperatures</h1>", result={"recommendation": ADVICE}
    )
    expect(part.locator(".und-found h3")).to_have_text(said.strict_best.format(value="0.1"))
    expect(part.locator(".und-found")).to_contain_text(said.strict_as_good.format(values="0.2"))
    expect(part.locator(".und-found")).to_contain_text(said.strict_liked.format(liked=2, seeds=3))
    expect(part.locator(".und-end")).to_have_count(0)
    read_report(here, part, "Of temperatures")


@pytest.mark.slow
@BOTH
def test_a_collapse_is_said_plainly_and_everything_else_is_well(
    enter: Callable[..., Visit], own: Path, how: Any
) -> None:
    with Gallery(own) as gallery:
        fingerprint = gallery.live_space().fingerprint
    finished(
        own, 1, "diagnose", dataset="gallery", page="<h1>x</h1>",
        result=diagnosis(min(kinds(own)), fingerprint, collapse=0.001),
    )  # fmt: skip
    here, said = enter(how), said_in(how)
    part = here.page.locator("#understand-check")
    bad = part.locator(".und-finding.is-bad")
    expect(bad).to_have_count(1)
    expect(part.locator(".und-finding.is-good")).to_have_count(len(said.checked) - 1)
    expect(bad.locator("h3")).to_have_text(said.checked["collapse"].name)
    expect(bad.locator(".und-verdict")).to_have_text(said.verdict_bad)
    expect(bad.locator(".und-meaning")).to_have_text(said.checked["collapse"].bad)
    expect(part.locator(".und-whole strong")).to_have_text(said.check_attention.of(1))
    expect(part.locator(".und-old")).to_have_count(0)
    # What is bad is not told by its place alone: it stands out from what is good.
    colours = [
        part.locator(f".und-finding.{kind} .und-verdict").first.evaluate("one => getComputedStyle(one).color")
        for kind in ("is-bad", "is-good")
    ]
    assert colours[0] != colours[1]
