"""One process indexes, others look: what they see, and what they must not do."""

import contextlib
import importlib
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from retrieval.core.errors import EmptyGallery, GalleryBusy
from retrieval.workflows.backup import backup, restore
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status
from retrieval.workflows.upkeep import prune, remove_root

from .support import PLUGINS, PYTHON, counts, environment, fill, index, save

SIZES = importlib.import_module("retrieval.index.choose")
"""The module; the package gives its function under the same name."""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts the command in a process group of its own, as a terminal does; ends what a failed test leaves."""
    running: list[subprocess.Popen[bytes]] = []

    def run(*args: object, slow: float = 0.0) -> "subprocess.Popen[bytes]":
        env = environment(
            PYTHONPATH=f"{PLUGINS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            RETRIEVAL_PLUGINS="slow_decoder",
            RETRIEVAL_TEST_SLOW=str(slow),
        )
        process = subprocess.Popen(
            [PYTHON, "-m", "retrieval", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def known_files(gallery: Path) -> int:
    """How many files the catalog knows, by a look of our own."""
    with sqlite3.connect(f"file:{gallery / 'catalog.sqlite3'}?mode=ro", uri=True, timeout=30) as connection:
        count = connection.execute("SELECT count(*) FROM files").fetchone()[0]
    connection.close()
    return int(count)


def decoders(pid: int) -> list[psutil.Process]:
    """The decoding processes that a run has started."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "retrieval.images.worker" in child.cmdline():
                found.append(child)
    return found


def wait(condition: Callable[[], object], seconds: float = 120) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("look", ["check", "seal", "refuse_damage", "status", "backup"])
def test_looking_at_the_catalog_keeps_other_processes_out(six: tuple[Path, Path], tmp_path: Path, look: str) -> None:
    """POSIX forgets all of a process's locks on a file when it closes any descriptor of it; SQLite in another process
    would then take itself for the last one, and remove the journal under the feet of this one."""
    gallery, _ = six
    with Gallery(gallery) as opened:
        # Sealed and at rest, so that whoever checks it reads the file.
        assert opened.catalog.get("key") is None
        if look == "seal":
            # Only a stale seal is written again.
            opened.catalog.put("key", 0)
        if look == "status":
            status(gallery, check=True)
        elif look == "backup":
            backup(gallery, tmp_path / "saved.tar")
        else:
            getattr(opened.catalog, look)()
        opened.catalog.put("key", 1)
        script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta'); c.close()"
        subprocess.run([PYTHON, "-c", script, gallery / "catalog.sqlite3"], check=True)
        assert (gallery / "catalog.sqlite3-wal").exists()
        opened.catalog.put("key", 2)
    with Gallery(gallery) as opened:
        assert opened.catalog.get("key") == 2


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
def test_ctrl_c_keeps_what_was_done_and_the_next_run_goes_on(gallery: Path, tmp_path: Path, start: Start) -> None:
    photos = fill(tmp_path / "many", range(1000, 1240))
    process = start("index", photos, "--gallery", gallery, "--workers", 2, "--json", slow=0.04)
    wait(lambda: known_files(gallery))
    workers = decoders(process.pid)
    assert workers

    # While it runs: a second indexer is refused, everything that only reads goes on.
    with pytest.raises(GalleryBusy, match="Another process"):
        index(gallery, photos)
    with pytest.raises(GalleryBusy):
        prune(gallery)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        found = searcher.by_image((photos / "1000.png").read_bytes(), 3)
        assert found.neighbours[0].score > 0
    assert status(gallery, check=True).problems == []
    backup(gallery, tmp_path / "meanwhile.tar")

    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    report = json.loads(out)
    assert report["interrupted"]
    assert 0 < report["embedded"] < 240
    assert report["found"] == sum(report[n] for n in ("new", "changed", "moved", "copied", "unchanged", "failed"))
    assert known_files(gallery) == report["found"]
    message = err.decode()
    assert "Traceback" not in message
    assert "Error: Stopped" in message.replace("\n", " ")
    assert "goes on from here" in message
    assert not [worker for worker in workers if worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE]

    rest = index(gallery, photos)
    assert report["embedded"] + rest.embedded == 240
    assert rest.unchanged == report["found"]
    assert status(gallery, check=True).problems == []

    restore(tmp_path / "meanwhile.tar", tmp_path / "restored")
    found = status(tmp_path / "restored", check=True)
    assert found.problems == []
    assert index(tmp_path / "restored", photos).embedded == 240 - found.images


@pytest.mark.slow
def test_a_second_ctrl_c_ends_at_once_and_nothing_is_lost(gallery: Path, tmp_path: Path, start: Start) -> None:
    photos = fill(tmp_path / "many", range(1000, 1060))
    process = start("index", photos, "--gallery", gallery, "--workers", 1, slow=1.0)
    wait(lambda: decoders(process.pid))
    workers = decoders(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # Where the first one had ended it already, Python was on its way out, and the signal ends it: 130 to a shell, too.
    assert process.returncode in (130, -signal.SIGINT), err
    assert b"Traceback" not in err
    # The sixty pictures take a minute; the batch under way would take several seconds more.
    assert time.monotonic() - began < 20
    wait(lambda: not [w for w in workers if w.is_running() and w.status() != psutil.STATUS_ZOMBIE], 20)
    assert status(gallery, check=True).problems == []
    rest = index(gallery, photos)
    assert rest.found == 60
    assert rest.embedded + rest.unchanged == 60


@pytest.mark.slow
def test_a_searcher_sees_what_another_process_does_from_the_first_image_on(
    gallery: Path, tmp_path: Path, start: Start
) -> None:
    photos = fill(tmp_path / "photos", range(4))
    query = (photos / "0000.png").read_bytes()
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        assert searcher.summary().images == 0
        with pytest.raises(EmptyGallery):
            searcher.by_image(query)
        process = start("index", photos, "--gallery", gallery, "--workers", 1)
        assert process.wait(timeout=120) == 0, process.stderr and process.stderr.read()
        assert searcher.summary().images == 4
        found = searcher.by_image(query, 10)
        assert len(found.neighbours) == 4
        assert found.neighbours[0].paths == (str(photos / "0000.png"),)

        (photos / "0001.png").unlink()
        index(gallery, photos)
        assert searcher.summary().images == 3
        assert len(searcher.by_image(query, 10).neighbours) == 3
        prune(gallery)
        assert len(searcher.by_image(query, 10).neighbours) == 3

        fill(photos, range(4, 9))
        index(gallery, photos)
        assert len(searcher.by_image(query, 10).neighbours) == 8
        (photos / "0000.png").rename(photos / "renamed.png")
        index(gallery, photos)
        assert searcher.by_image(query, 1).neighbours[0].paths == (str(photos / "renamed.png"),)

        remove_root(gallery, photos)
        assert searcher.summary().images == 0
        with pytest.raises(EmptyGallery):
            searcher.by_image(query)


def test_a_searcher_opened_on_a_gallery_without_a_space_sees_it_come(tmp_path: Path, tiny_model: Path) -> None:
    photos = fill(tmp_path / "photos", range(3))
    with Gallery(tmp_path / "gallery", create=True) as opened, Searcher(opened) as searcher:
        searcher.warm()
        # Whoever uploads before anything is indexed need not wait for a decoder to start either.
        deadline = time.monotonic() + 60
        while not searcher._pool.pids() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert searcher._pool.pids()
        assert searcher.summary().model == ""
        with pytest.raises(EmptyGallery):
            searcher.by_image((photos / "0000.png").read_bytes())
        index(tmp_path / "gallery", photos, model=str(tiny_model))
        summary = searcher.summary()
        assert (summary.images, summary.model, summary.trained) == (3, "tiny", False)
        assert len(searcher.by_image((photos / "0000.png").read_bytes()).neighbours) == 3


def test_a_searcher_that_was_warmed_stays_so_when_a_space_goes_live(tmp_path: Path, tiny_model: Path) -> None:
    embedded = threading.Event()
    photos = fill(tmp_path / "photos", range(3))
    with (
        Gallery(tmp_path / "gallery", create=True) as opened,
        Searcher(opened) as searcher,
        pytest.MonkeyPatch.context() as patched,
    ):
        whole = GalleryEncoder.embed
        patched.setattr(GalleryEncoder, "embed", lambda *args: (whole(*args), embedded.set())[0])
        searcher.warm()
        index(tmp_path / "gallery", photos, model=str(tiny_model))
        embedded.clear()
        assert searcher.summary().images == 3
        assert embedded.wait(60)


def test_many_threads_may_search_while_the_gallery_changes(gallery: Path, tmp_path: Path) -> None:
    photos = fill(tmp_path / "photos", range(6))
    index(gallery, photos)
    queries = [path.read_bytes() for path in sorted(photos.iterdir())]
    stop = threading.Event()
    with Gallery(gallery) as opened, Searcher(opened, workers=2) as searcher, ThreadPoolExecutor(4) as threads:

        def search(n: int) -> int:
            searches = 0
            while not stop.is_set():
                found = searcher.by_image(queries[n], 100)
                best = found.neighbours[0]
                assert best.paths == (str(photos / f"{n:04d}.png"),)
                assert best.score > 0.999
                assert len({neighbour.id for neighbour in found.neighbours}) == len(found.neighbours)
                searches += 1
            return searches

        running = [threads.submit(search, n) for n in range(4)]
        try:
            for round_ in range(3):
                save(photos / "extra.png", 50 + round_)
                index(gallery, photos)
                (photos / "extra.png").unlink()
                index(gallery, photos)
        finally:
            stop.set()
        assert all(future.result() > 0 for future in running)
    # The extra picture is gone, and counted for as long as it is not forgotten.
    assert counts(index(gallery, photos)) == {"found": 6, "unchanged": 6, "missing": 1}


def test_the_kind_of_index_follows_the_size_in_both_directions(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thresholds, made small: a run crosses each, and a process that was open before crosses it with it."""
    monkeypatch.setattr(SIZES, "FLAT_BELOW", 270)
    monkeypatch.setattr(SIZES, "SHRUNK_TO", 265)
    gallery, photos = tmp_path / "gallery", fill(tmp_path / "photos", range(260))
    index(gallery, photos, model=str(tiny_model))
    with Gallery(gallery) as opened:
        space = opened.live_space()
        before = LiveIndex(opened, space)
        assert before.kind == "faiss-flat"
        fill(photos, range(260, 280))
        index(gallery, photos)
        before.refresh()
        assert (before.kind, len(before)) == ("faiss-ivf-sq8", 280)
        assert (LiveIndex(opened, space).kind, len(LiveIndex(opened, space))) == ("faiss-ivf-sq8", 280)
        for path in sorted(photos.glob("*.png"))[:20]:
            path.unlink()
        index(gallery, photos)
        before.refresh()
        assert (before.kind, len(before)) == ("faiss-flat", 260)
    found = status(gallery, check=True)
    assert found.agree
    assert found.index is not None
    assert (found.index.kind, found.index.vectors) == ("faiss-flat", 260)


def test_a_search_is_answered_while_only_an_outgrown_snapshot_is_there(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The indexer was killed between its last commit and its snapshot."""
    gallery, photos = tmp_path / "gallery", fill(tmp_path / "photos", range(6))
    index(gallery, photos, model=str(tiny_model))
    with monkeypatch.context() as patch:
        patch.setattr(LiveIndex, "publish", lambda self: None)
        index(gallery, fill(photos, range(6, 10)))
    monkeypatch.setattr(SIZES, "FLAT_BELOW", 8)
    with Gallery(gallery) as opened:
        assert len(LiveIndex(opened, opened.live_space())) == 10
