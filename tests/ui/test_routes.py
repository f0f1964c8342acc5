"""Pictures by id over HTTP, and what the application answers besides."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.ui.drawing import picture
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.addresses import Addresses
from ui.answers import Answers
from ui.app import create_app
from ui.pictures import picture_routes
from ui.words import ENGLISH

YEAR = "private, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def views() -> ViewsTwin:
    return ViewsTwin()


@pytest.fixture(scope="module")
def client(views: ViewsTwin) -> Iterator[TestClient]:
    app = create_app(SearcherTwin(), views, hosts={"testserver"})
    with TestClient(app) as client:
        yield client


def test_a_picture_comes_with_its_type_tag_and_no_guessing(client: TestClient) -> None:
    answer = client.get("/images/7/thumbnail")
    assert answer.status_code == 200
    assert answer.content.startswith(b"\x89PNG")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["etag"] == '"7-thumbnail"'
    assert client.get("/images/7/full").headers["etag"] == '"7-full"'


def test_a_known_picture_is_not_made_again(client: TestClient, views: ViewsTwin) -> None:
    made = views.made
    for known in ('"7-full"', 'W/"7-full"', '"x", "7-full"', "*"):
        answer = client.get("/images/7/full", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == '"7-full"'
    assert views.made == made
    assert client.get("/images/7/full", headers={"If-None-Match": '"8-full"'}).status_code == 200


def test_a_browser_keeps_a_picture_only_under_this_start_of_the_server(client: TestClient) -> None:
    assert client.get("/images/7/full").headers["cache-control"] == "private, no-cache"
    assert client.get("/images/7/full?v=older").headers["cache-control"] == "private, no-cache"


def test_the_page_s_own_addresses_last() -> None:
    app = FastAPI()
    addresses = Addresses()
    app.include_router(picture_routes(ViewsTwin(), addresses))
    with TestClient(app) as client:
        control = client.get("/" + addresses.picture(7, "thumbnail")).headers["cache-control"]
    assert control == YEAR
    assert Addresses().version != addresses.version


def test_addresses_are_of_the_generation_that_the_pictures_are_of() -> None:
    views, addresses = ViewsTwin(), Addresses()
    picture_routes(views, addresses)
    before = addresses.picture(7, "full")
    assert addresses.picture(7, "full") == before
    views.generation += 1
    assert addresses.picture(7, "full") != before


def test_after_a_restore_the_page_names_pictures_anew(indexed: Path, tiny_model: Path, tmp_path: Path) -> None:
    from retrieval.workflows.backup import backup, restore
    from retrieval.workflows.gallery import Gallery
    from retrieval.workflows.indexing import index_paths
    from retrieval.workflows.searching import Searcher
    from retrieval.workflows.views import Views

    (tmp_path / "photos").mkdir()
    for n in range(3):
        (tmp_path / "photos" / f"{n}.png").write_bytes(picture((10, 200, 90), n))
    index_paths(tmp_path / "other", [tmp_path / "photos"], model=str(tiny_model), workers=1)
    backup(tmp_path / "other", tmp_path / "other.tar")
    shutil.copytree(indexed, tmp_path / "gallery")
    addresses, app = Addresses(), FastAPI()
    with Gallery(tmp_path / "gallery") as gallery, Searcher(gallery) as searcher, TestClient(app) as client:
        views = Views(gallery, workers=1)
        app.include_router(picture_routes(views, addresses))
        answers = Answers(searcher, addresses, 1_000_000, ENGLISH)

        def samples() -> dict[str, str]:
            """Addresses of the pictures that the page begins with, by the number of the image."""
            return dict(re.findall(r'data-similar="(\d+)"[^>]*><img src="([^"]+)"', answers.front().samples))

        before = samples()
        pictures = {number: client.get(f"/{address}") for number, address in before.items()}
        assert {answer.headers["cache-control"] for answer in pictures.values()} == {YEAR}
        assert samples() == before
        restore(tmp_path / "other.tar", tmp_path / "gallery")
        after = samples()
        # The same numbers, other pictures: what a browser has kept must not be shown for them.
        both = before.keys() & after.keys()
        assert both
        assert not set(before.values()) & set(after.values())
        for number in both:
            answer = client.get(f"/{after[number]}")
            assert answer.headers["cache-control"] == YEAR
            assert answer.content != pictures[number].content
            assert client.get(f"/{before[number]}").headers["cache-control"] == "private, no-cache"
        views.close()


def test_head_gives_no_body(client: TestClient) -> None:
    answer = client.head("/images/7/thumbnail")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("image_id", ["99", "40", "0", str(2**63), "9" * 300])
def test_what_is_unknown_or_offline_is_not_found_and_not_remembered(client: TestClient, image_id: str) -> None:
    answer = client.get(f"/images/{image_id}/thumbnail")
    assert answer.status_code == 404
    assert "error" in answer.json()
    assert answer.headers["cache-control"] == "no-store"


def test_a_picture_that_cannot_be_decoded_any_more(client: TestClient) -> None:
    answer = client.get("/images/41/full")
    assert (answer.status_code, answer.json()) == (422, {"error": "The file is damaged."})


def test_a_gallery_that_is_busy_is_no_fault_of_the_server(client: TestClient) -> None:
    answer = client.get("/images/42/full")
    assert (answer.status_code, answer.json()) == (503, {"error": "Another process is writing."})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["/images/../app.py/full", "/images/%2e%2e%2f%2e%2e%2fetc%2fpasswd/full", "/images/-1/full", "/images/1.5/full",
     "/images/7/original", "/images/7/full/../../../etc/passwd", "/images//etc/passwd/full", "/images/7%00/full"],
)  # fmt: skip
def test_nothing_but_an_id_names_a_picture(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_files_of_the_machine_cannot_be_had_through_gradio(client: TestClient, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"not for you")
    for path in (secret, Path(__file__), Path("/etc/passwd"), Path("ui/app.py")):
        for prefix in ("/gradio_api/file=", "/gradio_api/file/", "/file="):
            answer = client.get(f"{prefix}{path}")
            assert answer.status_code in (403, 404)
            assert b"not for you" not in answer.content


def test_health_tells_nothing_and_no_documentation_of_routes_is_served(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/docs").status_code == 404
    assert client.get("/openapi.json").status_code == 404
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def test_the_page_lets_nothing_be_fetched_from_elsewhere(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy


def test_only_the_search_is_offered_to_programs(client: TestClient) -> None:
    endpoints = client.get("/gradio_api/info").json()["named_endpoints"]
    assert list(endpoints) == ["/search"]
    names = [parameter["parameter_name"] for parameter in endpoints["/search"]["parameters"]]
    assert names == ["image", "k", "labels", "not_labels", "under", "min_score"]


def test_the_app_runs_without_analytics(client: TestClient) -> None:
    assert client.get("/config").json()["analytics_enabled"] is False


@pytest.mark.parametrize("place", [0, 1, 4], ids=["photo", "number", "folder"])
def test_no_request_reads_a_file_that_was_not_uploaded(client: TestClient, tmp_path: Path, place: int) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("only for me, 8f1c")
    data: list[object] = [None, 5, [], [], "", 0]
    data[place] = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    asked = client.post("/gradio_api/call/search", json={"data": data})
    assert asked.status_code == 403
    assert "must be uploaded" in asked.text
    cache = Path(os.environ["GRADIO_TEMP_DIR"])
    assert not any(secret.read_bytes() in file.read_bytes() for file in cache.rglob("*") if file.is_file())
