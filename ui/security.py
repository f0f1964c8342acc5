"""Who may talk to the server, and how much: plain ASGI middlewares that stand before everything, Gradio included."""

import base64
import binascii
import hmac
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names under which a browser on the same machine reaches a server that is bound to a loopback address."""

# Scripts, styles and evaluated templates are how Gradio's page works; but nothing may be fetched from, sent to or
# framed by anybody else.
_CONTENT_POLICY = (
    "default-src 'self' blob: data: 'unsafe-inline' 'unsafe-eval'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_POLICY = "Content-Security-Policy"
_HEADERS = {
    _POLICY: _CONTENT_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SecureHeaders:
    """Adds headers that keep other sites, and guesses about media types, out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    # A document that is shown in a sandbox brings its own policy, a stricter one.
                    if name != _POLICY or not headers.get(name, "").startswith("sandbox;"):
                        headers[name] = value
            await send(message)

        await self.app(scope, receive, with_headers)


class KnownHosts:
    """Refuses requests under a foreign host name, against DNS rebinding.

    Args:
        hosts: gives the names to allow without their port, or None to allow all; asked at each request, since what
            is right depends on the address the server is bound to.
    """

    def __init__(self, app: ASGIApp, hosts: Callable[[], Collection[str] | None]) -> None:
        self.app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        allowed = self._hosts()
        if _is_request(scope) and allowed is not None and _host(scope) not in allowed:
            text = "This server does not go by that name: open the address that it said when it started.\n"
            await _refuse(scope, receive, send, PlainTextResponse(text, 421))
            return
        await self.app(scope, receive, send)


class SameOrigin:
    """Refuses requests that change something, and websockets, when another site's page sends them (CSRF)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if _is_request(scope) and scope.get("method") not in ("GET", "HEAD") and _is_foreign(Headers(scope=scope)):
            text = "Requests from other sites are refused.\n"
            await _refuse(scope, receive, send, PlainTextResponse(text, 403))
            return
        await self.app(scope, receive, send)


class BasicAuth:
    """HTTP Basic authentication for everything but the open paths.

    Args:
        pairs: user names with their passwords.
        open_paths: answered without; they must tell nothing.
    """

    def __init__(self, app: ASGIApp, pairs: Collection[tuple[str, str]], open_paths: Collection[str] = ()) -> None:
        self.app = app
        self._expected = [f"{user}:{password}".encode() for user, password in pairs]
        self._open = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if _is_request(scope) and scope["path"] not in self._open and not self._may_enter(Headers(scope=scope)):
            headers = {"WWW-Authenticate": 'Basic realm="Retrieval", charset="UTF-8"', "Cache-Control": "no-store"}
            text = "A user name and a password are needed.\n"
            await _refuse(scope, receive, send, PlainTextResponse(text, 401, headers))
            return
        await self.app(scope, receive, send)

    def _may_enter(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        try:
            pair = base64.b64decode(given.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        # All are compared, whole and in constant time: how long it takes tells nothing about a password.
        found = [hmac.compare_digest(pair, expected) for expected in self._expected]
        return any(found) and scheme.lower() == "basic"


class BodyLimit:
    """Refuses bodies that are too large: by their announced length at once, otherwise while they arrive.

    Args:
        limit: gives the most bytes that a path takes.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        self.app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            await _too_large(limit)(scope, receive, send)
            return
        await _Counted(self.app, limit).serve(scope, receive, send)


class _BodyTooLarge(Exception):
    """Thrown into the application out of ``receive``; never leaves this file."""


class _Counted:
    """One request whose body is counted while it arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._seen = 0
        self._answered = False

    @property
    def _over(self) -> bool:
        return self._seen > self._limit

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self._seen += len(message.get("body", b""))
                if self._over:
                    raise _BodyTooLarge
            return message

        async def watched(message: Message) -> None:
            # Frameworks turn what fails in ``receive`` into answers of their own; ours is the right one.
            if not self._over or self._answered:
                self._answered = True
                await send(message)

        try:
            await self._app(scope, counting, watched)
        except Exception:
            if not self._over or self._answered:
                raise
        if self._over and not self._answered:
            await _too_large(self._limit)(scope, receive, send)


def _too_large(limit: int) -> Response:
    text = f"The request is larger than {limit:,} bytes.\n"
    return PlainTextResponse(text, 413, {"Connection": "close"})


def _is_request(scope: Scope) -> bool:
    return scope["type"] in ("http", "websocket")


def _host(scope: Scope) -> str:
    host = Headers(scope=scope).get("host", "")
    return _without_port(host).lower()


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _is_foreign(headers: Headers) -> bool:
    # Browsers say where a request comes from in one of these two; programs say nothing and are no CSRF. The first is
    # the better witness: it holds behind a proxy that changes the host's name, too.
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


async def _refuse(scope: Scope, receive: Receive, send: Send, answer: Response) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await answer(scope, receive, send)
