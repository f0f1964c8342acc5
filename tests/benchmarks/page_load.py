"""A search in the page while ten people search and a job trains: 100 thousand synthetic images, real photos as queries.

The server is a process of its own, as ``retrieval serve`` starts it; the users are threads of this one, each of which
asks again as soon as it is answered. The training is a job of the same server on an image set of its own, asked for
over the API, and so in yet another process.
"""

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from retrieval.workflows.layout import Layout
from tests.benchmarks.search import filled
from tests.benchmarks.support import mobilenet, show, spread, unpacked

SIZE = 100_000
USERS = 10
SEARCHES = 20
"""Of each user, after one that is not counted."""
_UP_SECONDS = 480.0

Search = Callable[[Path], None]


def run(quick: bool = False) -> None:
    """Print the table."""
    photos = spread(unpacked("grocery") / "test", USERS)
    searches = 5 if quick else SEARCHES
    rows = []
    gallery = filled(1_000 if quick else SIZE)
    with _served(gallery) as address:
        for trains in (False, True):
            with _training(address) if trains else nullcontext():
                for name, user in (("API", _by_api), ("Gradio", _by_gradio)):
                    seconds = _measured(user, address, photos, searches)
                    said = "while a job trains" if trains else "nothing else runs"
                    rows.append([name, said, *(f"{1e3 * np.percentile(seconds, p):.0f}" for p in (50, 95, 100))])
    # The gallery is kept for the next time, and is another benchmark's too.
    for folder in (Layout(gallery).jobs, Layout(gallery).runs):
        shutil.rmtree(folder, ignore_errors=True)
    show(
        f"A search over HTTP, {1_000 if quick else SIZE:,} images, {USERS} users at once (milliseconds)",
        ["endpoint", "meanwhile", "p50", "p95", "slowest"],
        rows,
    )


@contextmanager
def _served(gallery: Path) -> Iterator[str]:
    """Address of a server of its own."""
    command = [sys.executable, "-m", "retrieval", "serve", "--port", "0", "--gallery", str(gallery)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield line.split()[4].rstrip("/")
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def _training(address: str) -> Iterator[None]:
    """A job that trains for as long as this is entered."""
    body = {
        "kind": "pretrain",
        "dataset": str(unpacked("flowers90")),
        "method": "simclr",
        "model": str(mobilenet()),
        "settings": {"epochs": 1000},
    }
    with httpx.Client(base_url=f"{address}/api/v1", timeout=120) as client:
        answer = client.post("/jobs", json=body)
        answer.raise_for_status()
        job = answer.json()["id"]
        try:
            _wait_until_it_trains(client, job)
            yield
            state = client.get(f"/jobs/{job}").json()["state"]
            if state != "running":
                sys.exit(f"The training was {state} before the searches were done: they say nothing.")
        finally:
            client.post(f"/jobs/{job}/cancel", json={"at_once": True})


def _wait_until_it_trains(client: httpx.Client, job: int) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(f"/jobs/{job}").json()
        if found["state"] not in ("queued", "running"):
            sys.exit(f"The training did not begin: {found['error']}")
        if found["progress"] and found["progress"]["part"] == "Training":
            return
        time.sleep(0.5)
    sys.exit("The training did not begin in time.")


def _measured(user: Callable[[str], Search], address: str, photos: list[Path], searches: int) -> list[float]:
    """Seconds of all searches of all users."""
    seconds: list[float] = []
    failed: list[Exception] = []
    begin = threading.Barrier(len(photos))

    def use(photo: Path) -> None:
        try:
            search = user(address)
            search(photo)
            begin.wait(_UP_SECONDS)
            for _ in range(searches):
                start = time.perf_counter()
                search(photo)
                seconds.append(time.perf_counter() - start)
        except Exception as error:
            begin.abort()
            failed.append(error)

    threads = [threading.Thread(target=use, args=(photo,)) for photo in photos]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit(f"A search failed: {failed[0]!r}")
    return seconds


def _by_api(address: str) -> Search:
    client = httpx.Client(base_url=f"{address}/api/v1", timeout=120)

    def search(photo: Path) -> None:
        client.post("/search", params={"k": 12}, content=photo.read_bytes()).raise_for_status()

    return search


def _by_gradio(address: str) -> Search:
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False, analytics_enabled=False, download_files=tempfile.mkdtemp())

    def search(photo: Path) -> None:
        client.predict(image=handle_file(str(photo)), api_name="/search")

    return search
