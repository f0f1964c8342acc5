"""What jobs do: the real workflows, called with what a request says, and in a process of their own."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from retrieval.core.errors import BadValue, EmptyGallery, Interrupted
from retrieval.workflows.jobs import Jobs, State, request_from
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.jobs.reporter import Reporter
from retrieval.workflows.jobs.requests import IndexJob, JobRequest, SwitchJob, TrainJob
from retrieval.workflows.jobs.work import Place, do
from retrieval.workflows.label_doubts import kept_check
from retrieval.workflows.labelling import Shelf, answer, tile_page
from retrieval.workflows.layout import Layout
from retrieval.workflows.searching import Searcher
from retrieval.workflows.spaces import spaces
from tests.conftest import draw


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Three classes of eight pictures."""
    for number, label in enumerate(("apple", "pear", "plum")):
        for n in range(8):
            draw(tmp_path / "labelled" / label / f"{n}.jpg", 10 * number + n)
    return tmp_path / "labelled"


@pytest.fixture
def work(indexed: tuple[Path, Path], tmp_path: Path) -> Callable[..., Any]:
    """Does a job in this process, on a gallery of twelve pictures; gives its report and what it said."""
    (tmp_path / "5").mkdir()
    folder = JobFolder(tmp_path / "5")

    def run(request: JobRequest) -> tuple[dict[str, Any], list[str]]:
        reporter = Reporter(folder)
        result = do(request, Place(indexed[0], folder, reporter))
        reporter.close()
        json.dumps(result, default=str)
        return result, [event["event"] for event in folder.events_since(0)[0]]

    return run


def test_index(work: Callable[..., Any], tmp_path: Path) -> None:
    draw(tmp_path / "more" / "one.jpg", 99)
    result, said = work(IndexJob(paths=(str(tmp_path / "more"),), workers=1))
    assert (result["found"], result["embedded"]) == (1, 1)
    assert said == ["estimated"]
    progress = json.loads((tmp_path / "5" / "progress.json").read_text())
    assert (progress["part"], progress["done"], progress["total"]) == ("Indexing", 1, 1)


@pytest.mark.parametrize(
    ("kind", "values", "key"),
    [("retry", {}, "found"), ("check", {}, "problems"), ("check", {"repair": True}, "repaired")],
)
def test_upkeep(work: Callable[..., Any], kind: str, values: dict[str, Any], key: str) -> None:
    assert key in work(request_from(kind, values))[0]


def test_a_check_of_labels_leaves_its_doubts(
    work: Callable[..., Any], indexed: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(BadValue, match="labelled images"):
        work(request_from("label-check", {}))
    for n in range(8):
        draw(tmp_path / "more" / f"{n}.jpg", 90 + n)
    work(IndexJob(paths=(str(tmp_path / "more"),), workers=1))
    ids = [tile.id for tile in tile_page(indexed[0], Shelf("all")).tiles]
    answer(indexed[0], {image_id: f"kind {n % 2}" for n, image_id in enumerate(ids)})
    result, _ = work(request_from("label-check", {}))
    kept = kept_check(JobFolder(tmp_path / "5").label_check)
    assert kept is not None
    assert kept.summary() == result
    assert (result["labelled"], result["outliers"]) == (20, 20)


def test_backup(work: Callable[..., Any], tmp_path: Path) -> None:
    target = tmp_path / "gallery.tar"
    assert work(request_from("backup", {"target": str(target)}))[0]["bytes"] > 0
    assert target.exists()


@pytest.mark.slow
def test_train_leaves_a_run_in_the_gallery_and_draws_curves(
    work: Callable[..., Any], indexed: tuple[Path, Path], labelled: Path, tiny_model: Path
) -> None:
    asked = TrainJob(dataset=str(labelled), model=str(tiny_model), settings={"epochs": 40}, split="grouped", workers=1)
    result, said = work(asked)
    run = Layout(indexed[0]).runs / "5-train"
    assert result["out"] == str(run)
    assert (run / "encoder" / "card.json").exists()
    assert {"begin", "progress"} <= set(said)
    switched, _ = work(SwitchJob(model=str(run), force=True, workers=1))
    assert switched["switched"]
    assert len(spaces(indexed[0])) == 2


def test_a_diagnosis_of_the_gallery_leaves_its_page(work: Callable[..., Any], tmp_path: Path) -> None:
    work(request_from("diagnose", {"workers": 1}))
    assert "<html" in (tmp_path / "5" / "page.html").read_text("utf-8")


def test_a_study_of_an_empty_gallery_says_so(tmp_path: Path) -> None:
    (tmp_path / "5").mkdir()
    folder = JobFolder(tmp_path / "5")
    for kind in ("probe", "diagnose"):
        with pytest.raises(EmptyGallery):
            do(request_from(kind, {}), Place(tmp_path / "none", folder, Reporter(folder)))


def test_what_is_asked_to_stop_stops(
    indexed: tuple[Path, Path], labelled: Path, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "5").mkdir()
    folder = JobFolder(tmp_path / "5")
    folder.ask_to_cancel()
    asked = TrainJob(dataset=str(labelled), model=str(tiny_model), settings={"epochs": 3}, split="grouped", workers=1)
    reporter = Reporter(folder)
    place = Place(indexed[0], folder, reporter)
    with pytest.raises(Interrupted):
        do(asked, place)
    assert do(IndexJob(paths=(str(labelled),), workers=1), place)["interrupted"]
    reporter.close()


# -- in processes of their own --------------------------------------------------------------------------------------


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_new_gallery_is_indexed_while_another_job_waits_and_searches_find_it(
    photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from retrieval.workflows.gallery import Gallery

    jobs = Jobs(tmp_path / "new")
    jobs.submit(IndexJob(paths=(str(photos),), model=str(tiny_model), workers=1))
    draw(photos / "apple" / "late.jpg", 77)
    jobs.submit(IndexJob(workers=1))
    until(lambda: jobs.get(2).state.is_over)
    first, second = jobs.get(1), jobs.get(2)
    assert (first.state, second.state) == (State.DONE, State.DONE), (first.error, second.error)
    assert first.result is not None
    assert second.result is not None
    assert first.result["found"] + second.result["new"] >= 13
    with Gallery(tmp_path / "new") as gallery, Searcher(gallery) as searcher:
        assert searcher.summary().images == 13


@pytest.mark.slow
def test_an_index_job_waits_for_whoever_writes(indexed: tuple[Path, Path]) -> None:
    jobs = Jobs(indexed[0])
    with Layout(indexed[0]).writing():
        jobs.submit(IndexJob(workers=1))
        until(lambda: (found := jobs.get(1).progress) and found.part.startswith("Waiting"))
    until(lambda: jobs.get(1).state.is_over)
    assert jobs.get(1).state is State.DONE


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_a_training_that_was_stopped_or_killed_goes_on(
    indexed: tuple[Path, Path], labelled: Path, tiny_model: Path, how: str
) -> None:
    jobs = Jobs(indexed[0])
    many = {"epochs": 4000}
    asked = TrainJob(dataset=str(labelled), model=str(tiny_model), settings=many, split="grouped", workers=1)
    jobs.submit(asked)
    until(lambda: any(event["event"] == "progress" for event in jobs.events(1)[0]) or jobs.get(1).state.is_over)
    if how == "cancel":
        jobs.cancel(1)
    else:
        os.kill(int(jobs.folder(1).state()["pid"]), signal.SIGKILL)
    until(lambda: jobs.get(1).state.is_over)
    assert jobs.get(1).state is (State.CANCELLED if how == "cancel" else State.LOST)
    again = jobs.resume(1)
    assert again.request["resume"] is True
    assert again.request["out"] == str(Layout(indexed[0]).runs / "1-train")
    until(lambda: any(event["event"] == "progress" for event in jobs.events(2)[0]) or jobs.get(2).state.is_over)
    assert jobs.get(2).state is State.RUNNING, jobs.get(2).error
    jobs.cancel(2, at_once=True)
