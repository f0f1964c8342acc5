"""An upload with more pixels than the limit: through the whole application, over HTTP, with a real gallery."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.ui.drawing import picture
from tests.ui.test_uploads import META, body


def answer_to(client: TestClient, size: tuple[int, int]) -> str:
    """What the page is told of a search with a picture of this size."""
    (path,) = client.post("/gradio_api/upload", files={"files": ("a.png", picture((200, 120, 40), 1, size))}).json()
    asked = client.post("/gradio_api/call/search", json=body("", 0, {"path": path, "meta": META}))
    return client.get(f"/gradio_api/call/search/{asked.json()['event_id']}").text


def test_it_is_refused_in_one_line_with_what_to_do_next(
    opened: Callable[..., FastAPI], indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVAL_MAX_MEGAPIXELS", "0.05")
    with TestClient(opened(indexed, hosts={"testserver"}), raise_server_exceptions=False) as client:
        told = answer_to(client, (300, 200))
        assert told.startswith("event: error")
        assert "0.06 megapixels, the limit is 0.05" in told
        assert "RETRIEVAL_MAX_MEGAPIXELS" in told
        assert "Traceback" not in told
        # Nothing is broken by it.
        assert "event: complete" in answer_to(client, (200, 200))
