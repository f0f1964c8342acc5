"""Serving from a terminal: ports, addresses, Ctrl-C."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient

from retrieval.core.errors import BadValue
from tests.ui.twins import SearcherTwin, ViewsTwin
from ui.app import create_app
from ui.server import Place, is_loopback, serve

_PROGRAM = """
import sys
from ui.app import Place, create_app, serve
from tests.ui.twins import SearcherTwin, ViewsTwin
with Place(sys.argv[1], 0) as place:
    serve(create_app(SearcherTwin(), ViewsTwin()), place, lambda url: print(url, flush=True))
print("stopped cleanly", flush=True)
"""


_LINUX_HAS_MORE = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.1 is the only address that is set up")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to whole groups of processes")
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("127.0.0.2", marks=[_LINUX_HAS_MORE, pytest.mark.slow])])
def test_it_says_where_answers_there_and_stops_at_ctrl_c(host: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, host], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with urllib.request.urlopen(url + "healthz", timeout=10) as answer:
                assert answer.status == 200
            foreign = urllib.request.Request(url, headers={"Host": "evil.example"})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(foreign, timeout=10)
            refused.value.close()
            assert refused.value.code == 421
            # A page that is open holds a connection for as long as it likes.
            held = urllib.request.urlopen(url + "gradio_api/heartbeat/test", timeout=10)
            process.send_signal(signal.SIGINT)
            assert process.stdout.read().strip() == "stopped cleanly"
            assert process.wait(10) == 0
            held.close()
        finally:
            # Where it failed nobody has stopped it.
            process.kill()


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "::1", "0:0:0:0:0:0:0:1", "Photos.home", pytest.param("127.2", marks=_LINUX_HAS_MORE)],
)
def test_the_address_that_is_said_is_let_in_and_no_other_name(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def found(name: str, *arguments: Any, **options: Any) -> Any:
        # As a line in /etc/hosts would have it.
        return real("127.0.0.1" if name == "Photos.home" else name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr("ui.server._Server.run", lambda server, sockets: server._ready())
    app, said = create_app(SearcherTwin(), ViewsTwin()), []
    try:
        place = Place(host, 0)
    except BadValue as error:
        pytest.skip(f"not on this machine: {error}")
    with place:
        serve(app, place, said.append)
        address, port = place.listener.getsockname()[:2]
    netloc = urlsplit(said[0]).netloc
    # A browser writes an address in its shortest form, and a name in lower case.
    shortest = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    client = TestClient(app)
    for name in (netloc, netloc.lower(), shortest, f"localhost:{port}", f"127.0.0.1:{port}"):
        assert client.get("/healthz", headers={"Host": name}).status_code == 200
    for name in ("evil.example", f"{host}.evil.example:{port}", f"127.0.0.77:{port}", f"photos.office:{port}"):
        assert client.get("/healthz", headers={"Host": name}).status_code == 421


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BadValue, match=rf"Port {port} is in use.*--port"):
            Place("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", 65536, "65536 is not a port"),
        ("nowhere.invalid", 0, "is unknown here"),
        ("192.0.2.1", 0, "--host"),
    ],
)
def test_a_place_that_cannot_be_bound(host: str, port: int, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        Place(host, port)


def test_a_place_is_taken_until_it_is_given_back() -> None:
    with Place("127.0.0.1", 0) as place:
        port = int(place.url.rstrip("/").rpartition(":")[2])
        assert place.url == f"http://127.0.0.1:{port}/"
        assert place.is_local
        with pytest.raises(BadValue, match="is in use"):
            Place("127.0.0.1", port)
    with Place("127.0.0.1", port):
        pass
    with Place("0.0.0.0", 0) as open_place:
        assert not open_place.is_local


def test_loopback_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org")))
