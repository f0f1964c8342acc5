"""Serving from a terminal: ports, addresses, Ctrl-C."""

import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from retrieval.core.errors import BadValue
from ui.server import Place, is_loopback

_PROGRAM = """
import sys
from ui.app import Place, create_app, serve
from tests.ui.twins import SearcherTwin, ViewsTwin
with Place("127.0.0.1", 0) as place:
    serve(create_app(SearcherTwin(), ViewsTwin()), place, lambda url: print(url, flush=True))
print("stopped cleanly", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends Ctrl-C to whole groups of processes")
def test_it_says_where_answers_there_and_stops_at_ctrl_c() -> None:
    with subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True) as process:
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
