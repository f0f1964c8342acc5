"""The strip of the jobs: what it says of each state, and how it behaves in a browser while a job runs."""

import ast
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from playwright import sync_api as playwright

from retrieval.workflows.jobs import KINDS, Failure, Job, JobProgress, Jobs, State
from retrieval.workflows.jobs.requests import IndexJob
from tests.conftest import REPOSITORY
from tests.ui.conftest import Visit, running
from tests.ui.tree import Tree
from tests.ui.twins import SearcherTwin, ViewsTwin
from tests.workflows.jobs.support import stubbed, until
from ui.addresses import Addresses
from ui.app import create_app
from ui.labels.work import render_work as labels_work
from ui.library.work_cards import render_over
from ui.library.work_cards import render_running as library_work
from ui.shell import jobs_routes
from ui.shell.jobs_strip import SEEN_COOKIE, key, render_jobs
from ui.shell.site import Site
from ui.teach.watch import render_watch
from ui.understand.parts import render_work as understand_work
from ui.words import CHINESE, ENGLISH, LANGUAGES, Words

expect = playwright.expect

COUNT_WHAT_IS_READ_OUT = """
() => {
  window.told = 0;
  const all = { childList: true, characterData: true, subtree: true };
  new MutationObserver(() => (window.told += 1)).observe(document.getElementById("jobs-said"), all);
}
"""
SITE = Site("Retrieval", SearcherTwin(), Addresses("v1"), 1000)
RUNNING = Job(2, "train", {}, State.RUNNING, JobProgress("Training", 3, 9, seconds_left=130.0, epoch=1, epochs=2))
DONE = Job(1, "index", {}, State.DONE, created=5.0, ended=time.time())
FAILED = replace(DONE, state=State.FAILED, error=Failure("gallery_busy", "Busy is /home/anna/g.", "Wait."))


def strip(*jobs: Job, words: Words = ENGLISH, seen: str = "", **site: Any) -> str:
    made = replace(SITE, jobs=cast("Jobs", SimpleNamespace(list=lambda: list(jobs))), **site)
    return render_jobs(made, words, seen, {"teach"})


# -- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_every_kind_has_a_plain_name(words: Words) -> None:
    assert set(words.jobs.kinds) == set(KINDS)
    assert len(set(words.jobs.kinds.values())) == len(KINDS)


def parts_in_the_source() -> set[str]:
    """The beginnings of all texts that the workflows hand to a hook as the name of a part."""
    found = set()
    for path in (REPOSITORY / "retrieval" / "workflows").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            told = [one.value for one in node.keywords if one.arg == "what"]
            if name in ("working", "indexed", "_go_on", "JobProgress", "embed"):
                told += node.args
            for one in told:
                first = one.values[0] if isinstance(one, ast.JoinedStr) else one
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_every_part_of_progress_has_a_name(words: Words) -> None:
    parts = parts_in_the_source()
    assert {"Indexing", "Training", "Preparing pictures", "Temperature ", "Classifying"} <= parts
    assert [part for part in parts if words.jobs.part(part) == words.jobs.other_part] == []
    assert words.jobs.part("Never heard of") == words.jobs.other_part


# -- what it says --------------------------------------------------------------------------------------------------


def test_nothing_is_shown_without_jobs() -> None:
    for html in (strip(), render_jobs(SITE, ENGLISH)):
        assert Tree(html).text == ""
        assert "data-busy" not in html


def test_one_that_runs_says_how_far_it_is_and_how_long() -> None:
    html = strip(RUNNING)
    text = Tree(html).text
    for said in ("Teaching with your labels", "Learning, round 1 of 2", "about 2 min left", "Stop", "Show"):
        assert said in text
    assert 'value="3" max="9"' in html
    assert 'href="./teach?job=2"' in html
    assert "data-busy" in html


def test_a_page_that_is_not_there_is_not_linked() -> None:
    assert "href" not in strip(replace(RUNNING, kind="index"))


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "5 s"), (31, "30 s"), (54.9, "55 s"), (80, "1 min"), (3500, "58 min"), (5400, "1.5 h")]
)
def test_the_time_left_is_rounded(seconds: float, said: str) -> None:
    assert RUNNING.progress is not None
    assert f"about {said} left" in strip(replace(RUNNING, progress=replace(RUNNING.progress, seconds_left=seconds)))


def test_others_that_wait_are_counted_and_the_first_of_them_stands_for_them() -> None:
    waits = replace(RUNNING, id=3, state=State.QUEUED, kind="switch", progress=None)
    assert "1 more is waiting" in strip(waits, RUNNING)
    assert "Switching to another model" in (html := strip(waits, DONE))
    assert "waiting for its turn" in html


def test_one_that_failed_says_why_in_the_reader_s_language() -> None:
    text = Tree(strip(FAILED, words=CHINESE)).text
    assert CHINESE.errors.kinds["gallery_busy"].text in text
    assert "Busy is /home/anna/g." in text
    english = Tree(strip(FAILED)).text
    assert "Busy is /home/anna/g." in english
    assert "Wait." in english


@pytest.mark.parametrize("words", LANGUAGES.values(), ids=list(LANGUAGES))
def test_no_path_is_shown_to_those_who_may_not_see_it(words: Words) -> None:
    assert "anna" not in strip(FAILED, words=words, shows_paths=False)


def test_what_a_job_says_is_escaped() -> None:
    html = strip(replace(FAILED, error=Failure("odd", "<script>x</script>", "<b>")), RUNNING)
    assert "<script>" not in html
    assert "<b>" not in html


def test_an_end_is_shown_until_it_is_closed_and_a_good_one_for_a_day() -> None:
    assert "done" in strip(DONE)
    assert Tree(strip(DONE, seen=key(DONE))).text == ""
    assert Tree(strip(replace(DONE, ended=time.time() - 90_000))).text == ""
    assert "did not work" in strip(replace(FAILED, ended=5.0))
    assert Tree(strip(FAILED, seen=key(FAILED))).text == ""
    # Another gallery's first job is another job.
    assert "done" in strip(DONE, seen=key(replace(DONE, created=9.0)))


def test_the_key_changes_with_the_state_and_not_with_numbers() -> None:
    def keys(*jobs: Job) -> str:
        return str(Tree(strip(*jobs)).with_class("jobs-now")[0][1]["data-key"])

    assert keys(RUNNING) == keys(replace(RUNNING, progress=None))
    different = [keys(RUNNING), keys(replace(RUNNING, cancelling=True)), keys(DONE), keys(RUNNING, DONE), keys()]
    assert len(set(different)) == 5


def test_who_may_not_write_cannot_stop_anything() -> None:
    assert "data-job-cancel" in strip(RUNNING)
    assert "data-job-cancel" not in strip(RUNNING, may_write=False)
    assert "data-job-cancel" not in strip(replace(RUNNING, cancelling=True))


# -- in a server ---------------------------------------------------------------------------------------------------


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with stubbed(tmp_path / "gallery") as made:
        yield made


def test_every_page_tells_the_strip_what_is_at_work() -> None:
    def said(job: Job) -> list[str]:
        return [
            understand_work(job, ENGLISH, may_write=True),
            library_work(job, ENGLISH),
            render_watch(job, ENGLISH),
            labels_work(job, ENGLISH, may_write=True, shows_paths=True),
        ]

    for state in (State.QUEUED, State.RUNNING):
        assert [one.count('data-work="7"') for one in said(Job(7, "train", {}, state))] == [1] * 4
    done = Job(7, "train", {}, State.DONE)
    assert "data-work" not in f"{render_watch(done, ENGLISH)}{render_over(done, 3, ENGLISH)}"


def test_over_http(jobs: Jobs, tmp_path: Path) -> None:
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=tmp_path / "gallery", hosts={"testserver"})
    with TestClient(app) as client:
        jobs.submit(IndexJob(model="polite"))
        assert "Adding pictures" in client.get("/shell/jobs").text
        assert "添加图片" in client.get("/", headers={"Accept-Language": "zh"}).text
        assert client.post("/shell/jobs/1/cancel", headers={"Origin": "http://evil.example"}).status_code == 403
        assert client.post("/shell/jobs/9/cancel").status_code == 404
        assert client.post("/shell/jobs/1/cancel").status_code == 204
        until(lambda: jobs.get(1).state is State.CANCELLED)
        assert ENGLISH.jobs.kept in client.get("/shell/jobs").text
        seen = {"Cookie": f"{SEEN_COOKIE}={key(jobs.get(1))}"}
        assert "Adding" in client.get("/").text
        assert "Adding" not in client.get("/", headers=seen).text


def test_a_queue_that_stands_still_goes_on_though_nobody_looks(
    jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_routes, "LOOK_SECONDS", 0.05)
    jobs.submit(IndexJob(model="stubborn"))
    jobs.submit(IndexJob(model="quick"))
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=tmp_path / "gallery", hosts={"testserver"})
    with TestClient(app):
        os.kill(int(jobs.folder(1).state()["pid"]), 9)
        until(lambda: jobs.folder(2).state()["state"] == "done")
    assert jobs.get(1).state is State.LOST


# -- in a browser --------------------------------------------------------------------------------------------------


def test_work_that_a_page_shows_is_in_the_strip_at_once(
    jobs: Jobs, tmp_path: Path, contexts: Callable[..., Any]
) -> None:
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=tmp_path / "gallery")
    with running(app) as address:
        here = Visit(contexts(), address).open()
        region = here.page.get_by_role("region", name=ENGLISH.jobs.strip)
        expect(region).to_have_count(0)
        jobs.submit(IndexJob(model="polite"))
        # As every page does that shows what is at work; by itself the strip looks every half minute.
        here.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p data-work=\"1\"></p>')")
        expect(region).to_contain_text("Adding pictures", timeout=15_000)
        jobs.cancel(1, at_once=True)
        here.leave()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.slow)])
def test_a_job_is_followed_stopped_and_closed(
    jobs: Jobs, tmp_path: Path, contexts: Callable[..., Any], width: int
) -> None:
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=tmp_path / "gallery")
    with running(app) as address:
        here = Visit(contexts(viewport={"width": width, "height": 844}), address).open()
        page = here.page
        region = page.get_by_role("region", name=ENGLISH.jobs.strip)
        expect(region).to_have_count(0)
        jobs.submit(IndexJob(model="polite"))
        page.evaluate("document.dispatchEvent(new CustomEvent('retrieval:jobs'))")
        expect(region).to_contain_text("Adding pictures")
        heard = page.locator("#jobs-said")
        expect(heard).to_have_text("Adding pictures: begun")
        page.evaluate(COUNT_WHAT_IS_READ_OUT)
        stop = region.get_by_role("button", name=re.compile("^Stop"))
        stop.focus()
        part = page.locator("[data-slot=part]")
        before = part.text_content()
        expect(part).not_to_have_text(str(before), timeout=10_000)
        # What is new are the numbers only: the focus stays, and nobody hears anything.
        expect(stop).to_be_focused()
        assert page.evaluate("window.told") == 0
        assert here.overflow() == 0
        page.reload()
        expect(region).to_contain_text("Adding pictures")
        stop.press("Enter")
        expect(region).to_contain_text(re.compile("stopped|Stopping"))
        expect(region).to_contain_text("stopped", timeout=15_000)
        expect(heard).to_have_text("Adding pictures: stopped")
        assert here.overflow() == 0
        region.get_by_role("button", name=re.compile("^Close")).click()
        expect(region).to_have_count(0)
        page.reload()
        expect(page.locator(".state")).to_be_visible()
        expect(region).to_have_count(0)
        here.leave()
