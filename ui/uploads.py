"""The guard before Gradio: what a request names as a file must have been uploaded to this server.

Gradio looks for file data in the values of every input, a number's or a list of labels' too, and fetches what has an
address before any component sees it; one of its routes fetches addresses outright. A server inside a network must not
be sent about in it.
"""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_FILE_ROUTE = "/gradio_api/file="
_PROXY_ROUTE = "/gradio_api/proxy="
# Longer than a drive's letter. One slash is enough: some servers fold two into one.
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


class OnlyUploads:
    """Refuses requests that name a file by an address, or by a path outside the folder of uploads.

    Args:
        folder: of uploads.
        upload_paths: where uploads go; their bodies are files, and are not looked into.
    """

    def __init__(self, app: ASGIApp, folder: Path, upload_paths: Collection[str] = ()) -> None:
        self.app = app
        self._folder = folder.resolve()
        self._upload_paths = frozenset(upload_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in self._upload_paths:
            await self.app(scope, receive, send)
        elif _fetches(scope["path"]):
            await _refuse(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
        else:
            messages = await _received(receive)
            if self._is_fine(b"".join(message.get("body", b"") for message in messages)):
                await self.app(scope, _again(messages, receive), send)
            else:
                await _refuse(scope, receive, send)

    def _is_fine(self, body: bytes) -> bool:
        try:
            # As the framework reads it.
            value = json.loads(body)
        except RecursionError:
            return False
        except ValueError:
            return True
        return all(self._is_upload(file) for file in _files_in(value))

    def _is_upload(self, file: dict[str, Any]) -> bool:
        path, url = file.get("path"), file.get("url")
        if isinstance(path, str) and not self._holds(path):
            return False
        if not isinstance(url, str) or not url:
            return True
        # The page sends back the address that it shows the upload under.
        _, route, named = url.partition(_FILE_ROUTE)
        return bool(route) and self._holds(unquote(named))

    def _holds(self, path: str) -> bool:
        if _ADDRESS.match(path):
            return False
        try:
            return Path(path).resolve().is_relative_to(self._folder)
        except (OSError, ValueError, RuntimeError):
            return False


def _fetches(path: str) -> bool:
    named = path.partition(_FILE_ROUTE)[2]
    return _PROXY_ROUTE in path or _ADDRESS.match(named) is not None


def _files_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every object that Gradio may take for a file, however deep it lies."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "path" in one:
                yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


async def _received(receive: Receive) -> list[Message]:
    """The messages that make up a request's body."""
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Gives what was received already once more, and then goes on."""
    left = list(messages)

    async def replay() -> Message:
        return left.pop(0) if left else await receive()

    return replay


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    text = "Files must be uploaded to this server; addresses and other paths are not read.\n"
    await PlainTextResponse(text, 403)(scope, receive, send)
