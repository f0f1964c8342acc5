"""What the crash tests share: pictures, the process to be killed, and the truth of a gallery read by other means.

``Truth`` is read with plain SQL and plain NumPy, not with the program under test.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from retrieval.workflows.gallery import Gallery
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status
from tests.conftest import REPOSITORY, draw

DIMENSION = 32
LABELS = ("apple", "bread", "cup", "door", "egg", "fern", "glove", "hat")
SAME = 1e-3
"""How far vectors and scores of two runs may differ: other batches round otherwise."""


# ------------------------------------------------------------------------------------------------------- pictures


def draw_library(folder: Path, count: int = 300) -> Path:
    """``count`` small pictures in eight folders and nested ones, some of them twice, and ten files that are broken."""
    for n in range(count):
        label = LABELS[n % len(LABELS)]
        place = folder / label / ("new" if n % 5 == 0 else "")
        draw(place / f"{n:04d}.{'png' if n % 7 == 0 else 'jpg'}", seed=n, size=(40, 32))
    for n in range(0, count, 15):
        shutil.copy2(next((folder / LABELS[n % 8]).rglob(f"{n:04d}.*")), folder / "hat" / f"copy-{n:04d}.jpg")
    for n in range(5):
        good = (folder / LABELS[1] / "0001.jpg").read_bytes()
        (folder / "egg" / f"cut-{n}.jpg").write_bytes(good[: 30 + 40 * n])
        (folder / "door" / f"noise-{n}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(n, n + 90)))
    (folder / "cup" / "notes.txt").write_text("no image")
    return folder


def change_library(folder: Path) -> None:
    """What happens to a folder of photos between two runs: moved, renamed, removed, edited, copied and new files."""
    (folder / "apple").rename(folder / "orange")
    (folder / "bread" / "0001.jpg").rename(folder / "bread" / "first.jpg")
    for path in sorted((folder / "fern").rglob("*.jpg"))[:12]:
        path.unlink()
    for n, path in enumerate(sorted((folder / "glove").rglob("*.jpg"))[:12]):
        draw(path, seed=5000 + n, size=(48, 32))
    for n, path in enumerate(sorted((folder / "door").rglob("*.jpg"))[:6]):
        shutil.copy2(path, folder / "cup" / f"again-{n}.jpg")
    for n in range(60):
        draw(folder / "igloo" / f"{n:04d}.jpg", seed=6000 + n, size=(40, 32))
    (folder / "egg" / "cut-0.jpg").write_bytes((folder / "hat" / "0007.png").read_bytes())


def make_small_model(folder: Path) -> Path:
    """An untrained encoder with a hundred thousand weights and 32 dimensions."""
    from retrieval.workflows.models import create_model

    create_model(
        folder, backbone="test_efficientnet", untrained=True, seed=3, input_size=32, head="linear", dim=DIMENSION
    )
    return folder


# -------------------------------------------------------------------------------------------- processes to be killed


@dataclass(frozen=True)
class Ended:
    """How a process ended: by a signal or with an exit code, and its last words."""

    signal: int | None
    code: int | None
    words: str


def at(point: str, when: str, nth: int = 1, about: str = "") -> dict[str, object]:
    """A sabotage; see ``child.sabotage``."""
    return {"point": point, "when": when, "nth": nth, "about": about}


class Launcher:
    """``tests.crash.child``, ready to fork processes that do one thing each and may be killed."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "child.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.child"],
            cwd=REPOSITORY,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._event() == {"event": "ready"}

    def close(self) -> None:
        """End the launcher."""
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def start(self, task, sabotage=None, largest_file=None, user=None, **arguments) -> "Running":
        """Begin a task; paths are given as they are."""
        order = {
            "task": task,
            "arguments": {name: str(value) for name, value in arguments.items()},
            "log": str(self._log),
            "sabotage": [sabotage] if sabotage else [],
            "largest_file": largest_file,
            "user": user,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Running(self, self._event()["pid"])

    def run(self, task, **order) -> Ended:
        """Do a task to its end, whatever that is."""
        return self.start(task, **order).wait()

    def ended(self) -> Ended:
        """Wait for the process at hand."""
        event = self._event()
        return Ended(event["signal"], event["code"], self._log.read_text(errors="replace"))

    def _event(self) -> dict:
        line = self._process.stdout.readline()
        assert line, "the launcher died"
        return json.loads(line)


class Running:
    """A task that was begun."""

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self._launcher = launcher
        self._begun = time.monotonic()
        try:
            self._process = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None

    def wait(self) -> Ended:
        """Let it come to its end."""
        return self._launcher.ended()

    def kill_after(self, seconds: float, *, everything: bool) -> Ended:
        """SIGKILL to the process, and with ``everything`` to its decoders too; alone, they must go by themselves."""
        time.sleep(max(0.0, self._begun + seconds - time.monotonic()))
        workers = kill(self._process, everything=everything)
        ended = self._launcher.ended()
        assert_gone(workers)
        return ended


def kill(process: psutil.Process | None, *, everything: bool) -> list[psutil.Process]:
    """SIGKILL; returns the children there were."""
    if process is None:
        return []
    with suppress(psutil.NoSuchProcess):
        workers = process.children(recursive=True)
        process.kill()
        for worker in workers if everything else ():
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        return workers
    return []


def assert_gone(processes: list[psutil.Process], seconds: float = 20.0) -> None:
    """These processes end by themselves, now or soon."""
    deadline = time.monotonic() + seconds
    while left := [process for process in processes if _alive(process)]:
        assert time.monotonic() < deadline, f"still alive: {left}"
        time.sleep(0.02)


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


# ----------------------------------------------------------------------------------------------------- truth


@dataclass(frozen=True)
class Truth:
    """What a gallery holds, by content and not by number.

    Attributes:
        files: (digest or None, state, reason) by relative path.
        labels: by digest.
        vectors: float32 by digest.
        findable: digests.
        rows: committed rows of the vector store.
        sizes: of the vector files.
    """

    files: dict[bytes, tuple[bytes | None, str, str | None]]
    labels: dict[bytes, set[str]]
    vectors: dict[bytes, np.ndarray]
    findable: set[bytes]
    rows: int
    sizes: tuple[int, int]


NOTHING = Truth({}, {}, {}, set(), 0, (0, 0))

_FILES = "SELECT relpath, digest, state, reason FROM files LEFT JOIN images ON images.id = image_id"
_LABELS = "SELECT digest, label FROM labels JOIN images ON images.id = image_id WHERE undone_by IS NULL"
_EMBEDDED = "SELECT digest, row, active FROM embedded JOIN images ON images.id = image_id"


def read_truth(gallery: Path) -> Truth:
    """The truth of a gallery, read by other means than its own."""
    with closing(sqlite3.connect(gallery / "catalog.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        space = connection.execute("SELECT fingerprint, rows FROM spaces").fetchone()
        files = {relpath: (digest, state, reason) for relpath, digest, state, reason in connection.execute(_FILES)}
        labels: dict[bytes, set[str]] = {}
        for digest, label in connection.execute(_LABELS):
            labels.setdefault(digest, set()).add(label)
        embedded = connection.execute(_EMBEDDED).fetchall()
    if space is None:
        return Truth(files, labels, {}, set(), 0, (0, 0))
    folder = gallery / "spaces" / space[0][:16]
    sizes = tuple(path.stat().st_size if path.exists() else 0 for path in (folder / "vectors.f16", folder / "rows.bin"))
    stored = np.zeros((0, DIMENSION))
    if space[1]:
        stored = np.fromfile(folder / "vectors.f16", "<f2", space[1] * DIMENSION).reshape(space[1], DIMENSION)
    vectors = {digest: stored[row].astype(np.float32) for digest, row, _ in embedded}
    return Truth(files, labels, vectors, {digest for digest, _, active in embedded if active}, space[1], sizes)


def assert_same(truth: Truth, reference: Truth) -> None:
    """The same files, labels, contents and vectors."""
    assert truth.files == reference.files
    assert truth.labels == reference.labels
    assert truth.findable == reference.findable
    assert truth.vectors.keys() == reference.vectors.keys()
    assert_same_vectors(truth, reference)


def assert_same_vectors(truth: Truth, reference: Truth) -> None:
    """Every vector is the one that the reference has for that content."""
    for digest, vector in truth.vectors.items():
        np.testing.assert_allclose(vector, reference.vectors[digest], atol=SAME)


def assert_nothing_twice(truth: Truth) -> None:
    """A row for each content, none besides, and files that end where the rows end."""
    assert truth.rows == len(truth.vectors)
    assert truth.sizes == (truth.rows * 2 * DIMENSION, truth.rows * 16)


def assert_sound(gallery: Path, reference: Truth, before: Truth = NOTHING, earlier: Truth = NOTHING) -> Truth:
    """What must hold after every kill, seen by a process that knows nothing yet.

    It opens, everything agrees, search is right for what is committed, no record is half, nothing committed is lost.

    Args:
        gallery: that was killed.
        reference: what it will be in the end.
        before: what it was before the killed run.
        earlier: what it was before the photos changed, if they did.
    """
    if not (gallery / "catalog.sqlite3").exists():
        assert before is NOTHING
        return NOTHING
    found = status(gallery, check=True)
    assert found.agree, found.problems
    truth = read_truth(gallery)
    for relpath, record in truth.files.items():
        assert record in (reference.files.get(relpath), earlier.files.get(relpath))
    done = {r for r in before.files.keys() & reference.files.keys() if before.files[r] == reference.files[r]}
    assert all(truth.files.get(relpath) == reference.files[relpath] for relpath in done)
    assert truth.vectors.keys() >= before.vectors.keys()
    assert truth.vectors.keys() <= reference.vectors.keys() | earlier.vectors.keys()
    assert_same_vectors(truth, Truth({}, {}, {**earlier.vectors, **reference.vectors}, set(), 0, (0, 0)))
    assert truth.rows == len(truth.vectors)
    assert_search_is_right(gallery, truth)
    return truth


def assert_as_if_never_interrupted(gallery: Path, reference: Truth, reference_gallery: Path) -> None:
    """After all: what an uninterrupted gallery holds, nothing lost, nothing twice, and the same answers."""
    truth = assert_sound(gallery, reference)
    assert_same(truth, reference)
    assert_nothing_twice(truth)
    some = sorted(truth.findable)[::20]
    assert_same_answers(search_by_digest(gallery, some), search_by_digest(reference_gallery, some))


def assert_brought_back(gallery: Path, original: Path) -> None:
    """After a repair and a run: everything agrees, and all is as it was before the damage."""
    found = status(gallery, check=True)
    assert found.agree, found.problems
    truth = read_truth(original)
    assert_same(read_truth(gallery), truth)
    some = sorted(truth.findable)[::10]
    assert_same_answers(search_by_digest(gallery, some), search_by_digest(original, some))


# ------------------------------------------------------------------------------------------------------- searching


def assert_search_is_right(gallery: Path, truth: Truth, queries: int = 5, k: int = 10) -> None:
    """The neighbours of some images are those that NumPy finds among the committed vectors."""
    if not truth.findable:
        return
    digests = sorted(truth.findable)
    matrix = np.stack([truth.vectors[digest] for digest in digests]).astype(np.float64)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    for number, found in search_by_digest(gallery, digests[:: max(1, len(digests) // queries)], k).items():
        at = digests.index(number)
        scores = matrix @ matrix[at]
        scores[at] = -np.inf
        best = sorted(scores[np.isfinite(scores)], reverse=True)[:k]
        np.testing.assert_allclose([score for _, score in found], best, atol=1e-5)
        for digest, score in found:
            assert abs(scores[digests.index(digest)] - score) < 1e-5


def search_by_digest(
    gallery: Path,
    digests: Iterable[bytes],
    k: int = 10,
    say: Callable[[str], None] = lambda _: None,
    names: dict[bytes, int] | None = None,
) -> dict[bytes, list[tuple[bytes, float]]]:
    """[(digest, score)] for each of some indexed images; ``names`` are their ids, read from the gallery by default."""
    names = names or ids_by_digest(gallery)
    digest_of = {number: digest for digest, number in names.items()}
    with Gallery(gallery) as opened, Searcher(opened, say) as searcher:
        return {
            digest: [(digest_of[n.id], n.score) for n in searcher.by_id(names[digest], k).neighbours]
            for digest in digests
        }


def ids_by_digest(gallery: Path) -> dict[bytes, int]:
    """Image ids by digest."""
    with closing(sqlite3.connect(gallery / "catalog.sqlite3")) as connection:
        return dict(connection.execute("SELECT digest, id FROM images").fetchall())


def assert_same_answers(found: dict[bytes, list], expected: dict[bytes, list]) -> None:
    """The same neighbours with the same scores; places may be swapped where scores differ by rounding only."""
    assert found.keys() == expected.keys()
    for digest, row in found.items():
        other = expected[digest]
        np.testing.assert_allclose([s for _, s in row], [s for _, s in other], atol=SAME)
        last = min((s for _, s in other), default=0.0)
        for only in {d for d, _ in row} ^ {d for d, _ in other}:
            score = dict(row).get(only, dict(other).get(only))
            assert abs(score - last) < 2 * SAME


def space_folder(gallery: Path) -> Path:
    """Where the vectors of a gallery with one space lie."""
    (folder,) = (gallery / "spaces").iterdir()
    return folder
