"""One job above the content of any page: what is shown of each state, to whom, and what its buttons do."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from playwright import sync_api as playwright

from retrieval.core.errors import NoSuchPath
from retrieval.workflows.jobs import KINDS, Failure, Job, JobProgress, Jobs, State
from retrieval.workflows.jobs.requests import IndexJob
from retrieval.workflows.lessons import run_of
from tests.ui.conftest import Visit, running
from tests.ui.tree import Tree
from tests.ui.twins import SearcherTwin, ViewsTwin
from tests.workflows.jobs.support import stubbed, until
from ui.addresses import Addresses
from ui.app import create_app
from ui.pages import PAGES
from ui.shell.job_view import number_in, render_job_view
from ui.shell.jobs_strip import render_jobs
from ui.shell.site import Site
from ui.words import CHINESE, ENGLISH

expect = playwright.expect

SITE = Site("Retrieval", SearcherTwin(), Addresses("v1"), 1000)
RUNNING = Job(2, "train", {}, State.RUNNING, JobProgress("Training", 3, 9, seconds_left=130.0, epoch=1, epochs=2), 5.0)
FOUND = {"new": 1234, "share": 0.12345, "ok": True, "place": "/home/anna/x", "none": None, "nested": {"more": [1]}}
DONE = replace(RUNNING, kind="probe", state=State.DONE, ended=9.0, progress=None, result=FOUND)
FAILED = replace(DONE, state=State.FAILED, result=None, error=Failure("odd", "Bad is /home/anna/y.", "Wait."))
LOG = [{"event": "say", "text": "Read /home/anna/z\n<b>"}, {"event": "validated", "value": 1}]


def view(job: Job, words: Any = ENGLISH, number: int | None = 2, addresses: Any = (), **site: Any) -> str:
    def get(job_id: int) -> Job:
        if job_id != job.id:
            raise NoSuchPath("There is no such job.")
        return job

    jobs = cast("Jobs", SimpleNamespace(get=get, list=lambda: [job], events=lambda _: (LOG, 0)))
    return render_job_view(replace(SITE, jobs=jobs, **site), words, number, addresses)


def test_one_that_runs_is_shown_with_its_progress_and_can_be_stopped() -> None:
    html = view(RUNNING)
    text = Tree(html).text
    for said in ("Teaching with your labels", "Job 2 · at work", "Learning, round 1 of 2", "about 2 min left"):
        assert said in text
    assert 'value="3" max="9"' in html
    assert 'data-job-cancel="2"' in html
    assert "data-job-resume" not in html
    assert "data-job-cancel" not in view(RUNNING, may_write=False)


def test_one_that_is_done_shows_what_came_of_it_and_what_it_said() -> None:
    text = Tree(html := view(DONE)).text
    for said in ("1,234", "0.1235", "True", "/home/anna/x", '"more"', "Read /home/anna/z"):
        assert said in text
    assert "<b>" not in html
    assert "data-job-cancel" not in html


def test_one_that_failed_says_why_and_can_go_on() -> None:
    html = view(FAILED)
    assert "Bad is /home/anna/y.Wait." in Tree(html).text
    assert 'data-job-resume="2"' in html
    assert ENGLISH.teach.goes_on not in html
    assert ENGLISH.teach.goes_on in view(replace(FAILED, goes_on=True))
    assert "data-job-resume" not in view(FAILED, may_write=False)
    assert "data-job-resume" not in view(replace(FAILED, state=State.BROKEN))


@pytest.mark.parametrize("job", [RUNNING, DONE, FAILED])
def test_no_path_is_shown_to_those_who_may_not_see_it(job: Job) -> None:
    assert "anna" in view(job)
    assert "anna" not in view(job, shows_paths=False)


def test_a_number_that_is_no_job_s_is_said_and_none_shows_nothing() -> None:
    assert ENGLISH.jobs.gone in Tree(view(DONE, number=7)).text
    assert view(DONE, number=None) == ""
    assert render_job_view(SITE, ENGLISH, 2) == ""


def test_a_report_is_led_to_where_there_is_one(tmp_path: Path) -> None:
    examined = replace(DONE, kind="diagnose", request={"dataset": "gallery"})
    assert 'href="./understand/report/2"' in view(examined, addresses={"understand"})
    assert "report/2" not in view(examined)
    assert "report/2" not in view(replace(examined, request={"dataset": "/x"}), addresses={"understand"})
    learned = replace(DONE, kind="pretrain")
    assert "report/2" not in view(learned, gallery=tmp_path)
    run = run_of(tmp_path, learned)
    assert run is not None
    run.mkdir(parents=True)
    (run / "report.html").write_text("x")
    assert 'href="./teach/report/2"' in view(learned, gallery=tmp_path)
    assert "report/2" not in view(learned, gallery=tmp_path, shows_paths=False)


@pytest.mark.parametrize(
    ("query", "number"),
    [("job=7", 7), ("a=1&job=7&job=8", 7), ("", None), ("job=", None), ("job=-1", None), ("job=٣", None),
     ("jobs=7", None), (f"job={'9' * 16}", None)],
)  # fmt: skip
def test_the_address_names_a_job(query: str, number: int | None) -> None:
    assert number_in(query) == number


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_show_leads_to_a_page_that_shows_the_job(kind: str, hidden: bool) -> None:
    """Whatever its kind: each page has the same place for it."""
    there = {page.address for page in PAGES if not (hidden and page.tells_paths)}
    job = replace(DONE, kind=kind)
    strip = render_jobs(
        replace(SITE, jobs=cast("Jobs", SimpleNamespace(list=lambda: [replace(job, state=State.FAILED)]))),
        ENGLISH, "", there,
    )  # fmt: skip
    found = re.search(r'href="\./([a-z]*)\?job=2"', strip)
    assert found is not None
    assert found[1] in there
    assert ENGLISH.jobs.kinds[kind] in view(job)


# -- in a server ---------------------------------------------------------------------------------------------------


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with stubbed(tmp_path / "gallery") as made:
        yield made


def test_over_http(jobs: Jobs, tmp_path: Path) -> None:
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=tmp_path / "gallery", hosts={"testserver"})
    with TestClient(app) as client:
        jobs.submit(IndexJob(model="polite"))
        for page in PAGES:
            assert 'class="job-view"' in client.get(f"/{page.address}?job=1").text, page.address
            assert 'class="job-view"' not in client.get(f"/{page.address}").text
        assert CHINESE.jobs.kinds["index"] in client.get("/shell/job?job=1", headers={"Accept-Language": "zh"}).text
        assert client.post("/shell/jobs/1/resume").status_code == 409
        assert client.post("/shell/jobs/9/resume").status_code == 404
        jobs.cancel(1, at_once=True)
        until(lambda: jobs.get(1).state.is_over)
        assert client.post("/shell/jobs/1/resume", headers={"Origin": "http://evil.example"}).status_code == 403
        again = client.post("/shell/jobs/1/resume")
        assert (again.status_code, again.json()) == (202, {"id": 2})
        assert jobs.get(2).resumes == 1


def test_who_may_not_write_resumes_nothing(jobs: Jobs, tmp_path: Path) -> None:
    jobs.submit(IndexJob(model="polite"))
    jobs.cancel(1, at_once=True)
    until(lambda: jobs.get(1).state.is_over)
    app = create_app(
        SearcherTwin(), ViewsTwin(), gallery=tmp_path / "gallery", hosts={"testserver"}, pages=(), read_only=True
    )
    with TestClient(app) as client:
        assert client.post("/shell/jobs/1/resume").status_code == 403
    assert len(jobs.list()) == 1


# -- in a browser --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("width", [1440, 390])
def test_a_job_is_shown_stopped_and_gone_on_with(
    jobs: Jobs, tmp_path: Path, contexts: Callable[..., Any], width: int
) -> None:
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=tmp_path / "gallery")
    jobs.submit(IndexJob(model="polite"))
    with running(app) as address:
        here = Visit(contexts(viewport={"width": width, "height": 844}), address).open()
        page, shown = here.page, here.page.locator(".job-view")
        expect(shown).to_have_count(0)
        page.get_by_role("link", name=re.compile("^Show")).click()
        expect(page).to_have_url(re.compile(r"/library\?job=1$"))
        expect(shown).to_contain_text("at work")
        shown.get_by_role("button", name=re.compile("^Stop")).click()
        expect(shown).to_contain_text("stopped", timeout=15_000)
        assert here.overflow() == 0
        shown.get_by_role("button", name=re.compile("^Go on")).click()
        expect(page).to_have_url(re.compile(r"/library\?job=2$"))
        expect(shown).to_contain_text("Job 2")
        shown.get_by_role("button", name="Close").click()
        expect(shown).to_have_count(0)
        expect(page).to_have_url(re.compile("/library$"))
        here.leave()
