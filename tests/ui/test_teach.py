"""The teaching page's pieces: what is said of every state, and that nothing in them is a stranger's markup."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.jobs import Failure, Job, JobProgress, State
from retrieval.workflows.lesson_cost import LessonCost
from retrieval.workflows.lessons import ClassGain, Gain, Lesson, QueryRow, Range, Shown
from retrieval.workflows.model_cards import SpaceCard
from retrieval.workflows.readiness import Readiness
from retrieval.workflows.spaces import SpaceInfo
from retrieval.workflows.switch_estimate import SwitchEstimate
from retrieval.workflows.switching import SwitchReport
from tests.ui.test_words import MARK, pseudo, strangers
from tests.ui.tree import Tree
from tests.ui.twins import SUMMARY, SearcherTwin, ViewsTwin
from ui.addresses import Addresses
from ui.app import create_app
from ui.shell.site import Site
from ui.teach import choose, models, proof, watch
from ui.teach.answers import Teaching, Visit
from ui.teach.parts import duration, of_hundred, signed
from ui.words import CHINESE, ENGLISH, Words

ADDRESSES = Addresses("1")
NASTY = "<script>alert(1)</script>{{x}}"
READY = Readiness(64, 60, 8, 1, 30, 10, 20, 4, 4)
COST = LessonCost("quick-head", "head", 30, 40, 12.0, 400.0, 500_000_000, "cpu")
GAIN = Gain(Range(0.51, 0.41, 0.61), Range(0.67, 0.58, 0.76), Range(0.16, 0.04, 0.28))
FLAT = Gain(Range(0.51, 0.41, 0.61), Range(0.52, 0.42, 0.62), Range(0.01, -0.05, 0.07))
ROW = QueryRow(
    Shown(3, "12"),
    (Shown(4, "12"), Shown(None, "13", False)),
    (Shown(4, "12"), Shown(5, "12")),
)
LESSON = Lesson(
    recipe="quick-head", start="a" * 64, result="b" * 64, queries=20, recall=GAIN, map_at_r=GAIN, verdict="better",
    perfect=False, leaks=0, refusals=(), classes=(ClassGain("12", 4, 0.2, 0.8), ClassGain("13", 2, 0.5, 0.25)),
    better=(ROW,), worse=(ROW,), live=False, outdated=False, known=False, report=True,
)  # fmt: skip
REFUSED = replace(LESSON, recall=FLAT, verdict="open", refusals=("no",), leaks=2, outdated=True)
SPACE = SpaceInfo("c" * 64, "7", True, 384, True, False, 60, 64, False, 1_000_000, "", ())
CARD = SpaceCard(SPACE, "9", "2026-01-02T03:04:05+00:00", None, None)
OTHER = SpaceCard(
    replace(SPACE, fingerprint="d" * 64, live=False, trained=False, forced=("x",)), "9", "", before=0.5, after=0.6
)
ESTIMATE = SwitchEstimate(64, 60, 2, 90.0, 2_000_000, 500)
REPORT = SwitchReport("b" * 64, "7", "c" * 64, "", False, 0, 0, 64, (), (), False, False, ESTIMATE, None, 0, 0.1)
JOB = Job(
    7, "train", {"dataset": "gallery"}, State.RUNNING,
    JobProgress("Training", 5, 40, epoch=2, epochs=8, seconds_left=70),
    started=1.0, goes_on=True,
)  # fmt: skip
EVENTS: Sequence[dict[str, Any]] = (
    {"event": "begin", "part": "The projection, on frozen features"},
    {"event": "say", "text": "Alarm in step 9: complete collapse. All embeddings"},
    *({"event": "validated", "epoch": n, "value": 0.5 + n / 10} for n in range(3)),
    *({"event": "progress", "step": n, "loss": 2.0 - n / 10} for n in range(5)),
)


def pieces(words: Words) -> dict[str, str]:
    costs: dict[str, LessonCost | None] = {choose.QUICK: COST}
    switch = models.render_switch
    return {
        "ready": choose.render_ready(READY, words),
        "lacks": "".join(choose.render_ready(replace(READY, lack=one), words) for one in ("labels", "pairs", "more")),
        "choice": choose.render_choice(choose.QUICK, costs, words),
        "no cost": choose.render_choice(choose.DEEP, {choose.DEEP: None}, words),
        "nothing": choose.render_nothing(words),
        "no job": watch.render_watch(None, words),
        "states": "".join(watch.render_watch(replace(JOB, state=state), words) for state in State),
        "kinds": "".join(watch.render_watch(replace(JOB, kind=kind), words) for kind in ("switch", "calibrate")),
        "stopping": watch.render_watch(replace(JOB, cancelling=True), words),
        "failed": watch.render_watch(replace(JOB, state=State.FAILED, error=Failure("disk_full", "1", "2")), words),
        "live": watch.render_live(JOB, EVENTS, words),
        "early": watch.render_live(JOB, [], words),
        "log": watch.render_log([], words),
        "no proof": proof.render_no_proof(words),
        "proof": proof.render_proof(LESSON, 7, ADDRESSES, words),
        "refused proof": proof.render_proof(replace(REFUSED, classes=()), 7, ADDRESSES, words),
        "proven": switch(LESSON, "", None, True, False, words),
        "refused": switch(REFUSED, "", None, False, False, words),
        "perfect": switch(replace(REFUSED, perfect=True), "", None, False, False, words),
        "looking": switch(LESSON, "switch", None, False, False, words),
        "switch": switch(LESSON, "switch", REPORT, False, False, words),
        "force": switch(REFUSED, "force", REPORT, False, False, words),
        "back": switch(replace(LESSON, live=True), "back", None, True, False, words),
        "switching": switch(LESSON, "", None, False, True, words),
        "models": models.render_models([CARD, OTHER], f"drop:{'d' * 64}", False, words),
        "kept": models.render_models([CARD, OTHER], "", False, words),
    }


@pytest.fixture(scope="module")
def pseudo_words() -> Words:
    return pseudo()


@pytest.mark.parametrize("name", pieces(ENGLISH))
def test_nothing_is_said_that_is_not_in_the_tables(name: str, pseudo_words: Words) -> None:
    html = pieces(pseudo_words)[name]
    assert strangers(html) == []
    assert MARK in html
    assert strangers(pieces(ENGLISH)[name])


def test_what_is_missing_leads_to_the_labels_and_offers_no_lesson() -> None:
    for lack in ("labels", "pairs", "more"):
        tree = Tree(choose.render_ready(replace(READY, lack=lack), ENGLISH))
        assert ("a", "./labels") in [(tag, attributes.get("href")) for tag, attributes in tree.tags]
        assert "held out" not in tree.text
    assert "20 photos are held out" in Tree(choose.render_ready(READY, ENGLISH)).text


def test_every_state_offers_what_can_be_done_in_it() -> None:
    def offered(job: Job) -> list[str]:
        return re.findall(r'data-do="([a-z-]+)"', watch.render_watch(job, ENGLISH))

    expected = {
        State.QUEUED: ["stop"], State.RUNNING: ["stop"], State.DONE: [], State.FAILED: ["resume"],
        State.CANCELLED: ["resume"], State.LOST: ["resume"], State.BROKEN: [],
    }  # fmt: skip
    assert {state: offered(replace(JOB, state=state)) for state in State} == expected
    assert offered(replace(JOB, cancelling=True)) == []
    assert "killed" in watch.render_watch(replace(JOB, state=State.LOST), ENGLISH)


def test_a_switch_that_ended_badly_is_not_told_as_a_lesson() -> None:
    said = ENGLISH.teach
    for state in (State.CANCELLED, State.LOST):
        html = watch.render_watch(replace(JOB, kind="switch", state=state, goes_on=False), ENGLISH)
        assert said.watch_title not in html
        assert "was learned" not in html
        assert said.switch_job in html
        assert said.again in html
        assert said.resume not in html
    lesson = watch.render_watch(replace(JOB, state=State.CANCELLED, goes_on=True), ENGLISH)
    assert said.watch_title in lesson
    assert said.resume in lesson
    assert said.again not in lesson


def test_the_curves_are_those_of_the_newest_part_and_end_where_the_values_end() -> None:
    old = [{"event": "begin", "part": "x"}, *({"event": "validated", "epoch": n, "value": 9.0} for n in range(4))]
    html = watch.render_live(JOB, [*old, *EVENTS], ENGLISH)
    text = Tree(html).text
    assert "Attempt 2" in text
    assert "0.5 → 0.7" in text
    assert "2 → 1.6" in text
    assert "9" not in text
    first, _ = re.findall(r'points="([^"]+)"', html)
    heights = [float(point.split(",")[1]) for point in first.split()]
    # Up is better, and SVG counts downwards.
    assert heights == sorted(heights, reverse=True)
    assert ENGLISH.teach.alarms["complete collapse"] in text
    assert "round 2 of 8" in text


def test_every_alarm_of_the_training_is_told() -> None:
    from retrieval.training.alarms import ALARMS

    for words in (ENGLISH, CHINESE):
        assert set(words.teach.alarms) == {alarm.name for alarm in ALARMS}


def test_figures_are_of_a_hundred_and_right_ones_are_framed() -> None:
    tree = Tree(proof.render_proof(LESSON, 7, ADDRESSES, ENGLISH))
    assert "first for 67 of 100 photos; before, for 51" in tree.text
    assert "between +4 and +28" in tree.text
    assert len(tree.with_class("right")) == 6
    assert len(tree.with_class("wrong")) == 2
    assert len(tree.with_class("teach-gone")) == 2
    assert "./teach/report/7" in [attributes.get("href") for tag, attributes in tree.tags if tag == "a"]


def test_the_gate_says_what_is_not_proven_and_force_takes_two_steps() -> None:
    html = models.render_switch(REFUSED, "", None, False, False, ENGLISH)
    assert "between −5 and +7" in html
    assert "2 groups of nearly equal photos" in html
    assert re.findall(r'data-do="([a-z-]+)"', html) == ["ask-force"]
    asked = models.render_switch(REFUSED, "force", REPORT, False, False, ENGLISH)
    assert re.findall(r'data-do="([a-z-]+)"', asked) == ["leave", "force-now"]
    proven = models.render_switch(LESSON, "switch", REPORT, False, False, ENGLISH)
    assert re.findall(r'data-do="([a-z-]+)"', proven) == ["switch-now", "leave"]
    for text in ("60 photos are read once", "2 min", "2.0 MB", "2 photos cannot be reached"):
        assert text in proven


def test_a_model_that_brings_no_proof_is_asked_about_with_what_the_labels_say() -> None:
    elsewhere = replace(REPORT, fingerprint="d" * 64, to_measure=1200)
    asked = models.render_switch(LESSON, "switch", elsewhere, False, False, ENGLISH)
    assert "First 1,200 labelled photos are searched for with both" in asked
    # What was proven of the lesson says nothing of it.
    assert ENGLISH.teach.gate_yes not in asked
    gains = {
        "recall_at_1": {"mean": 0.0, "low": -0.05, "high": 0.07},
        "map_at_r": {"mean": 0.1, "low": 0.05, "high": 0.2},
    }
    refused = replace(elsewhere, to_measure=0, proof={"images": 1200, "comparison": gains}, refusals=("no",))
    forced = models.render_switch(LESSON, "force", refused, False, False, ENGLISH)
    assert "1,200 labelled photos were searched for with both" in forced
    assert "between −5 and +7" in forced
    assert forced.count("<li>") == 1
    gains["map_at_r"] = {"mean": -0.14, "low": -0.21, "high": -0.08}
    worse = models.render_switch(LESSON, "force", refused, False, False, ENGLISH)
    assert "they rank lower, −14 of 100; it lies between −21 and −8" in worse
    assert "chance" not in worse
    assert "labelled photo" not in models.render_switch(LESSON, "force", REPORT, False, False, ENGLISH)


def test_where_a_model_is_from_is_told_without_checksums() -> None:
    origin = f"trained with quick-head from net {'a1' * 6} (file net.safetensors sha256 {'0f' * 32})"
    told = Tree(models.render_models([replace(CARD, origin=origin)], "", False, ENGLISH)).text
    assert "trained with quick-head from net (file net.safetensors)" in told


def test_what_is_from_outside_is_escaped() -> None:
    image = Shown(1, NASTY)
    row = QueryRow(image, (image,), (image,))
    lesson = replace(LESSON, classes=(ClassGain(NASTY, 1, 0.1, 0.9),), better=(row,))
    card = SpaceCard(replace(SPACE, model=NASTY), NASTY, NASTY, None, None)
    failed = replace(JOB, state=State.FAILED, error=Failure(NASTY, NASTY, NASTY))
    for html in (
        proof.render_proof(lesson, 7, ADDRESSES, ENGLISH),
        models.render_models([card], "", False, ENGLISH),
        watch.render_log([{"event": "say", "text": NASTY}], ENGLISH),
        watch.render_watch(failed, ENGLISH),
    ):
        assert "<script" not in html
        assert "{{" not in html
        Tree(html)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (17.4, "17 s"), (44, "40 s"), (90, "2 min"), (3000, "50 min"), (9000, "2.5 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds, ENGLISH) == text


@pytest.mark.parametrize(("share", "text"), [(0, "0"), (0.004, "0.4"), (0.67, "67"), (0.997, "99.7"), (1, "100")])
def test_of_a_hundred(share: float, text: str) -> None:
    assert of_hundred(share) == text


def test_signs() -> None:
    assert [signed(value) for value in (0.16, -0.052, 0.004, 0.0)] == ["+16", "−5", "+0.4", "+0"]


# -- asking the workflows -------------------------------------------------------------------------------------------


class JobsTwin:
    """Has a training and an index job; keeps what it was asked for."""

    def __init__(self) -> None:
        self.jobs = [replace(JOB, state=State.LOST), replace(JOB, id=3, kind="index", state=State.DONE)]
        self.asked: list[Any] = []

    def list(self) -> Sequence[Job]:
        return self.jobs

    def get(self, number: int) -> Job:
        from retrieval.core.errors import NoSuchPath

        found = next((job for job in self.jobs if job.id == number), None)
        if found is None:
            raise NoSuchPath(f"There is no job {number}.")
        return found

    def events(self, number: int) -> tuple[Sequence[dict[str, Any]], int]:
        return [], 0

    def submit(self, request: Any) -> None:
        self.asked.append(request)

    def resume(self, number: int) -> None:
        self.asked.append(number)

    def cancel(self, number: int) -> None:
        self.asked.append(-number)


@pytest.fixture
def teaching(indexed: Path) -> tuple[Teaching, JobsTwin]:
    jobs = JobsTwin()
    site = Site("0", SearcherTwin(state=SUMMARY), ADDRESSES, 1000, indexed, jobs)  # type: ignore[arg-type]
    return Teaching(site, ENGLISH), jobs


def test_what_a_browser_sends_names_no_path_and_no_other_job(teaching: tuple[Teaching, JobsTwin]) -> None:
    answers, jobs = teaching
    for do, of in (
        ("switch-now", "/etc"), ("force-now", "../x"), ("force-now", "b" * 64), ("drop-now", ""), ("stop", "3"),
        ("stop", "x"), ("resume", "99"), ("resume", "-7"), ("nothing", "7"), ("__init__", ""), ("stop", "²"),
    ):  # fmt: skip
        visit = Visit()
        answers.act(visit, do, of)
        assert jobs.asked == []
        assert bool(visit.notice) == (do not in ("nothing", "__init__"))
    answers.act(Visit(), "resume", "7")
    answers.act(Visit(), "stop", "7")
    assert jobs.asked == [7, -7]


def test_a_lesson_is_asked_for_as_it_was_chosen(teaching: tuple[Teaching, JobsTwin]) -> None:
    answers, jobs = teaching
    answers.start(Visit())
    answers.start(Visit(recipe=choose.DEEP, exact="circle", epochs=3))
    answers.start(Visit(recipe=choose.DEEP, exact="/etc/passwd"))
    assert [(one.recipe, one.settings) for one in jobs.asked] == [
        ("quick-head", {}), ("circle", {"epochs": 3}), ("triplet-center", {}),
    ]  # fmt: skip


def test_a_double_click_switches_once(teaching: tuple[Teaching, JobsTwin], indexed: Path) -> None:
    answers, jobs = teaching
    with Gallery(indexed) as gallery:
        live = gallery.live_space().fingerprint
    answers.act(Visit(), "switch-now", live)
    assert [one.model for one in jobs.asked] == [live]
    jobs.jobs.append(replace(JOB, id=8, kind="switch", state=State.QUEUED, request={"model": live}))
    answers.act(Visit(), "force-now", live)
    assert len(jobs.asked) == 1
    jobs.jobs[-1] = replace(jobs.jobs[-1], state=State.DONE)
    answers.act(Visit(), "force-now", live)
    assert len(jobs.asked) == 2


def test_pieces_of_a_real_gallery(teaching: tuple[Teaching, JobsTwin]) -> None:
    answers, _ = teaching
    found = answers.pieces(Visit())
    assert ENGLISH.teach.held_out_why in Tree(found["ready"]).text
    assert "starter" in found["models"]
    assert 'data-do="resume"' in found["watch"]


def test_without_a_gallery_it_says_what_to_do(tmp_path: Path) -> None:
    site = Site("0", SearcherTwin(), ADDRESSES, 1000, tmp_path / "none", JobsTwin())  # type: ignore[arg-type]
    found = Teaching(site, ENGLISH).pieces(Visit())
    assert ENGLISH.teach.nothing_indexed in found["notice"]
    assert 'href="./library"' in found["notice"]
    assert found["models"] == ""


def test_a_report_is_shown_in_a_sandbox_by_its_job_only(tmp_path: Path) -> None:
    import json

    gallery = tmp_path / "gallery"
    for number, kind in ((1, "train"), (2, "check")):
        folder = gallery / ".jobs" / str(number)
        folder.mkdir(parents=True)
        (folder / "request.json").write_text(json.dumps({"kind": kind, "request": {}, "created": 1.0}))
        (folder / "state.json").write_text(json.dumps({"state": "done"}))
    run = gallery / "runs" / "1-train"
    run.mkdir(parents=True)
    (run / "report.html").write_text("<p>fine</p>")
    app = create_app(SearcherTwin(), ViewsTwin(), gallery=gallery)
    with TestClient(app, base_url="http://localhost") as client:
        found = client.get("/teach/report/1")
        assert (found.status_code, found.text) == (200, "<p>fine</p>")
        policy = found.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "script" not in policy
        assert found.headers["x-content-type-options"] == "nosniff"
        for other in ("2", "3", "0", "99999999999999999999"):
            assert client.get(f"/teach/report/{other}").status_code == 404
        assert "sandbox" not in client.get("/healthz").headers["content-security-policy"]
