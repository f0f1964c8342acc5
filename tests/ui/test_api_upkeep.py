"""The journeys of the pages over HTTP: bounds and pages of a search, several examples, folders, failures, spaces."""

import csv
import io
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from retrieval.core.types import Filters, Region
from retrieval.workflows import spaces
from retrieval.workflows.duplicates import Copy, Duplicates, keep_groups
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.jobs import Jobs, State, request_from
from retrieval.workflows.jobs.folder import JobFolder
from retrieval.workflows.label_check import Doubt, LabelCheck, Outlier
from retrieval.workflows.label_doubts import confirm, keep_check
from retrieval.workflows.queries import Example, Query
from tests.ui.api import V1, problem, twin
from tests.ui.drawing import picture
from tests.ui.finished import finished
from tests.ui.twins import SearcherTwin
from tests.workflows.jobs.support import stubbed, until


@pytest.fixture(scope="module")
def client(indexed: Path, opened: Callable[..., FastAPI]) -> Iterator[TestClient]:
    """Of a gallery that nothing here changes."""
    app = opened(indexed, gallery=indexed, hosts={"testserver"}, pages=())
    with TestClient(app, base_url=f"http://testserver{V1}") as made:
        yield made


@pytest.fixture
def stubs(tmp_path: Path) -> Iterator[Jobs]:
    with stubbed(tmp_path / "gallery") as made:
        yield made


# -- searching -----------------------------------------------------------------------------------------------------


def test_bounds_and_pages_hold_as_on_the_page(client: TestClient, pictures: Path) -> None:
    picture = (pictures / "apple" / "apple 2.png").read_bytes()
    every = client.post("/search", params={"k": 100}, content=picture).json()
    assert every["more"] is False
    pages = [client.post("/search", params={"k": 8, "start": start}, content=picture).json() for start in (0, 8, 16)]
    assert [one["id"] for page in pages for one in page["neighbours"]] == [one["id"] for one in every["neighbours"]]
    assert [page["more"] for page in pages] == [True, True, False]
    assert [one["rank"] for one in pages[1]["neighbours"]] == list(range(9, 17))
    sizes = sorted({one["bytes"] for one in every["neighbours"]})
    assert len(sizes) > 2
    for bounds in ({"min_bytes": sizes[1]}, {"max_bytes": sizes[-2]}, {"min_bytes": sizes[1], "max_bytes": sizes[1]}):
        found = client.post("/search", params={"k": 100, **bounds}, content=picture).json()["neighbours"]
        least, most = bounds.get("min_bytes", 0), bounds.get("max_bytes", 2**40)
        assert {one["id"] for one in found} == {
            one["id"] for one in every["neighbours"] if least <= one["bytes"] <= most
        }
    searcher = SearcherTwin()
    asked = {"after": "2023-05", "before": "2024-01-02 14:30", "min_side": 5, "max_side": 9, "start": 40}
    assert twin(searcher).get("/images/3/similar", params=asked).status_code == 200
    filters = searcher.asked[0][2]
    assert filters is not None
    assert (filters.after, filters.before) == (datetime(2023, 5, 1), datetime(2024, 1, 2, 14, 30))
    assert (filters.min_side, filters.max_side, searcher.queries[0][1]) == (5, 9, 40)


def test_several_images_parts_and_judgements_are_searched_with() -> None:
    searcher = SearcherTwin()
    part = {"left": 0.1, "top": 0, "right": 0.5, "bottom": 1}
    body = {
        "like": [{"image": 3, "region": part}, {"image": 4}], "unlike": [{"image": 5}],
        "judged": [{"image": 7, "relevant": True}, {"image": 8, "relevant": False}],
        "k": 2, "start": 4, "label": ["caf\\xe9"], "min_bytes": 9,
    }  # fmt: skip
    answer = twin(searcher).post("/search/examples", json=body)
    assert answer.status_code == 200, answer.text
    query, start = searcher.queries[0]
    assert query == Query(
        (Example(3, None, Region(0.1, 0, 0.5, 1)), Example(4)), (Example(5),), ((7, True), (8, False))
    )
    filters = searcher.asked[0][2]
    assert filters is not None
    assert (start, searcher.asked[0][1], filters.labels, filters.min_bytes) == (4, 2, ("caf\udce9",), 9)
    for odd in (
        {"like": []}, {"like": [{"image": 0}]}, {"like": [{"image": 1, "odd": 1}]}, {},
        {"like": [{"image": 1, "region": {**part, "right": 0.1}}]}, {"like": [{"image": 1, "region": {"left": 0}}]},
        {"like": [{"image": 1}] * 20, "unlike": [{"image": 2}]}, {"like": [{"image": 1}], "after": "May"},
    ):  # fmt: skip
        problem(twin(searcher).post("/search/examples", json=odd), 422, "bad_value")


def test_examples_find_their_like_and_not_themselves(client: TestClient, pictures: Path) -> None:
    found = client.post(
        "/search", params={"k": 100, "label": ["apple"]}, content=(pictures / "apple" / "apple 2.png").read_bytes()
    )
    ids = [one["id"] for one in found.json()["neighbours"]][:2]
    body = {"like": [{"image": one} for one in ids], "k": 100, "together": False}
    answer = client.post("/search/examples", json=body).json()
    assert not {one["id"] for one in answer["neighbours"]} & set(ids)
    assert len(answer["neighbours"]) == 19
    problem(client.post("/search/examples", json={"like": [{"image": 99_999}]}), 404, "no_such_path")


# -- the gallery ---------------------------------------------------------------------------------------------------


def test_labels_are_given_as_a_table(client: TestClient, pictures: Path) -> None:
    answer = client.get("/labels.csv")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert any(str(pictures / "apple") in row["path"] and row["label"] == "apple" for row in rows)


def test_folders_are_listed_and_forgotten(indexed: Path, tmp_path: Path, pictures: Path) -> None:
    shutil.copytree(indexed, tmp_path / "gallery")
    own, hidden = twin(gallery=tmp_path / "gallery"), twin(gallery=tmp_path / "gallery", hide_paths=True)
    [folder] = own.get("/folders").json()
    assert (folder["path"], folder["online"], folder["why"]) == (str(pictures), True, "")
    assert (folder["whole"], folder["missing"], folder["failed"]) == (True, 0, 0)
    assert hidden.get("/folders").json()[0] == {**folder, "path": pictures.name}
    problem(own.post("/folders/99/remove"), 404, "no_such_path")
    problem(own.post("/folders/0/remove"), 422, "bad_value")
    files = len(list(pictures.rglob("*.*")))
    assert own.post(f"/folders/{folder['id']}/remove").json() == {"files": folder["present"]}
    assert own.get("/folders").json() == []
    assert own.get("/status").json()["images"] == 0
    assert len(list(pictures.rglob("*.*"))) == files


def test_failures_are_listed_by_page_and_reason(tmp_path: Path, tiny_model: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "good.png").write_bytes(picture((200, 120, 40), 1))
    for n in range(3):
        (photos / f"empty {n}.jpg").write_bytes(b"")
    (photos / "text.jpg").write_bytes(b"no picture" * 50)
    index_paths(tmp_path / "gallery", [photos], model=str(tiny_model), workers=1)
    own, hidden = twin(gallery=tmp_path / "gallery"), twin(gallery=tmp_path / "gallery", hide_paths=True)
    found = own.get("/failures").json()
    assert (found["reasons"], found["total"], found["first"]) == ({"empty": 3, "not_an_image": 1}, 4, 0)
    assert {one["path"] for one in found["files"]} == {str(path) for path in photos.glob("*.jpg")}
    assert all(one["message"] for one in found["files"])
    some = own.get("/failures", params={"reason": "empty", "limit": 2, "first": 2}).json()
    assert ([one["path"] for one in some["files"]], some["total"]) == ([str(photos / "empty 2.jpg")], 3)
    assert str(photos) not in hidden.get("/failures").text
    problem(own.get("/failures", params={"reason": "odd"}), 422, "bad_value")


def test_spaces_are_listed_and_there_may_be_nothing_to_go_back_to(client: TestClient) -> None:
    [space] = client.get("/spaces").json()
    assert (space["live"], space["trained"], space["covered"], space["total"]) == (True, True, 21, 21)
    assert space["fingerprint"] == client.get("/status").json()["fingerprint"]
    problem(client.post("/spaces/rollback"), 422, "bad_value")


def test_a_rollback_tells_which_space_is_live(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    report = spaces.RollbackReport("a" * 64, "old", "b" * 64, 3, 0.1)
    monkeypatch.setattr(spaces, "rollback", lambda _: report)
    assert client.post("/spaces/rollback").json() == report.to_dict()


def test_a_check_of_labels_is_given_by_job(indexed: Path, tmp_path: Path, pictures: Path) -> None:
    folder = tmp_path / "gallery"
    shutil.copytree(indexed, folder)
    with Gallery(folder) as opened:
        first, second, third = (
            int(one) for one in opened.catalog.images.passing(opened.live_space().id, Filters(labels=("apple",)))[:3]
        )
    here = str(pictures / "apple" / "apple 1.png")
    doubts = tuple(Doubt(one, here, "apple", "caf\udce9", 0.9, 0.5) for one in (first, second))
    found = LabelCheck(doubts, 2, 21, 0.8, (Outlier(third, here, -0.1),), 21, 21)
    finished(folder, 1, "label-check", result=found.summary())
    keep_check(found, JobFolder(folder / ".jobs" / "1").label_check)
    finished(folder, 2, "map")
    own, hidden = twin(gallery=folder), twin(gallery=folder, hide_paths=True)
    answer = own.get("/jobs/1/label-check").json()
    assert {name: answer[name] for name in found.summary() if name != "outliers"} == {
        "doubted": 2, "labelled": 21, "accuracy": 0.8, "looked_at": 21, "images": 21,
    }  # fmt: skip
    assert answer["outliers"] == [{"image": third, "path": here, "score": -0.1}]
    assert answer["doubts"][0] == {
        "image": first, "path": here, "label": "apple", "instead": "caf\\xe9", "confidence": 0.9, "margin": 0.5,
        "waits": True,
    }  # fmt: skip
    confirm(folder, doubts[1])
    assert [one["waits"] for one in own.get("/jobs/1/label-check").json()["doubts"]] == [True, False]
    assert str(pictures) not in hidden.get("/jobs/1/label-check").text
    problem(own.get("/jobs/2/label-check"), 422, "bad_value")
    problem(own.get("/jobs/9/label-check"), 404, "no_such_path")


def test_duplicates_are_given_by_job(tmp_path: Path, stubs: Jobs) -> None:
    def done(number: int, kind: str) -> None:
        stubs.submit(request_from(kind, {"model": "quick"} if kind == "index" else {}))
        until(lambda: stubs.get(number).state.is_over)
        stubs.folder(number).change_state(state=State.DONE)

    own, hidden = twin(gallery=tmp_path / "gallery"), twin(gallery=tmp_path / "gallery", hide_paths=True)
    done(1, "duplicates")
    done(2, "index")
    copies = [Copy(n, f"/photos/{n}.jpg", 40, 30, 2000, "", False) for n in (1, 2)]
    keep_groups(Duplicates(2, (tuple(copies), tuple(copies[:1])), 0, 0.1), stubs.folder(1).duplicates)
    found = own.get("/jobs/1/duplicates").json()
    assert found["total"] == 2
    assert [[one["path"] for one in group] for group in found["groups"]] == [
        ["/photos/1.jpg", "/photos/2.jpg"],
        ["/photos/1.jpg"],
    ]
    assert own.get("/jobs/1/duplicates", params={"first": 1}).json() == {"groups": found["groups"][1:], "total": 2}
    assert "/photos" not in hidden.get("/jobs/1/duplicates").text
    problem(own.get("/jobs/2/duplicates"), 422, "bad_value")
    problem(own.get("/jobs/9/duplicates"), 404, "no_such_path")
