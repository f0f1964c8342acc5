"""The Understand page without a browser: its routes, its answers, and who may do what."""

import json
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.indexing import index_paths
from retrieval.workflows.jobs import Jobs
from retrieval.workflows.labelling import answer, progress
from retrieval.workflows.mapping import MapPoints, draw_map
from retrieval.workflows.upkeep import list_roots
from tests.conftest import draw
from tests.ui.finished import finished
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.addresses import Addresses
from ui.app import create_app
from ui.shell.site import Site
from ui.understand.answers import Understanding, Visit
from ui.understand.routes import packed
from ui.words import ENGLISH

ODD = """<b>"odd" & 'label'</b> {n}"""


def unpacked(content: bytes) -> tuple[dict[str, Any], Any, Any, Any, Any]:
    """An own reader of the format: (header, x, y, ids, labels)."""
    assert content[:4] == b"RMAP"
    long, count = struct.unpack_from("<II", content, 4)
    at, arrays = 12 + long, []
    for kind in ("<f4", "<f4", "<u4", "<u2"):
        arrays.append(np.frombuffer(content, kind, count, at))
        at += count * np.dtype(kind).itemsize
    assert at == len(content)
    return json.loads(content[12 : 12 + long]), arrays[0], arrays[1], arrays[2], arrays[3]


@pytest.fixture
def gallery(_indexed_once: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the small gallery of twelve pictures."""
    return Path(shutil.copytree(_indexed_once[0], tmp_path / "gallery"))


@pytest.fixture
def site(gallery: Path) -> Site:
    return Site("R", SearcherTwin(), Addresses("1"), 1000, gallery, Jobs(gallery))


def client(gallery: Path, **arguments: Any) -> TestClient:
    return TestClient(create_app(SearcherTwin(), ViewsTwin(), gallery=gallery, hosts={"testserver"}, **arguments))


def ids_of(gallery: Path) -> list[int]:
    with Gallery(gallery) as opened:
        return [int(one) for one in opened.catalog.spaces.findable(opened.live_space().id)[0]]


def test_the_points_are_served_as_bytes(gallery: Path) -> None:
    with client(gallery) as asked:
        assert asked.get("/understand/map.bin").status_code == 404
        draw_map(gallery)
        answer(gallery, dict.fromkeys(ids_of(gallery)[:9], "most"), only=True)
        got = asked.get("/understand/map.bin")
    assert got.headers["cache-control"] == "no-store"
    header, x, y, ids, labels = unpacked(got.content)
    assert ids.tolist() == ids_of(gallery)
    assert header["labels"][0] == ["most", 9]
    assert labels.tolist()[:9] == [1] * 9
    assert sum(images for _, images in header["labels"]) == len(ids) == 12
    assert max(np.abs(x).max(), np.abs(y).max()) == pytest.approx(1)


def test_a_check_up_that_would_be_refused_is_not_offered(gallery: Path, site: Site, tmp_path: Path) -> None:
    page = Understanding(site, ENGLISH)

    def check() -> str:
        return page.pieces(Visit())["check"]

    assert 'data-do="check"' in check()
    (root,) = list_roots(gallery)
    away = Path(root.path).rename(tmp_path / "away")
    try:
        assert 'data-do="check"' not in check()
        assert ENGLISH.understand.check_few in check()
    finally:
        away.rename(root.path)
    assert 'data-do="check"' in check()


def test_two_copies_of_one_picture_are_one_picture(tmp_path: Path, tiny_model: Path) -> None:
    photos, gallery = tmp_path / "photos", tmp_path / "copies"
    draw(photos / "one.jpg", 1)
    shutil.copy(photos / "one.jpg", photos / "again.jpg")

    def check() -> str:
        index_paths(gallery, [photos], model=str(tiny_model))
        site = Site("R", SearcherTwin(), Addresses("1"), 1000, gallery, Jobs(gallery))
        return Understanding(site, ENGLISH).pieces(Visit())["check"]

    assert ENGLISH.understand.check_few in check()
    draw(photos / "other.jpg", 2)
    assert 'data-do="check"' in check()


def test_odd_labels_and_ids_are_packed() -> None:
    places = np.array([[0, 1], [1, 0], [0.5, -1]], np.float32)
    ids = np.array([1, 2**31, 2**33], np.int64)
    points = MapPoints(ids, places, np.array([1, 70_000, 0]), ((ODD, 2), ("caf\udce9", 1)))
    header, x, _, packed_ids, labels = unpacked(packed(points))
    assert packed_ids.tolist() == [1, 2**31]
    assert labels.tolist() == [1, 0]
    assert x.tolist() == [0, 1]
    assert header["labels"][0] == [ODD, 2]
    assert header["labels"][1][0].startswith("caf")


def test_reports_are_served_into_a_sandbox_by_number_alone(gallery: Path) -> None:
    finished(gallery, 1, "diagnose", page="<h1>report</h1>", dataset="gallery")
    finished(gallery, 2, "diagnose", page="<h1>of a folder</h1>", dataset="/home/anna")
    finished(gallery, 3, "map", page="<h1>none</h1>", dataset="gallery")
    with client(gallery) as asked:
        got = asked.get("/understand/report/1")
        assert got.text == "<h1>report</h1>"
        assert got.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        for number in ("2", "3", "4", "0"):
            assert asked.get(f"/understand/report/{number}").status_code == 404
        assert asked.get("/understand/report/..%2f1").status_code == 404


def test_a_password_is_wanted_for_all_of_it(gallery: Path) -> None:
    draw_map(gallery)
    finished(gallery, 1, "diagnose", page="x", dataset="gallery")
    with client(gallery, auth=[("anna", "a-long-password")]) as asked:
        for path in ("/understand", "/understand/map.bin", "/understand/report/1"):
            assert asked.get(path).status_code == 401
            assert asked.get(path, auth=("anna", "a-long-password")).status_code == 200


def test_the_page_is_there_where_paths_are_hidden_and_tells_none(gallery: Path) -> None:
    draw_map(gallery)
    with client(gallery, hide_paths=True) as asked:
        assert 'href="./understand"' in asked.get("/").text
        content = asked.get("/understand/map.bin").content
    assert str(gallery).encode() not in content
    site = Site("R", SearcherTwin(), Addresses("1"), 1000, gallery, Jobs(gallery), shows_paths=False)
    said = "".join(Understanding(site, ENGLISH).pieces(Visit()).values())
    assert str(gallery.parent) not in said
    assert "library" not in said


def test_labels_are_given_once_and_taken_back(site: Site) -> None:
    assert site.gallery is not None
    draw_map(site.gallery)
    page, visit = Understanding(site, ENGLISH), Visit()
    some = ids_of(site.gallery)[:4]
    before = progress(site.gallery)
    page.act(visit, {"do": "label", "ids": [*some, some[0], "7", True, -1], "label": f" {ODD} ", "stamp": "s1"})
    assert 'data-stamp="s1" data-done="yes"' in visit.told
    assert "given to 4 pictures" in visit.told
    assert "<b>" not in visit.told
    assert dict(progress(site.gallery).labels)[ODD] == 4
    operation = visit.told.partition('data-of="')[2].partition('"')[0]
    page.act(visit, {"do": "undo", "of": operation})
    assert "Taken back." in visit.told
    assert progress(site.gallery).labels == before.labels


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"do": "label", "ids": [], "label": "x"}, "Nothing is selected"),
        ({"do": "label", "ids": "all", "label": "x"}, "Nothing is selected"),
        ({"do": "label", "ids": [1], "label": " "}, "No label was given"),
        ({"do": "label", "ids": [10**9], "label": "x"}, "has no image"),
        ({"do": "undo", "of": "99"}, "99"),
        ({"do": "stop", "of": "99"}, "no job"),
    ],
)
def test_what_cannot_be_done_is_said(site: Site, sent: dict[str, Any], said: str) -> None:
    assert site.gallery is not None
    before = progress(site.gallery)
    visit = Visit()
    Understanding(site, ENGLISH).act(visit, {**sent, "stamp": '"><i>'})
    assert said in visit.told
    assert 'data-done="no"' in visit.told
    assert "<i>" not in visit.told
    assert progress(site.gallery) == before


@pytest.mark.parametrize("sent", [None, 3, [], {}, {"do": "odd"}, {"do": ["map"]}, {"do": None, "of": {}}])
def test_a_request_that_is_none_does_nothing(site: Site, sent: object) -> None:
    visit = Visit()
    Understanding(site, ENGLISH).act(visit, sent)
    assert visit.told == ""
    assert site.jobs is not None
    assert site.jobs.list() == []


@pytest.mark.parametrize("do", ["map", "check", "strict"])
def test_work_is_asked_for_as_jobs(site: Site, do: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[str] = []
    monkeypatch.setattr(Jobs, "submit", lambda _, request: kinds.append(request.kind))
    Understanding(site, ENGLISH).act(Visit(), {"do": do})
    assert kinds == [{"map": "map", "check": "diagnose", "strict": "temperature"}[do]]


def test_who_may_only_look_sees_the_map_and_changes_nothing(site: Site) -> None:
    assert site.gallery is not None
    draw_map(site.gallery)
    quiet = replace(site, may_write=False, jobs=Jobs(site.gallery, may_write=False))
    page, visit = Understanding(quiet, ENGLISH), Visit()
    before = progress(site.gallery)
    for sent in (
        {"do": "map"},
        {"do": "label", "ids": ids_of(site.gallery)[:1], "label": "x"},
        {"do": "undo", "of": "1"},
    ):
        page.act(visit, sent)
        assert "Here one may look" in visit.told
    assert progress(site.gallery) == before
    assert quiet.jobs is not None
    assert quiet.jobs.list() == []
    page.measure()
    pieces = page.pieces(Visit())
    assert "und-canvas" in pieces["map"]
    for control in ("data-do=", "und-form"):
        assert control not in "".join(pieces.values())


def test_the_state_of_the_map_is_told(site: Site, tmp_path: Path) -> None:
    assert site.gallery is not None
    page = Understanding(site, ENGLISH)
    pieces = page.pieces(Visit())
    assert "No map has been drawn yet" in pieces["status"]
    assert pieces["map"] == ""
    draw_map(site.gallery)
    page.arrive()
    assert "12 pictures, drawn " in page.pieces(Visit())["status"]
    draw(tmp_path / "more" / "one.jpg", 99)
    index_paths(site.gallery, [tmp_path / "more"], workers=1)
    page.arrive()
    assert "1 new picture is not on it." in page.pieces(Visit())["status"]


def test_the_cost_of_the_comparison_comes_before_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("ui.understand.answers.study_cost", lambda _, *, ready: asked.append(ready) or (65.0, 600.0))
    page = Understanding(site, ENGLISH)
    assert "Measuring how long" in page.pieces(Visit())["strict"]
    assert "data-do" not in page.pieces(Visit())["strict"]
    page.measure()
    page.measure()
    assert len(asked) == 1
    assert "between 65 s and 10 min" in page.pieces(Visit())["strict"]
    assert 'data-do="strict"' in page.pieces(Visit())["strict"]


def test_an_empty_gallery_and_one_with_two_pictures_say_what_to_do(
    site: Site, tmp_path: Path, tiny_model: Path
) -> None:
    empty = replace(site, gallery=tmp_path / "none", jobs=Jobs(tmp_path / "none"))
    pieces = Understanding(empty, ENGLISH).pieces(Visit())
    assert "./library" in pieces["told"]
    assert pieces["status"] == pieces["check"] == ""
    for n in range(2):
        draw(tmp_path / "two" / f"{n}.jpg", n)
    index_paths(tmp_path / "few", [tmp_path / "two"], model=str(tiny_model), workers=1)
    few = replace(site, gallery=tmp_path / "few", jobs=Jobs(tmp_path / "few"))
    status = Understanding(few, ENGLISH).pieces(Visit())["status"]
    assert "three pictures or more" in status
    assert "data-do" not in status


def test_jobs_of_other_folders_are_not_told_here(gallery: Path, site: Site) -> None:
    finished(gallery, 1, "diagnose", dataset="/home/anna")
    assert "/understand/report" not in Understanding(site, ENGLISH).pieces(Visit())["check"]
    finished(gallery, 2, "diagnose", dataset="gallery")
    assert "/understand/report/2" in Understanding(site, ENGLISH).pieces(Visit())["check"]
