"""The guards before everything: hosts, other sites, passwords, sizes."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.app import create_app
from ui.security import LOOPBACK_HOSTS, BasicAuth, BodyLimit, KnownHosts, SameOrigin

ROUTES = (
    "/", "/images/7/thumbnail", "/images/7/full", "/config", "/gradio_api/info", "/gradio_api/queue/join",
    "/gradio_api/queue/data?session_hash=x", "/gradio_api/upload", "/gradio_api/call/search",
    "/gradio_api/startup-events", "/gradio_api/heartbeat/x", "/gradio_api/file=/etc/passwd", "/theme.css",
    "/assets/index.js", "/static/img/logo.svg", "/favicon.ico", "/manifest.json", "/robots.txt", "/login",
    "/nothing/here",
)  # fmt: skip


@pytest.fixture(scope="module")
def locked() -> Iterator[TestClient]:
    app = create_app(
        SearcherTwin(),
        ViewsTwin(),
        auth=[("anna", "pä:ss"), ("ben", "x")],
        hosts={"testserver"},
        max_upload_bytes=50_000,
    )
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_asks_for_the_password(locked: TestClient, route: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        answer = locked.request(method, route)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "pair", [("anna", "wrong"), ("", ""), ("anna", "pä:ss "), ("Anna", "pä:ss"), ("anna:pä", "ss")]
)
def test_another_pair_is_refused(locked: TestClient, pair: tuple[str, str]) -> None:
    header = "Basic " + __import__("base64").b64encode(":".join(pair).encode()).decode()
    expected = 200 if ":".join(pair) == "anna:pä:ss" else 401
    assert locked.get("/images/7/full", headers={"Authorization": header}).status_code == expected


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer YW5uYTpww6Q6c3M=", "YW5uYTpww6Q6c3M="])
def test_a_malformed_header_is_refused(locked: TestClient, header: str) -> None:
    assert locked.get("/", headers={"Authorization": header}).status_code == 401


def test_the_right_pair_opens_everything_and_health_is_open(locked: TestClient) -> None:
    right = {"Authorization": "basic YW5uYTpww6Q6c3M="}
    for route in ("/", "/images/7/full", "/config", "/gradio_api/info"):
        assert locked.get(route, headers=right).status_code == 200
    assert locked.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.com", "localhost.evil", "[::2]", "", "10.0.0.1:80"])
def test_foreign_hosts_are_refused(host: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("reached")

    sent = _ask(KnownHosts(app, lambda: LOOPBACK_HOSTS), [], {"host": host})
    assert sent[0]["status"] == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:7860", "127.0.0.1:80", "[::1]:7860", "[::1]", "LOCALHOST:1"])
def test_the_machine_s_own_names_are_let_in(host: str) -> None:
    assert _ask(KnownHosts(_fine, lambda: LOOPBACK_HOSTS), [], {"host": host})[0]["status"] == 200
    assert _ask(KnownHosts(_fine, lambda: None), [], {"host": "anything"})[0]["status"] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost:7860"}, 200),
        ({}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "http://proxied.example"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_sites_cannot_change_anything(headers: dict[str, str], status: int) -> None:
    everything = {"host": "localhost:7860", **headers}
    assert _ask(SameOrigin(_fine), [], everything, method="POST")[0]["status"] == status
    assert _ask(SameOrigin(_fine), [], everything, method="GET")[0]["status"] == 200


def test_websockets_are_guarded_too() -> None:
    guards: list[Any] = [
        KnownHosts(_fine, lambda: LOOPBACK_HOSTS), SameOrigin(_fine), BasicAuth(_fine, [("anna", "secret")])
    ]  # fmt: skip
    for guard in guards:
        sent = _ask(guard, [], {"host": "evil", "origin": "http://elsewhere"}, kind="websocket")
        assert sent == [{"type": "websocket.close", "code": 1008}]


def test_lifespan_and_small_bodies_pass() -> None:
    assert _ask(BodyLimit(_reads, lambda _: 10), [b"12345", b"67890"])[0]["status"] == 200
    assert _ask(BodyLimit(_fine, lambda _: 10), [], kind="websocket")[0]["status"] == 200


@pytest.mark.parametrize("chunks", [[b"12345678901"], [b"123456", b"78901"], [b"1"] * 11])
def test_a_body_that_grows_too_large_is_refused_while_it_arrives(chunks: list[bytes]) -> None:
    async def forgiving(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await _reads(scope, receive, send)
        except Exception:
            await _answer(send, 400)

    for app in (_reads, forgiving):
        sent = _ask(BodyLimit(app, lambda _: 10), chunks)
        assert [message.get("status") for message in sent] == [413, None]


def test_an_announced_body_is_refused_before_it_is_read() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("reached")

    assert _ask(BodyLimit(app, lambda _: 10), [], {"content-length": "11"})[0]["status"] == 413


def test_failures_that_are_not_about_size_stay_failures() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _ask(BodyLimit(broken, lambda _: 10), [])


def test_uploads_and_other_requests_have_their_own_limits(locked: TestClient) -> None:
    right = {"Authorization": "Basic YW5uYTpww6Q6c3M="}

    def upload(size: int) -> int:
        return locked.post("/gradio_api/upload", headers=right, files={"files": ("a.jpg", b"x" * size)}).status_code

    def chunked(path: str, size: int) -> int:
        body = iter([b"x" * 1000] * (size // 1000))
        headers = {**right, "Content-Type": "multipart/form-data; boundary=b"}
        return locked.post(path, headers=headers, content=body).status_code

    assert upload(40_000) == 200
    assert upload(60_000) == 413
    assert upload(600_000) == 413
    assert chunked("/gradio_api/upload", 600_000) == 413
    assert chunked("/gradio_api/queue/join", 3_000_000) == 413


async def _answer(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _fine(scope: Scope, receive: Receive, send: Send) -> None:
    await _answer(send, 200)


async def _reads(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await _answer(send, 200)


def _ask(
    app: Any, chunks: Sequence[bytes], headers: dict[str, str] | None = None, kind: str = "http", method: str = "POST"
) -> list[Message]:
    """What ``app`` sends in answer to one request."""
    sent: list[Message] = []
    waiting = [
        {"type": "http.request", "body": chunk, "more_body": n < len(chunks)} for n, chunk in enumerate(chunks, start=1)
    ]

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: dict[str, Any] = {"type": kind, "path": "/x", "headers": raw, "query_string": b""}
    if kind == "http":
        scope["method"] = method
    asyncio.run(app(scope, receive, send))
    return sent
