"""From labels to a switch and back, with real jobs, in a real browser; and what is shown of a lesson that has ended."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from playwright import sync_api as playwright

from retrieval.workflows.jobs import Jobs, State
from retrieval.workflows.spaces import spaces
from tests.conftest import draw
from tests.ui.conftest import Visit, running
from tests.ui.finished import finished
from tests.ui.test_teach import EVENTS, LESSON, REPORT
from ui.teach import answers
from ui.words import CHINESE, ENGLISH, Words

expect = playwright.expect
SOON, LATE = 60_000, 240_000


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A gallery of eight labels with eight pictures each."""
    from retrieval.workflows.indexing import index_paths

    base = tmp_path_factory.mktemp("labelled")
    for number in range(8):
        for n in range(8):
            draw(base / "photos" / f"{number}" / f"{n}.png", 100 * number + n)
    index_paths(base / "gallery", [base / "photos"], model=str(tiny_model), workers=1)
    return base / "gallery"


@pytest.fixture
def gallery(labelled: Path, tmp_path: Path) -> Path:
    """An own copy of it."""
    shutil.copytree(labelled, tmp_path / "gallery")
    return tmp_path / "gallery"


@pytest.fixture
def arrive(
    contexts: Callable[..., Any], opened: Callable[..., FastAPI], gallery: Path
) -> Iterator[Callable[..., Visit]]:
    """Opens the page; checks in the end that all was calm, and that no job is left."""
    visits: list[Visit] = []
    with running(opened(gallery, gallery=gallery)) as address:

        def open_page(**arguments: Any) -> Visit:
            here = Visit(contexts(**arguments), address)
            visits.append(here)
            here.page.set_default_timeout(SOON)
            here.page.goto(f"{address}/teach")
            here.page.locator("#teach-models section").wait_for()
            return here

        yield open_page
        for job in Jobs(gallery).list():
            if not job.state.is_over:
                Jobs(gallery).cancel(job.id, at_once=True)
        for one in visits:
            one.leave()


def press(here: Visit, do: str) -> None:
    here.page.locator(f"[data-do={do}]").first.click()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def switched_and_back(here: Visit, gallery: Path, words: Words) -> None:
    """From a lesson that has ended to its search in use, and back."""
    said = words.teach
    before = next(space.fingerprint for space in spaces(gallery) if space.live)
    proof = here.page.locator("#teach-proof")
    expect(proof.get_by_text(said.before, exact=True).first).to_be_visible(timeout=LATE)
    rows = proof.locator(".teach-rows img")
    assert rows.count() > 0
    rows.first.scroll_into_view_if_needed()
    until(lambda: rows.first.evaluate("image => image.complete && image.naturalWidth > 0"))
    assert here.overflow() == 0
    # The gate decides which of the two is offered.
    here.page.locator("[data-do=ask-switch], [data-do=ask-force]").first.click()
    now = here.page.locator("[data-do=switch-now], [data-do=force-now]")
    expect(now).to_be_focused(timeout=SOON)
    assert here.overflow() == 0
    here.page.keyboard.press("Enter")
    expect(here.page.locator("#teach-switch")).to_contain_text(said.is_live, timeout=LATE)
    assert next(space.fingerprint for space in spaces(gallery) if space.live) != before
    press(here, "ask-back")
    expect(here.page.get_by_text(said.back_means)).to_be_visible()
    press(here, "back-now")
    expect(here.page.get_by_text(said.went_back)).to_be_visible()
    assert next(space.fingerprint for space in spaces(gallery) if space.live) == before


@pytest.mark.slow
def test_a_lesson_that_was_killed_goes_on_and_is_switched_to_and_back(
    arrive: Callable[..., Visit], gallery: Path
) -> None:
    here, jobs = arrive(), Jobs(gallery)
    expect(here.page.get_by_text(ENGLISH.teach.held_out_why)).to_be_visible()
    here.page.get_by_role("button", name=ENGLISH.teach.start).click()
    expect(here.page.locator(".teach-state.running")).to_be_visible(timeout=SOON)
    until(lambda: jobs.get(1).state is State.RUNNING)
    os.kill(int(jobs.folder(1).state()["pid"]), signal.SIGKILL)
    expect(here.page.get_by_text(ENGLISH.teach.lost)).to_be_visible(timeout=SOON)
    # It is said after a reload, too.
    here.page.reload()
    expect(here.page.get_by_text(ENGLISH.teach.lost)).to_be_visible(timeout=SOON)
    # What was being asked when the page was left is aborted, and Gradio tells the console.
    here.complaints[:] = [one for one in here.complaints if not re.search("AbortError|errored out", one)]
    press(here, "resume")
    expect(here.page.locator(".teach-state.done")).to_be_visible(timeout=LATE)
    assert jobs.get(2).resumes == 1
    switched_and_back(here, gallery, ENGLISH)


@pytest.mark.slow
def test_on_a_phone_in_chinese(arrive: Callable[..., Visit], gallery: Path) -> None:
    here = arrive(viewport={"width": 390, "height": 844}, locale="zh-CN")
    assert here.overflow() == 0
    here.page.get_by_role("button", name=CHINESE.teach.start).click()
    switched_and_back(here, gallery, CHINESE)
    # A model that is not in use can be deleted, after a question.
    press(here, "ask-drop")
    expect(here.page.locator("[data-do=drop-now]")).to_be_focused()
    press(here, "drop-now")
    expect(here.page.get_by_text(CHINESE.teach.dropped)).to_be_visible()
    assert len(spaces(gallery)) == 1


def test_lessons_are_chosen_by_keyboard_and_the_costs_arrive(arrive: Callable[..., Visit]) -> None:
    here = arrive()
    deep = here.page.locator('[data-of="triplet-center"]')
    expect(deep).to_have_attribute("aria-pressed", "false")
    deep.focus()
    here.page.keyboard.press("Enter")
    expect(deep).to_have_attribute("aria-pressed", "true")
    for cost in here.page.locator(".teach-cost").all():
        expect(cost).to_contain_text(re.compile(r"\d (s|min|h) to \d"), timeout=LATE)


@pytest.mark.slow
def test_a_lesson_is_stopped_and_goes_on_and_its_curve_grows(arrive: Callable[..., Visit], gallery: Path) -> None:
    here, jobs, said = arrive(), Jobs(gallery), ENGLISH.teach
    here.page.get_by_role("button", name=said.start).click()
    press(here, "stop")
    expect(here.page.locator(".teach-state.cancelled")).to_contain_text(said.cancelled, timeout=LATE)
    assert jobs.get(1).state is State.CANCELLED
    here.page.get_by_role("button", name=said.resume).click()
    line = here.page.locator("#teach-live .teach-curve polyline").first
    expect(line).to_be_visible(timeout=LATE)
    assert jobs.get(2).resumes == 1
    places = str(line.get_attribute("points")).split()
    assert len(places) >= 2
    box = line.bounding_box()
    assert box is not None
    assert box["width"] > 100


BRIGHT = {"color_scheme": "light", "locale": "en-US", "viewport": {"width": 1440, "height": 900}}
DARK = {"color_scheme": "dark", "locale": "zh-CN", "viewport": {"width": 390, "height": 844}}


@pytest.fixture
def ended(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lesson that has ended, with an alarm on its way: its proof and the costs of its switch are written by hand."""
    finished(gallery, 1, "train", dataset="gallery", recipe="quick-head", events=EVENTS)
    monkeypatch.setattr(answers, "run_of", lambda *_: gallery / "runs" / "1")
    monkeypatch.setattr(answers, "read_lesson", lambda *_: LESSON)
    monkeypatch.setattr(answers, "switch", lambda *_, **__: REPORT)


@pytest.mark.slow
@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize(
    ("how", "words"), [(BRIGHT, ENGLISH), (DARK, CHINESE)], ids=["light English 1440", "dark Chinese 390"]
)
def test_what_a_lesson_brought_is_read_and_the_present_search_stays(
    arrive: Callable[..., Visit], gallery: Path, how: Any, words: Words
) -> None:
    here, said = arrive(**how), words.teach
    page = here.page
    before = spaces(gallery)
    # A warning sign in plain words, and both curves.
    alarm = page.locator("#teach-live .notice.warning")
    expect(alarm).to_contain_text(said.alarms["complete collapse"])
    assert alarm.count() == 1
    expect(page.locator("#teach-live .teach-curve polyline")).to_have_count(2)
    # Labels that gained and that lost, each under its own heading.
    gained, lost = page.locator(".teach-pair > div").all()
    expect(gained.locator("h3")).to_have_text(said.gains)
    expect(gained.locator("li")).to_have_text(["12" + said.class_line.format(before="20", after="80")])
    expect(lost.locator("h3")).to_have_text(said.losses)
    expect(lost.locator("li")).to_have_text(["13" + said.class_line.format(before="50", after="25")])
    # The rows: what was searched with, and what came first before and after.
    rows = page.locator("#teach-proof .teach-rows > li")
    expect(rows).to_have_count(2)
    assert rows.first.locator(".teach-found > span").all_inner_texts() == [said.before, said.after]
    expect(rows.first.locator(".teach-found li.right")).to_have_count(3)
    expect(rows.first.locator(".teach-found li.wrong")).to_have_count(1)
    images = rows.first.locator("img")
    for image in images.all():
        image.scroll_into_view_if_needed()
        until(lambda image=image: image.evaluate("image => image.complete && image.naturalWidth > 0"))
        box = image.bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= how["viewport"]["width"]
    assert here.overflow() == 0
    # The facts of the model in use.
    (space,) = before
    card = page.locator(".teach-model")
    expect(card.locator("h3")).to_contain_text(said.live)
    facts = dict(zip(card.locator("dt").all_inner_texts(), card.locator("dd").all_inner_texts(), strict=True))
    assert facts[said.numbers] == f"{space.dimension:,}"
    assert facts[said.covers] == said.of_total.format(done=space.covered, total=space.total)
    assert facts[said.chances] == said.chances_no
    # The question of the switch, and the answer that leaves everything as it is.
    press(here, "ask-switch")
    question = page.locator(".teach-ask")
    expect(question).to_contain_text(said.switch_away.of(2))
    expect(page.locator("[data-do=switch-now]")).to_be_focused()
    assert here.overflow() == 0
    question.get_by_role("button", name=said.not_now).click()
    expect(question).to_have_count(0)
    expect(page.locator("[data-do=ask-switch]").first).to_be_visible()
    assert spaces(gallery) == before
    assert [job.id for job in Jobs(gallery).list()] == [1]
