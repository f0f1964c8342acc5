"""Requests: plain values that survive JSON, with paths that mean the same everywhere."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue
from retrieval.workflows.jobs import work
from retrieval.workflows.jobs.requests import KINDS, IndexJob, RunRequest, SwitchJob, TrainJob, request_from
from retrieval.workflows.jobs.requests import with_absolute_paths as absolute

REQUIRED = {"run": "/r", "teacher": "/t", "student": "s", "target": "/b.tar", "model": "m"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_survives_json_and_has_its_work(kind: str) -> None:
    names = [one.name for one in fields(KINDS[kind])]
    request = request_from(kind, {name: value for name, value in REQUIRED.items() if name in names})
    assert type(request) is KINDS[kind]
    assert request.kind == kind
    assert request_from(kind, json.loads(json.dumps(request.to_dict()))) == request
    assert KINDS[kind] in work._WORK
    assert set(request.PATHS) <= set(names)


def test_what_cannot_be_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadValue, match="Did you mean index"):
        request_from("indx", {})
    with pytest.raises(BadValue, match="Did you mean recipe"):
        request_from("train", {"recipes": "quick-head"})
    for kind, values, word in (
        ("train", {"recipe": 3}, "recipe"),
        ("index", {"paths": "abc"}, "a list"),
        ("index", {"paths": ["a", 3]}, "paths"),
        ("index", {"workers": "2"}, "workers"),
        ("index", {"workers": True}, "workers"),
        ("switch", {}, "needs 'model'"),
        ("train", {"resume": "yes"}, "resume"),
        ("train", {"settings": [1]}, "settings"),
        ("temperature", {"values": ["a"]}, "values"),
    ):
        with pytest.raises(BadValue) as said:
            request_from(kind, values)  # type: ignore[arg-type]
        assert word in str(said.value)
    assert request_from("temperature", {"values": [1, 0.5]}).to_dict()["values"] == (1.0, 0.5)
    odd = request_from("index", {"paths": ["/caf\udce9"]})
    assert json.loads(json.dumps(odd.to_dict()))["paths"] == ["/caf\udce9"]


def test_paths_do_not_depend_on_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    assert absolute(IndexJob(paths=("a", "/b"))) == IndexJob(paths=(str(tmp_path / "a"), "/b"))
    # The word for the gallery is no path, and a name that is no file is a name.
    trained = absolute(TrainJob(dataset="gallery", model="resnet18"))
    assert trained == TrainJob(dataset="gallery", model="resnet18")
    assert absolute(TrainJob(dataset="d", model="run")).model == str(tmp_path / "run")
    assert absolute(SwitchJob(model="run")).model == str(tmp_path / "run")
    assert absolute(SwitchJob(model="0123abcd")).model == "0123abcd"


def test_a_run_is_continued_in_its_own_folder() -> None:
    first = TrainJob()
    again = first.to_continue(12, "/g/runs")
    assert isinstance(again, RunRequest)
    assert (again.out, again.resume) == (first.folder(12, "/g/runs"), True)
    # However often.
    assert again.to_continue(13, "/g/runs") == again
    assert IndexJob(paths=("/a",)).to_continue(3, "/g/runs") == IndexJob(paths=("/a",))


@pytest.mark.parametrize("recipe", ["evil.py", "/tmp/evil.toml", "..\\x"])
def test_a_job_runs_no_recipe_from_a_file(recipe: str) -> None:
    with pytest.raises(BadValue, match="by its name"):
        work._named(recipe)


def test_asking_for_jobs_loads_no_torch() -> None:
    script = (
        "import sys, retrieval.workflows.jobs.worker; sys.exit('torch' in sys.modules or 'sqlalchemy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
