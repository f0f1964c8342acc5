"""The search endpoint as ``gradio_client`` uses it."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from retrieval.core.errors import ImageError, Reason
from tests.ui.conftest import running
from tests.ui.drawing import picture
from tests.ui.twins import SearcherTwin, ViewsTwin
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
