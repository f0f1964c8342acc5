"""Nothing is fetched or read for a request but what was uploaded: through the whole application, over HTTP."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from tests.ui.drawing import picture
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.app import create_app
from ui.uploads import OnlyUploads

META = {"_type": "gradio.FileData"}
ADDRESSES = ["http://internal.example/a.png", "https://169.254.169.254/latest", "HTTP://internal.example/a.png"]
ROUTES = ["call/search", "call/v2/search", "run/search", "api/search", "queue/join"]


@pytest.fixture(scope="module")
def searcher() -> SearcherTwin:
    return SearcherTwin()


@pytest.fixture(scope="module")
def client(searcher: SearcherTwin) -> Iterator[TestClient]:
    with TestClient(create_app(searcher, ViewsTwin(), hosts={"testserver"}), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that Gradio was about to fetch."""
    asked: list[str] = []

    async def fetch(url: str, *_: object, **__: object) -> str:
        asked.append(url)
        raise ConnectionError("not in a test")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", fetch)
    monkeypatch.setattr("gradio.routes.secure_url_stream_response", fetch)
    return asked


def body(route: str, place: int, value: object) -> dict[str, Any]:
    data: list[object] = [None, 5, [], [], "", 0]
    data[place] = value
    if "v2" in route:
        return dict(zip(("image", "k", "labels", "not_labels", "under", "min_score"), data, strict=True))
    return {"data": data, "session_hash": "abc", "fn_index": 0}


def finish(client: TestClient, route: str, answer: Any) -> None:
    """Wait until the event is over, where there is one: it is then that Gradio fetches."""
    if answer.status_code == 200 and "call" in route:
        client.get(f"/gradio_api/call/search/{answer.json()['event_id']}")


@pytest.mark.parametrize("place", range(6), ids=["photo", "number", "labels", "not labels", "folder", "score"])
@pytest.mark.parametrize("route", ROUTES)
def test_no_input_takes_an_address(client: TestClient, fetched: list[str], route: str, place: int) -> None:
    for value in (
        {"path": ADDRESSES[0], "meta": META},
        [{"deep": {"path": ADDRESSES[0], "meta": META}}],
        {"path": ADDRESSES[0], "url": ADDRESSES[0], "meta": META},
    ):
        answer = client.post(f"/gradio_api/{route}", json=body(route, place, value))
        finish(client, route, answer)
        assert answer.status_code == 403
    assert fetched == []


@pytest.mark.parametrize("address", [*ADDRESSES, "file:///etc/passwd", "ftp://internal.example/a", " http://a.b/c"])
def test_no_kind_of_address_is_taken(client: TestClient, fetched: list[str], address: str) -> None:
    for file in ({"path": address}, {"path": address, "meta": META}, {"path": None, "url": address, "meta": META}):
        assert client.post("/gradio_api/call/search", json=body("", 0, file)).status_code == 403
    assert fetched == []


@pytest.mark.parametrize("address", ["http://internal.example/a.png", "https:/internal.example/a.png", "HTTP://a.b/c"])
@pytest.mark.parametrize("route", ["file=", "proxy="])
def test_no_route_fetches_an_address(client: TestClient, fetched: list[str], route: str, address: str) -> None:
    for method in ("GET", "HEAD"):
        assert client.request(method, f"/gradio_api/{route}{address}").status_code == 403
    assert client.get(f"/gradio_api/{route}{address.replace(':', '%3A').replace('/', '%2F')}").status_code == 403
    assert fetched == []


def test_what_was_uploaded_is_searched_and_shown(client: TestClient, searcher: SearcherTwin) -> None:
    content = picture((200, 120, 40), 1)
    (path,) = client.post("/gradio_api/upload", files={"files": ("ä b.png", content)}).json()
    shown = f"http://testserver/gradio_api/file={path}".replace(" ", "%20")
    assert client.get(f"/gradio_api/file={path}").content == content
    for file in (
        {"path": path, "meta": META},
        {"path": path, "url": shown, "orig_name": "ä b.png", "meta": META},
        {"path": path, "url": None, "meta": META},
    ):
        asked = client.post("/gradio_api/call/search", json=body("", 0, file))
        told = client.get(f"/gradio_api/call/search/{asked.json()['event_id']}").text
        assert "event: complete" in told
        assert searcher.asked[-1][0] == content


def test_a_path_that_leaves_the_uploads_is_refused(client: TestClient, tmp_path: Path) -> None:
    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"only for me")
    (uploads / "link.png").symlink_to(secret)
    for path in (
        secret,
        uploads / ".." / secret.relative_to(uploads.parent.parent.parent),
        uploads / "link.png",
        "a\0b",
    ):
        file = {"path": str(path), "meta": META}
        assert client.post("/gradio_api/call/search", json=body("", 0, file)).status_code == 403
        assert client.post("/gradio_api/call/search", json=body("", 0, {**file, "path": None, "url": str(path)}))
    (uploads / "link.png").unlink()


def ask(messages: list[Message], path: str = "/gradio_api/queue/join") -> tuple[int, bytes]:
    """(status, what the application read) of a request that arrives as these messages."""
    waiting, sent, read = list(messages), [], bytearray()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            read.extend(message.get("body", b""))
            more = bool(message.get("more_body"))
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "path": path, "method": "POST", "headers": []}
    asyncio.run(OnlyUploads(app, Path("/uploads"), ("/upload",))(scope, receive, send))
    return sent[0]["status"], bytes(read)


def request(content: bytes, pieces: int = 3) -> list[Message]:
    size = len(content) // pieces + 1
    parts = [content[n : n + size] for n in range(0, len(content), size)] or [b""]
    return [{"type": "http.request", "body": p, "more_body": n < len(parts)} for n, p in enumerate(parts, start=1)]


def test_a_body_in_pieces_arrives_whole_and_is_looked_into_whole() -> None:
    fine = json.dumps({"data": [1, "http://only.text/", {"path": "/uploads/a.png"}, {"label": "path"}]}).encode()
    assert ask(request(fine)) == (200, fine)
    bad = json.dumps({"data": [{"path": "http://internal.example/"}]}).encode()
    assert ask(request(bad, pieces=7)) == (403, b"")
    assert ask(request(bad), "/upload") == (200, bad)
    # As the framework reads it: other encodings of Unicode too.
    assert ask(request(bad.decode().encode("utf-16")))[0] == 403


def test_what_is_no_json_is_left_to_the_framework_and_endless_nesting_is_not() -> None:
    for content in (b"", b"no json", b"\xff\xfe\x00", b"--b\r\nform"):
        assert ask(request(content)) == (200, content)
    assert ask(request(b"[" * 200_000))[0] == 403
