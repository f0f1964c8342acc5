"""From labels to a switch and back, with real jobs, in a real browser."""

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
            one.page.close()
            one.assert_calm()


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
