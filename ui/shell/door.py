"""The door to the pages: which language a request is answered in, and the frame around what Gradio answers."""

from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.shell.frame import framed, lonely, render_state
from ui.shell.job_view import number_in, render_job_view
from ui.shell.jobs_strip import SEEN_COOKIE, render_jobs
from ui.shell.page import Page
from ui.shell.site import Site
from ui.words import LANGUAGES, Words, language_of

COOKIE = "language"
"""Remembers what was chosen with the switch; holds the code of a language and nothing else."""

STATE_PATH = "/shell/state"
JOBS_PATH = "/shell/jobs"
JOB_PATH = "/shell/job"
_FOREVER = "private, max-age=31536000, immutable"
_ABOUT_LANGUAGE = {"Cache-Control": "private, no-cache", "Vary": "Accept-Language, Cookie"}


class Door:
    """Hands a request on to the application of its language, and frames the documents that come back.

    All languages are served under the same addresses: a link that is passed on opens in the reader's own.

    Args:
        apps: Gradio's application by the code of its language.
        site: the gallery.
        pages: those of the navigation.
        tongues: what is said here, by the code of its language.
    """

    def __init__(
        self, apps: Mapping[str, ASGIApp], site: Site, pages: Sequence[Page], tongues: Mapping[str, Words] = LANGUAGES
    ) -> None:
        self._apps = apps
        self._site = site
        self._pages = pages
        self._tongues = tongues

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        cookies = _cookies(Headers(scope=scope))
        words = self._tongues[_language(Headers(scope=scope), cookies)]
        app = self._apps[words.code]
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await app(scope, receive, send)
            return
        path, addresses = scope["path"].strip("/"), {page.address for page in self._pages}
        job_id = number_in(scope.get("query_string", b"").decode("latin-1"))
        if scope["path"] == STATE_PATH:
            state = await run_in_threadpool(render_state, self._site, words)
            await HTMLResponse(state, headers=_ABOUT_LANGUAGE)(scope, receive, send)
        elif scope["path"] == JOBS_PATH:
            jobs = await run_in_threadpool(render_jobs, self._site, words, _seen(cookies), addresses)
            await HTMLResponse(jobs, headers=_ABOUT_LANGUAGE)(scope, receive, send)
        elif scope["path"] == JOB_PATH:
            view = await run_in_threadpool(render_job_view, self._site, words, job_id, addresses)
            await HTMLResponse(view, headers=_ABOUT_LANGUAGE)(scope, receive, send)
        elif path in addresses:
            await self._framed(app, words, path, _seen(cookies), job_id, scope, receive, send)
        elif "text/html" in Headers(scope=scope).get("accept", "") and "/" not in path:
            await self._lonely(app, words, scope, receive, send)
        else:
            await app(scope, receive, _kept(send) if path.startswith("assets/") else send)

    async def _framed(
        self,
        app: ASGIApp,
        words: Words,
        address: str,
        seen: str,
        job_id: int | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        answer = _Whole()
        await app(scope, receive, answer.take)
        if not answer.is_document:
            await answer.send(send)
            return
        document = answer.body.decode()
        html = await run_in_threadpool(framed, document, self._site, words, self._pages, address, seen, job_id)
        headers = {**_ABOUT_LANGUAGE, "Content-Language": words.code}
        await HTMLResponse(html, headers=headers)(scope, receive, send)

    async def _lonely(self, app: ASGIApp, words: Words, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Whole()
        await app(scope, receive, answer.take)
        if answer.status != 404:
            await answer.send(send)
            return
        html = await run_in_threadpool(lonely, self._site, words, self._pages)
        await HTMLResponse(html, 404, headers=_ABOUT_LANGUAGE)(scope, receive, send)


class _Whole:
    """An answer, kept until it is complete."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    async def take(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "http.response.body"):
            self._messages.append(message)

    @property
    def status(self) -> int:
        return int(self._messages[0]["status"]) if self._messages else 500

    @property
    def is_document(self) -> bool:
        kind = Headers(raw=self._messages[0]["headers"]).get("content-type", "") if self._messages else ""
        return self.status == 200 and kind.startswith("text/html") and bool(self.body)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self._messages[1:])

    async def send(self, send: Send) -> None:
        for message in self._messages:
            await send(message)


def _cookies(headers: Headers) -> SimpleCookie:
    try:
        return SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return SimpleCookie()


def _language(headers: Headers, cookies: SimpleCookie) -> str:
    chosen = cookies[COOKIE].value if COOKIE in cookies else None
    return language_of(chosen, headers.get("accept-language", "")).code


def _seen(cookies: SimpleCookie) -> str:
    return cookies[SEEN_COOKIE].value if SEEN_COOKIE in cookies else ""


def _kept(send: Send) -> Send:
    """Gradio's own files have their content's hash in their name: a browser need not ask for them again."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            MutableHeaders(scope=message)["Cache-Control"] = _FOREVER
        await send(message)

    return sending
