"""Watching folders: they are looked at again every few minutes, and soon after something in them changes.

Looking again is what counts: it compares names, sizes and times with the catalog, as ``index`` does, and costs no
reading of files. An index job is started only where there is something to do. The times of the folders themselves are
a hint that makes it sooner; nothing depends on them.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from retrieval.core.errors import BadValue, RetrievalError
from retrieval.core.files import write_atomically
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.jobs import Jobs, State
from retrieval.workflows.jobs.requests import IndexJob
from retrieval.workflows.planning import Planner, Spool
from retrieval.workflows.scopes import look_at_roots, scopes_for

MINUTES = (5, 15, 60, 360)
"""Periods to choose from."""

_FILE = ".watch.json"
_TICK = 5.0
_HINTS = 2_000
"""Folders whose times are looked at."""

_AFTER_A_FAILURE = 6
"""So many periods pass after a job that failed: its reason seldom goes by itself."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What is wanted of a gallery; kept in its folder.

    Attributes:
        on: watch its folders while a server runs.
        minutes: between two looks; one of ``MINUTES``.
    """

    on: bool = False
    minutes: int = 15


def watch_of(gallery: Path) -> Watch:
    """What is kept; not watched where nothing is, or where it cannot be read."""
    try:
        found = json.loads((gallery / _FILE).read_text("utf-8"))
        minutes = found["minutes"] if found["minutes"] in MINUTES else Watch().minutes
        return Watch(found["on"] is True, minutes)
    except (OSError, ValueError, KeyError, TypeError):
        return Watch()


def set_watch(gallery: Path, watch: Watch) -> None:
    """Keep what is wanted. Raises BadValue: not one of the periods; OSError: it cannot be written."""
    if watch.minutes not in MINUTES:
        raise BadValue(f"{watch.minutes} minutes is not a period.", f"Choose one of {', '.join(map(str, MINUTES))}.")
    gallery.mkdir(parents=True, exist_ok=True)
    write_atomically(gallery / _FILE, json.dumps(asdict(watch)).encode())


def has_changed(gallery: Path, *, stop: Callable[[], bool] = lambda: False) -> bool:
    """Whether an index run over all known folders would find anything to do. Nothing is changed.

    Args:
        gallery: the gallery's folder.
        stop: asked now and then; True ends the look, with what was seen so far.

    Raises:
        EmptyGallery: nothing was ever indexed.
    """
    with Gallery(gallery) as opened, Spool() as spool:
        catalog = opened.catalog
        opened.live_space()
        before, roots = {root.id: root.online for root in catalog.roots.all()}, look_at_roots(catalog, remember=False)
        if not roots:
            return False
        if any(before.get(root.id) != root.online for root in roots):
            return True
        planner = Planner(catalog, spool, lambda _: None, stop=stop, dry=roots)
        scopes = scopes_for(catalog, roots, (), record=False)
        for scope in scopes:
            planner.scan(scope)
        if planner.plan.to_read or planner.back:
            return True
        if stop():
            return False
        return any(
            planner.is_gone(scope, file_id, relpath)
            for scope in scopes
            for file_id, relpath in catalog.files.ids_below(scope.root.id, scope.below)
        )


class Watcher:
    """Watches the folders of one gallery from a thread of its own, as long as its settings say so.

    Args:
        gallery: the gallery's folder.
        jobs: its jobs.
        tick: seconds between two looks at the settings and the hints.
        clock: seconds that only rise.
    """

    def __init__(
        self, gallery: Path, jobs: Jobs, *, tick: float = _TICK, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gallery = gallery
        self._jobs = jobs
        self._tick = tick
        self._clock = clock
        self._looked: float | None = None
        self._times: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._ended.wait(self._tick):
            self.step()

    def step(self) -> bool:
        """One tick. Returns whether an index job was started; problems are for the next tick to meet again."""
        watch = watch_of(self._gallery)
        if not watch.on:
            self._looked, self._times = None, {}
            return False
        try:
            return self._is_due(watch) and self._look()
        except (RetrievalError, OSError):
            return False

    def _is_due(self, watch: Watch) -> bool:
        newest = next((job for job in self._jobs.list() if job.kind == "index"), None)
        if newest is not None and not newest.state.is_over:
            return False
        failed = newest is not None and newest.state in (State.FAILED, State.LOST)
        hinted = self._is_hinted() and not failed
        wait = watch.minutes * 60 * (_AFTER_A_FAILURE if failed else 1)
        return self._looked is None or hinted or self._clock() - self._looked >= wait

    def _look(self) -> bool:
        self._looked = self._clock()
        if not has_changed(self._gallery, stop=self._ended.is_set) or self._ended.is_set():
            return False
        self._jobs.submit(IndexJob(quiet=True))
        return True

    def _is_hinted(self) -> bool:
        """Whether a folder's own time is another one than at the last tick: something came, went or was renamed."""
        with Gallery(self._gallery) as opened:
            roots = [os.fsdecode(root.path) for root in opened.catalog.roots.all() if root.whole]
        now = dict(_times(roots))
        before, self._times = self._times, now
        return bool(before) and now != before


def _times(roots: list[str]) -> Iterator[tuple[str, int]]:
    """The times of folders, from the top down; of a very large tree only the first."""
    waiting, left = list(roots), _HINTS
    while waiting and left:
        folder, left = waiting.pop(0), left - 1
        try:
            yield folder, os.stat(folder).st_mtime_ns
            with os.scandir(folder) as entries:
                below = [e.path for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False)]
                waiting += sorted(below)
        except OSError:
            continue
