"""Serving the application from a terminal: bind, say where, stop at Ctrl-C."""

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from retrieval.core.errors import BadValue
from ui.security import LOOPBACK_HOSTS

_GOODBYE_SECONDS = 2
_TOLD_TO_LISTEN_ANYWHERE = ("0.0.0.0", "::")


class Place:
    """A host and port that are this process's from now on: whoever asks there waits until the page is served.

    Args:
        host: address to bind to.
        port: 0 takes any free one.

    Raises:
        BadValue: the port is in use or may not be used, or the host is not this machine's.

    Attributes:
        host: as given.
        listener: the bound socket.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.listener = _bound(host, port)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(str(self.listener.getsockname()[0]))

    @property
    def names(self) -> frozenset[str]:
        """What browsers on this machine may call a local place: lower case, without the port.

        A name that was asked for, and that leads here, is as good as ``localhost``: other sites do not own it.
        """
        bound = str(self.listener.getsockname()[0])
        return LOOPBACK_HOSTS | {_in_url(name.partition("%")[0]).lower() for name in (self.host, bound)}

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return _url(self.host, int(self.listener.getsockname()[1]))

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()


def serve(app: FastAPI, place: Place, on_ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        app: from ``create_app``.
        place: where; a local one also makes the application refuse all host names but its own.
        on_ready: told the page's address once requests are answered.
    """
    app.state.hosts = place.names if place.is_local else None
    url = place.url
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GOODBYE_SECONDS,
    )
    # uvicorn closes what is open and then passes Ctrl-C on.
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, lambda: on_ready(url)).run(sockets=[place.listener])


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _bound(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise BadValue(f"{port} is not a port.", "Give --port a number from 1 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise BadValue(f"The host {host} is unknown here.", "Give --host an address of this machine.") from error
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # A port that was used a moment ago is free; on Windows this option would take a port away from others.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _cannot_bind(error, host, port) from error
    return listener


def _cannot_bind(error: OSError, host: str, port: int) -> BadValue:
    if error.errno == errno.EADDRINUSE:
        return BadValue(f"Port {port} is in use by another program.", "Give another one with --port.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return BadValue(f"Port {port} may not be used without more rights.", "Give one above 1023 with --port.")
    return BadValue(f"Cannot listen on {host}: {error.strerror}.", "Give --host an address of this machine.")


def _url(host: str, port: int) -> str:
    name = "localhost" if host in _TOLD_TO_LISTEN_ANYWHERE else host
    return f"http://{_in_url(name)}:{port}/"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
