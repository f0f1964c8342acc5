"""Jobs over HTTP; who may come in and change something, and who may see places."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from retrieval.core.errors import NoSuchPath
from retrieval.workflows.jobs import KINDS, Jobs, State, request_from
from retrieval.workflows.layout import Layout
from tests.ui.api import V1, problem, twin
from tests.ui.twins import SearcherTwin
from tests.workflows.jobs.support import stubbed, until
from ui.api.job_bodies import AnyJobBody, JobBody

# -- jobs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stubs(gallery: Path) -> Iterator[Jobs]:
    with stubbed(gallery) as made:
        yield made
    shutil.rmtree(Layout(gallery).jobs, ignore_errors=True)


def test_a_job_is_started_watched_stopped_and_resumed(client: TestClient, stubs: Jobs) -> None:
    started = client.post("/index", json={"model": "polite", "paths": ["/a"]})
    assert started.status_code == 202
    assert (started.json()["kind"], started.json()["request"]["paths"]) == ("index", ["/a"])
    until(lambda: client.get("/jobs/1").json()["progress"])
    assert client.get("/jobs/1/events").json()["events"][0]["text"] == "doing polite"
    after = client.get("/jobs/1/events").json()["next"]
    assert client.get("/jobs/1/events", params={"after": after}).json() == {"events": [], "next": after}
    problem(client.post("/jobs/1/resume"), 422, "bad_value")
    assert client.post("/jobs/1/cancel").status_code == 200
    until(lambda: client.get("/jobs/1").json()["state"] == "cancelled")
    again = client.post("/jobs/1/resume").json()
    assert (again["id"], again["resumes"]) == (2, 1)
    client.post("/jobs/2/cancel", json={"at_once": True})
    until(lambda: client.get("/jobs/2").json()["state"] == "cancelled")
    assert [job["id"] for job in client.get("/jobs").json()] == [2, 1]
    assert [job["id"] for job in client.get("/jobs", params={"limit": 1}).json()] == [2]
    for path in ("/jobs/9", "/jobs/9/events"):
        problem(client.get(path), 404, "no_such_path")
    problem(client.post("/jobs/9/cancel"), 404, "no_such_path")


def test_a_job_that_fails_says_why(client: TestClient, stubs: Jobs) -> None:
    client.post("/jobs", json={"kind": "index", "model": "refused"})
    until(lambda: stubs.get(1).state is State.FAILED)
    error = {"kind": "bad_value", "message": "It is wrong.", "hint": "Mend it."}
    assert client.get("/jobs/1").json()["error"] == error


BODIES: tuple[type[JobBody], ...] = get_args(get_args(AnyJobBody)[0])
NEEDED = {"run": "/r", "teacher": "a", "student": "b", "target": "/t", "model": "m"}


def test_every_kind_of_job_can_be_asked_for_with_the_fields_that_it_has() -> None:
    made = {get_args(body.model_fields["kind"].annotation)[0]: body for body in BODIES}
    assert set(made) == set(KINDS)
    for kind, body in made.items():
        own = {field.name for field in fields(KINDS[kind])} - {"out", "resume", "quiet"}
        assert set(body.model_fields) - {"kind"} == own, kind
        values = {
            name: NEEDED[name] for name, field in body.model_fields.items() if field.is_required() and name != "kind"
        }
        assert body.model_validate({"kind": kind, **values}).to_request() == request_from(kind, values)
        full = body.model_validate({"kind": kind, **values}).model_dump(exclude={"kind"})
        defaults = request_from(kind, values).to_dict()
        assert {name: defaults[name] for name in full} == {
            name: tuple(value) if isinstance(value, list) else value for name, value in full.items()
        }


@pytest.mark.parametrize(
    "body",
    [{}, {"kind": "odd"}, {"kind": "train", "recipe": "/tmp/recipe.py"}, {"kind": "train", "out": "/x"},
     {"kind": "backup", "target": "relative"}, {"kind": "index", "paths": ["../x"]}, {"kind": "switch"}],
)  # fmt: skip
def test_what_cannot_be_asked_for(client: TestClient, body: dict[str, Any]) -> None:
    problem(client.post("/jobs", json=body), 422, "bad_value")
    assert client.get("/jobs").json() == []


# -- who may -------------------------------------------------------------------------------------------------------


def test_programs_come_in_with_a_password_and_foreign_pages_do_not(gallery: Path) -> None:
    locked = twin(gallery=gallery, auth=[("anna", "secret"), ("ben", "other")])
    for path in ("/status", "/openapi.json", "/docs", "/jobs", "/images/1"):
        assert locked.get(path).status_code == 401
        assert locked.get(path, auth=("anna", "other")).status_code == 401
        assert locked.get(path, auth=("ben", "other")).status_code == 200
    foreign = ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"})
    for headers in foreign:
        for path in ("/search", "/labels", "/index", "/jobs", "/jobs/1/cancel", "/labels/undo"):
            assert locked.post(path, headers=headers, auth=("anna", "secret"), json={}).status_code == 403
    assert locked.get("/status", auth=("anna", "secret"), headers={"Host": "evil.example"}).status_code == 421
    assert "HTTPBasic" in locked.get("/openapi.json", auth=("anna", "secret")).json()["components"]["securitySchemes"]


def test_bodies_are_bounded() -> None:
    small = twin(max_upload_bytes=100_000)
    assert small.post("/search", content=b"x" * 100_000).status_code == 200
    assert small.post("/search", content=b"x" * 300_000).status_code == 413
    assert small.post("/jobs", content=b"x" * 2_000_000).status_code == 413


def test_who_may_only_look_changes_nothing(gallery: Path, opened: Callable[..., FastAPI], stubs: Jobs) -> None:
    stubs.submit(request_from("index", {"model": "polite"}))
    app = opened(gallery, gallery=gallery, hosts={"testserver"}, read_only=True, pages=())
    with TestClient(app, base_url=f"http://testserver{V1}") as client:
        before = client.get("/labels").json(), client.get("/labels/history").json()
        asked: list[tuple[str, Any]] = [
            ("/labels", {"images": [1], "label": "x"}), ("/labels/undo", {}), ("/index", {}),
            ("/jobs", {"kind": "check"}), ("/jobs/1/cancel", {}), ("/jobs/1/resume", None),
            ("/folders/1/remove", None), ("/spaces/rollback", None),
        ]  # fmt: skip
        written = [path for path, routes in client.get("/openapi.json").json()["paths"].items() if "post" in routes]
        assert {re.sub(r"\{.*?\}", "1", path) for path in written} == {path for path, _ in asked} | {
            "/search",
            "/search/examples",
            "/match",
        }
        for path, body in asked:
            problem(client.post(path, json=body), 403, "read_only")
        assert client.post("http://testserver/shell/jobs/1/cancel").status_code == 403
        assert (client.get("/labels").json(), client.get("/labels/history").json()) == before
        assert [job["state"] for job in client.get("/jobs").json()] == ["running"]
        assert client.get("/images/1/similar").status_code == 200


# -- places --------------------------------------------------------------------------------------------------------


def test_no_path_of_the_server_is_told_to_those_who_may_not_see_it(
    gallery: Path, pictures: Path, opened: Callable[..., FastAPI], stubs: Jobs, client: TestClient
) -> None:
    app = opened(gallery, gallery=gallery, hosts={"testserver"}, hide_paths=True)
    picture = (pictures / "apple" / "apple 2.png").read_bytes()
    with TestClient(app, base_url=f"http://testserver{V1}") as hidden:
        hidden.post("/index", json={"paths": [str(pictures)], "model": "quick"})
        until(lambda: stubs.get(1).state is State.DONE)
        answers = [
            hidden.post("/search", params={"k": 100}, content=picture),
            *(hidden.get(path) for path in ("/images/1", "/images/1/similar", "/status", "/jobs", "/jobs/1",
                                            "/jobs/1/events", "/labels", "/images/99999", "/jobs/77", "/openapi.json",
                                            "/folders", "/failures", "/spaces", "/labels.csv")),
            hidden.post("/jobs", json={"kind": "backup", "target": str(gallery)}),
            hidden.get("http://testserver/"), hidden.get("http://testserver/shell/jobs"),
        ]  # fmt: skip
        for answer in answers:
            for place in (str(pictures), str(pictures.parent), str(gallery)):
                assert place not in answer.text, answer.url
        assert "apple 2.png" in answers[0].json()["neighbours"][0]["paths"]
        problem(hidden.get("/labels.csv"), 422, "bad_value")
        refused = hidden.post("/search", params={"under": [str(pictures)]}, content=picture)
        problem(refused, 422, "bad_value")
    # What is looked for is there where places are shown.
    assert str(pictures) in client.get("/images/1").text
    assert str(pictures) in client.get("/jobs").text


def test_an_error_s_place_is_hidden_too() -> None:
    error = NoSuchPath("The file /home/anna/x.jpg is gone.", "Look in /home/anna.")
    body = twin(SearcherTwin(answer=error), hide_paths=True).post("/search", content=b"x").text
    assert "anna" not in body
    assert "anna" in twin(SearcherTwin(answer=error)).post("/search", content=b"x").text
