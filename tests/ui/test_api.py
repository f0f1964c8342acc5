"""Every route of the API, by hand, over a small real gallery and over an in-memory one."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from retrieval.core.errors import EmptyGallery, ImageError, NoGrid, NoSuchPath, Reason, RetrievalError
from retrieval.workflows.calibrating import TooFewLabels
from retrieval.workflows.jobs import KINDS, Jobs, State, process, request_from
from retrieval.workflows.layout import Layout
from tests.core.test_errors import tree
from tests.ui.tree import Tree
from tests.ui.twins import SearcherTwin
from tests.workflows.jobs import stub
from tests.workflows.jobs.test_queue import until
from ui.addresses import Addresses
from ui.api.app import PREFIX, create_api
from ui.api.job_bodies import AnyJobBody, JobBody
from ui.api.problems import STATUS, status_of
from ui.app import _guard
from ui.ports import Searches
from ui.shell.site import Site
from ui.without_paths import WithoutPaths

V1 = "/api/v1"


@pytest.fixture(scope="module")
def gallery(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that may be changed."""
    folder = tmp_path_factory.mktemp("api") / "gallery"
    shutil.copytree(indexed, folder)
    return folder


@pytest.fixture(scope="module")
def client(gallery: Path, opened: Callable[..., FastAPI]) -> Iterator[TestClient]:
    app = opened(gallery, gallery=gallery, hosts={"testserver"}, pages=())
    with TestClient(app, base_url=f"http://testserver{V1}") as made:
        yield made


def twin(
    searcher: SearcherTwin | None = None,
    gallery: Path | None = None,
    auth: Sequence[tuple[str, str]] = (),
    hide_paths: bool = False,
    max_upload_bytes: int = 1_000_000,
) -> TestClient:
    """The API of an in-memory gallery behind the guards, without the page, which takes a second to build."""
    asked: Searches = searcher or SearcherTwin()
    jobs = None if gallery is None else Jobs(gallery)
    seen = WithoutPaths(asked) if hide_paths else asked
    site = Site("Retrieval", seen, Addresses(), max_upload_bytes, gallery, jobs, True, not hide_paths)
    app = FastAPI()
    app.state.hosts = {"testserver"}
    app.mount(PREFIX, create_api(site, with_auth=bool(auth)))
    _guard(app, auth, max_upload_bytes)
    return TestClient(app, base_url=f"http://testserver{V1}", raise_server_exceptions=False)


def problem(answer: Any, status: int, kind: str) -> dict[str, str]:
    """The body of an error that is what it should be."""
    assert (answer.status_code, answer.json()["kind"]) == (status, kind), answer.text
    body: dict[str, str] = answer.json()
    assert set(body) == {"kind", "message", "hint"}
    assert body["message"]
    return body


# -- searching -----------------------------------------------------------------------------------------------------


def test_a_picture_finds_itself(client: TestClient, pictures: Path) -> None:
    picture = (pictures / "apple" / "apple 2.png").read_bytes()
    for kind in ({"Content-Type": "image/png"}, {"Content-Type": "application/x-www-form-urlencoded"}, {}):
        answer = client.post("/search", params={"k": 3}, content=picture, headers=kind)
        assert answer.status_code == 200, answer.text
        best = answer.json()["neighbours"][0]
        assert best["paths"] == [str(pictures / "apple" / "apple 2.png")]
        assert best["score"] == pytest.approx(1, abs=1e-3)
        assert [one["rank"] for one in answer.json()["neighbours"]] == [1, 2, 3]


def test_filters_hold(client: TestClient, pictures: Path) -> None:
    picture = (pictures / "apple" / "apple 2.png").read_bytes()
    found = client.post("/search", params={"k": 100, "label": ["apple"]}, content=picture).json()
    assert found["neighbours"]
    assert {tuple(one["labels"]) for one in found["neighbours"]} == {("apple",)}
    rest = client.post("/search", params={"k": 100, "not_label": ["apple"]}, content=picture).json()
    assert found["searched"] + rest["searched"] == 21
    under = client.post("/search", params={"k": 100, "under": [str(pictures / "apple")]}, content=picture).json()
    assert all(one["paths"][0].startswith(str(pictures / "apple")) for one in under["neighbours"])
    assert client.post("/search", params={"min_score": 0.9999}, content=picture).json()["neighbours"][0]["rank"] == 1


def test_an_image_of_the_gallery_and_its_neighbours(client: TestClient) -> None:
    image = client.get("/images/1").json()
    assert (image["id"], image["files"][0]["state"]) == (1, "present")
    similar = client.get("/images/1/similar", params={"k": 2}).json()["neighbours"]
    assert len(similar) == 2
    assert 1 not in [one["id"] for one in similar]
    problem(client.get("/images/99999"), 404, "no_such_path")
    problem(client.get("/images/0"), 422, "bad_value")


@pytest.mark.parametrize(("content", "kind"), [(b"", "image.empty"), (b"text, no picture" * 9, "image.not_an_image")])
def test_what_is_no_picture_is_refused(client: TestClient, content: bytes, kind: str) -> None:
    problem(client.post("/search", content=content), 422, kind)


def test_where_two_pictures_match_is_told_of_an_upload_and_of_an_image() -> None:
    searcher = SearcherTwin()
    client = twin(searcher, max_upload_bytes=3_000_000)
    upload = bytes(2_500_000)
    for answer in (
        client.post("/match", params={"image": 7, "pairs": True}, content=upload),
        client.get("/match", params={"image": 7, "query": 9, "pairs": True}),
    ):
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["score"], body["exact"]) == (0.8, True)
        assert body["pairs"] == [[0, 0.1], [0.1, 0], [0.5, 0.1]]
        assert (body["query"]["seen"], body["image"]["values"]) == ([0.1, 0, 0.9, 1], [[0.6], [0.2]])
    assert [(query.data, query.image_id, image) for query, image in searcher.explained] == [
        (upload, None, 7),
        (None, 9, 7),
    ]
    assert client.get("/match", params={"image": 7, "query": 9}).json()["pairs"] is None
    problem(client.get("/match", params={"image": 7}), 422, "bad_value")
    problem(client.get("/match", params={"image": 0, "query": 9}), 422, "bad_value")
    searcher.explanation = NoGrid("It does not keep where.")
    problem(client.get("/match", params={"image": 7, "query": 9}), 422, "no_grid")
    searcher.explanation = NoSuchPath("/photos/secret is gone.")
    assert (
        "/photos"
        not in problem(twin(searcher, hide_paths=True).get("/match?image=7&query=9"), 404, "no_such_path")["message"]
    )


def test_labels_are_asked_for_as_they_are_shown() -> None:
    searcher = SearcherTwin()
    assert twin(searcher).post("/search", params={"label": "caf\\xe9"}, content=b"x").status_code == 200
    filters = searcher.asked[0][2]
    assert filters is not None
    assert filters.labels == ("caf\udce9",)


@pytest.mark.parametrize(
    "options",
    [{"k": 0}, {"k": 1001}, {"after": "2023-5"}, {"before": "2023-02-31"}, {"min_side": 0}, {"start": -1},
     {"under": "photos"}, {"min_score": 2}, {"odd": 1}, {"min_score": "nan"}],
)  # fmt: skip
def test_options_have_ranges(options: dict[str, Any]) -> None:
    problem(twin().post("/search", params=options, content=b"x"), 422, "bad_value")


# -- errors --------------------------------------------------------------------------------------------------------


def test_every_error_has_a_status() -> None:
    kinds = {kind("").kind for kind in tree(RetrievalError) if kind not in (RetrievalError, ImageError)}
    kinds.add(TooFewLabels("").kind)
    assert {kind for kind in STATUS if not kind.startswith("image.")} == kinds
    assert status_of(ImageError(Reason.CORRUPT, "")) == 422
    assert status_of(ImageError(Reason.TOO_LARGE, "")) == 413
    assert status_of(RetrievalError("")) == 500


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (EmptyGallery("Nothing in /g.", "Index."), 409, "empty_gallery"),
        (ZeroDivisionError("secret"), 500, "unexpected"),
    ],
)
def test_an_error_says_what_to_do(error: Exception, status: int, kind: str) -> None:
    body = problem(twin(SearcherTwin(answer=error)).post("/search", content=b"x"), status, kind)
    assert body["hint"]
    assert "secret" not in body["message"]


def test_what_the_protocol_refuses_is_told_alike(client: TestClient) -> None:
    problem(client.get("/nothing"), 404, "http")
    problem(client.delete("/labels"), 405, "http")
    problem(client.post("/labels", content=b"{", headers={"Content-Type": "application/json"}), 422, "bad_value")


# -- the gallery and its labels ------------------------------------------------------------------------------------


def test_status(client: TestClient) -> None:
    found = client.get("/status").json()
    assert (found["findable"], found["trained"], found["agree"], found["problems"]) == (21, False, True, [])


def test_labels_are_given_counted_taken_away_and_taken_back(client: TestClient) -> None:
    before = client.get("/labels").json()
    done = client.post("/labels", json={"images": [1, 2], "label": "new one"}).json()
    assert (done["added"], done["removed"]) == (2, 0)
    assert {"label": "new one", "images": 2, "sources": {"person": 2}} in client.get("/labels").json()
    assert "new one" in client.get("/images/1").json()["labels"]
    removed = client.post("/labels", json={"images": [1], "label": "new one", "remove": True}).json()
    assert removed["removed"] == 1
    only = client.post("/labels", json={"images": [2], "label": "new one", "only": True}).json()
    assert client.get("/images/2").json()["labels"] == ["new one"]
    assert client.get("/labels/history").json()[0]["id"] == only["operation"]
    for operation in (only["operation"], removed["operation"]):
        assert client.post("/labels/undo", json={"operation": operation}).status_code == 200
    assert client.post("/labels/undo", json={"operation": done["operation"]}).json()["removed"] == 2
    assert client.get("/labels").json() == before
    problem(client.post("/labels/undo", json={"operation": 10_000}), 422, "bad_value")
    problem(client.post("/labels", json={"images": [99_999], "label": "x"}), 404, "no_such_path")
    problem(client.post("/labels", json={"images": [1], "label": "  "}), 422, "bad_value")
    problem(client.post("/labels", json={"images": [1], "label": "x", "odd": 1}), 422, "bad_value")


def test_a_number_is_an_image_whatever_files_are_called(
    client: TestClient, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.workflows import labels

    monkeypatch.setattr(labels, "image_ids", lambda _, paths: dict.fromkeys(paths, 2))
    client.post("/labels", json={"images": [1], "label": "mine"})
    assert "mine" in client.get("/images/1").json()["labels"]
    assert "mine" not in client.get("/images/2").json()["labels"]


# -- jobs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def stubs(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Jobs whose processes behave as they are told."""
    monkeypatch.setattr(process, "_MODULE", stub.MODULE)
    made = Jobs(gallery)
    yield made
    for job in made.list():
        if not job.state.is_over:
            made.cancel(job.id, at_once=True)
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


# -- the description -----------------------------------------------------------------------------------------------


def test_the_description_is_whole_and_shown_without_anybody_else_s_server(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    assert schema["servers"] == [{"url": V1}]
    for path, routes in schema["paths"].items():
        for route in routes.values():
            assert route["summary"], path
            assert {"404", "422", "500"} <= set(route["responses"]), path
    document = client.get("/docs").text
    assert "<script" not in document
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", document)
    text = Tree(document).text
    for path in schema["paths"]:
        assert V1 + path in text
    for name in schema["components"]["schemas"]:
        assert f'id="{name}"' in document
    named = set(re.findall(r'href="#(\w+)"', document))
    assert named <= set(schema["components"]["schemas"])
    assert "≥ 1, ≤ 1000" in text.replace("default 10, ", "") or "≤ 1000" in text


def test_without_a_gallery_s_folder_only_searching_is_offered() -> None:
    paths = twin().get("/openapi.json").json()["paths"]
    assert set(paths) == {"/search", "/search/examples", "/match", "/images/{image_id}", "/images/{image_id}/similar"}
