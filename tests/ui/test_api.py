"""Every route of the API, by hand, over a small real gallery and over an in-memory one."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from retrieval.core.errors import EmptyGallery, ImageError, NoGrid, NoSuchPath, Reason, RetrievalError
from retrieval.workflows.calibrating import TooFewLabels
from tests.core.test_errors import tree
from tests.ui.api import V1, problem, twin
from tests.ui.tree import Tree
from tests.ui.twins import SearcherTwin
from ui.api.problems import STATUS, status_of

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
    assert (found["findable"], found["trained"], found["agree"], found["problems"]) == (21, True, True, [])


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
