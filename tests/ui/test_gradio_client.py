"""The endpoints as ``gradio_client`` uses them."""

import base64
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from retrieval.core.errors import ImageError, Reason
from retrieval.workflows.jobs import State
from tests.ui.conftest import running
from tests.ui.drawing import picture
from tests.ui.twins import SearcherTwin, ViewsTwin
from tests.workflows.jobs.support import stubbed, until
from ui.app import create_app

PASSWORD = {"Authorization": "Basic " + base64.b64encode(b"anna:secret").decode()}


@pytest.fixture(scope="module")
def searcher() -> SearcherTwin:
    return SearcherTwin()


@pytest.fixture(scope="module")
def client(searcher: SearcherTwin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    app = create_app(searcher, ViewsTwin(), auth=[("anna", "secret")])
    with running(app) as address:
        made = Client(
            address, headers=PASSWORD, verbose=False, analytics_enabled=False,
            download_files=tmp_path_factory.mktemp("downloads"),
        )  # fmt: skip
        yield made
        made.close()


@pytest.fixture
def photo(tmp_path: Path) -> Any:
    (tmp_path / "photo.png").write_bytes(picture((200, 120, 40), 1))
    return handle_file(str(tmp_path / "photo.png"))


def test_a_photo_finds_neighbours(client: Client, searcher: SearcherTwin, photo: Any) -> None:
    found = client.predict(photo, 3, ["apple"], [], "/photos", 0.25, api_name="/search")
    assert [one["rank"] for one in found["neighbours"]] == [1, 2, 3]
    assert found["searched"] == 1234
    data, k, filters = searcher.asked[-1]
    assert data == picture((200, 120, 40), 1)
    assert k == 3
    assert filters is not None
    assert (filters.labels, filters.under, filters.min_score) == (("apple",), ("/photos",), 0.25)


def test_its_defaults_need_not_be_given(client: Client, searcher: SearcherTwin, photo: Any) -> None:
    assert client.predict(image=photo, api_name="/search")["neighbours"]
    assert searcher.asked[-1][1] == 12


def test_an_error_says_what_is_wrong(
    client: Client, searcher: SearcherTwin, photo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searcher, "answer", ImageError(Reason.TRUNCATED, "The file ends too early.", "Copy it again."))
    with pytest.raises(AppError, match="ends too early"):
        client.predict(image=photo, api_name="/search")


# -- the gallery ---------------------------------------------------------------------------------------------------


@pytest.fixture
def asks(indexed: Path, opened: Callable[..., FastAPI], tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Opens a client of an own copy of the gallery, whose jobs' processes end at once."""
    gallery = Path(shutil.copytree(indexed, tmp_path / "gallery"))
    servers: list[Any] = []
    clients: list[Client] = []

    def ask(**arguments: Any) -> Client:
        servers.append(running(opened(gallery, gallery=gallery, pages=(), **arguments)))
        made = Client(
            servers[-1].__enter__(), verbose=False, analytics_enabled=False, download_files=tmp_path / "downloads"
        )
        clients.append(made)
        return made

    with stubbed(gallery) as jobs:
        yield ask
        for client in clients:
            client.close()
        for server in servers:
            server.__exit__(None, None, None)
        until(lambda: all(job.state.is_over for job in jobs.list()))


def test_the_gallery_is_described_labelled_and_indexed(asks: Callable[..., Client], pictures: Path) -> None:
    client = asks()
    assert client.predict(api_name="/status")["findable"] == 21
    before = client.predict(api_name="/labels")
    assert {"label": "apple", "images": 5, "sources": {"folder": 5}} in before
    done = client.predict(images=[1, 2], label="mine", api_name="/set_label")
    assert (done["added"], done["removed"]) == (2, 0)
    assert {"label": "mine", "images": 2, "sources": {"person": 2}} in client.predict(api_name="/labels")
    assert client.predict([1, 2], "mine", True, api_name="/set_label")["removed"] == 2
    assert client.predict(api_name="/labels") == before
    assert client.predict(api_name="/jobs") == []
    job = client.predict(paths=[str(pictures)], model="quick", api_name="/index")
    assert (job["id"], job["kind"], job["request"]["paths"]) == (1, "index", [str(pictures)])
    until(lambda: client.predict(api_name="/jobs")[0]["state"] == State.DONE)
    # The client takes what has a path for a file, and wants to get it.
    assert client.predict(api_name="/jobs")[0]["result"]["file_path"] == "/a"
    client.predict(api_name="/index")
    assert [job["id"] for job in client.predict(limit=1, api_name="/jobs")] == [2]
    for odd in ({"images": [], "label": "x"}, {"images": [1], "label": " "}, {"images": [99_999], "label": "x"}):
        with pytest.raises(AppError):
            client.predict(**odd, api_name="/set_label")
    with pytest.raises(AppError, match="paths"):
        client.predict(paths=["relative"], api_name="/index")
    assert client.predict(api_name="/labels") == before


def test_who_may_only_look_changes_nothing_and_sees_no_path(asks: Callable[..., Client], pictures: Path) -> None:
    asks().predict(paths=[str(pictures)], model="quick", api_name="/index")
    client = asks(read_only=True, hide_paths=True)
    before = client.predict(api_name="/labels")
    with pytest.raises(AppError, match="one may look"):
        client.predict([1], "mine", api_name="/set_label")
    with pytest.raises(AppError, match="one may look"):
        client.predict(api_name="/index")
    assert client.predict(api_name="/labels") == before
    jobs = client.predict(api_name="/jobs")
    assert len(jobs) == 1
    assert str(pictures) not in str(jobs)
