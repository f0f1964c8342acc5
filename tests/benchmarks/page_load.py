"""A search in the page while ten people search and a job trains: 100 thousand synthetic images, real photos as queries.

The server is a process of its own, as ``retrieval serve`` starts it; the users are threads of this one, which send the
very requests that the page sends from a browser: the upload, the page's own event, its stream until the last piece. (A
browser or a gradio_client each would take the server's cores, more than the server itself needs.) They look at each
answer for about ``LOOKS`` seconds, as people do, or, as the worst case, ask again at once; programs only do the latter.
The training is a job of the same server on an image set of its own, asked for over the API, and so in yet another
process. The gallery and the set are kept in the cache; with them it takes some six minutes.
"""

import json
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from retrieval.workflows.layout import Layout
from tests.benchmarks.search import filled
from tests.benchmarks.support import flat_copy, mobilenet, show, spread, unpacked

SIZE = 100_000
USERS = 10
SEARCHES = 20
"""Of each user, after one that is not counted."""
LOOKED = 12
"""Of each user who looks at the answers, which takes most of the time."""
TRAINED = 1_000
"""Photos that are trained on: enough for a step, and soon prepared."""
LOOKS = 5.0
"""Seconds, half more or less by chance."""
_UP_SECONDS = 480.0

User = Callable[[str], "Search"]
Search = Callable[[Path], None]


def run(quick: bool = False) -> None:
    """Print the table."""
    rounds: tuple[tuple[str, User, float, int], ...] = (
        ("page", _by_page, LOOKS, 3 if quick else LOOKED),
        ("page", _by_page, 0.0, 5 if quick else SEARCHES),
        ("API", _by_api, 0.0, 5 if quick else SEARCHES),
    )
    photos = spread(unpacked("grocery") / "test", USERS * (SEARCHES + 1))
    rows = []
    gallery = filled(1_000 if quick else SIZE)
    with served(gallery) as address:
        for trains in (False, True):
            with _training(address) if trains else nullcontext():
                for name, user, looks, searches in rounds:
                    seconds = _measured(user, address, photos[: USERS * (searches + 1)], looks)
                    rows.append([name, _pace(looks), _meanwhile(trains), *_percentiles(seconds)])
    # The gallery is kept for the next time, and is another benchmark's too.
    for folder in (Layout(gallery).jobs, Layout(gallery).runs):
        shutil.rmtree(folder, ignore_errors=True)
    show(
        f"A search over HTTP, {1_000 if quick else SIZE:,} images, {USERS} users at once (milliseconds)",
        ["asked through", "each of them", "meanwhile", "p50", "p95", "slowest"],
        rows,
    )


def _pace(looks: float) -> str:
    return f"looks for {looks:g} s between" if looks else "asks again at once"


def _meanwhile(trains: bool) -> str:
    return "a job trains" if trains else "nothing else runs"


def _percentiles(seconds: list[float]) -> list[str]:
    return [f"{1e3 * np.percentile(seconds, p):.0f}" for p in (50, 95, 100)]


@contextmanager
def served(gallery: Path) -> Iterator[str]:
    """Address of a server of its own, as ``retrieval serve`` starts it."""
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
        "dataset": str(flat_copy("page-load-train", spread(unpacked("flowers90"), TRAINED))),
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


def _measured(user: User, address: str, photos: list[Path], looks: float) -> list[float]:
    """Seconds of all searches of all users, each of whom has photos of his own."""
    seconds: list[float] = []
    failed: list[Exception] = []
    begin = threading.Barrier(USERS)

    def use(number: int) -> None:
        pauses = np.random.default_rng(number)
        try:
            search = user(address)
            mine = photos[number::USERS]
            search(mine[0])
            begin.wait(_UP_SECONDS)
            for photo in mine[1:]:
                time.sleep(looks * pauses.uniform(0.5, 1.5))
                start = time.perf_counter()
                search(photo)
                seconds.append(time.perf_counter() - start)
        except Exception as error:
            begin.abort()
            failed.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(USERS)]
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


def _by_page(address: str) -> Search:
    """What the Search page does when a photo is dropped on it: its own event, with its fields as they are at first."""
    client = httpx.Client(base_url=f"{address}/gradio_api", timeout=120)
    config = httpx.get(f"{address}/config", timeout=120).json()
    parts = {one["id"]: one["props"] for one in config["components"]}
    photo = next(number for number, props in parts.items() if props.get("elem_id") == "photo")
    event = next(one for one in config["dependencies"] if [photo, "input"] in map(list, one["targets"]))
    fields = [parts[number].get("value") for number in event["inputs"]]
    session = uuid.uuid4().hex

    def search(file: Path) -> None:
        sent = client.post("/upload", files={"files": (file.name, file.read_bytes())}).raise_for_status().json()
        picture = {"path": sent[0], "orig_name": file.name, "meta": {"_type": "gradio.FileData"}}
        data = [picture if number == photo else field for number, field in zip(event["inputs"], fields, strict=True)]
        asked = {"data": data, "fn_index": event["id"], "session_hash": session, "trigger_id": photo}
        client.post("/queue/join", json=asked).raise_for_status()
        with client.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
            _wait_for_the_end(stream)

    return search


def _wait_for_the_end(stream: httpx.Response) -> None:
    for line in stream.raise_for_status().iter_lines():
        said = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
        if said.get("msg") == "process_completed":
            if not said["success"]:
                raise RuntimeError(f"The page answered {said['output']}.")
            return
    raise RuntimeError("The page's stream ended before the answer.")
