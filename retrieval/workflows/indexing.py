"""Index folders: scan, plan, read, decode, embed, commit a batch at a time, and account for every file."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from retrieval.catalog import Catalog, Counts, Indexed
from retrieval.core.errors import disk_full_is_said
from retrieval.core.settings import Settings, available_cores, load_settings
from retrieval.core.types import EmbeddingSpace
from retrieval.embedding import Embedded, embed_files
from retrieval.images.jobs import ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.birth import Birth
from retrieval.workflows.encoders import GalleryEncoder, ensure_space, refuse_other_encoder
from retrieval.workflows.gallery import Gallery, nothing_indexed, refuse_strangers
from retrieval.workflows.last_run import remember_run
from retrieval.workflows.layout import Layout
from retrieval.workflows.live_index import LiveIndex, Say
from retrieval.workflows.own_files import refuse_own_files
from retrieval.workflows.planning import Plan, Planner, Spool, Todo
from retrieval.workflows.scopes import Scope, apart, check_paths, files_offline, look_at_roots, scopes_for

_BATCH_FILES = 256
_BATCH_SECONDS = 2.0
_CATALOG_BYTES_A_FILE = 900
"""What a file and its image take in the catalog, indexes included; measured on 10,000 files."""

_NICE = 5
"""Decoders step back where the encoder wants the processor: it is the bottleneck, they only keep ahead of it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is about to cost, said before it starts.

    Attributes:
        plan: what the scan found.
        offline: files in roots that cannot be reached.
        seconds: for reading, decoding and embedding; None where nothing must be read.
        bytes: disk that the gallery will take in addition.
    """

    plan: Plan
    offline: int
    seconds: float | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: files that must be read, of which so many are done and failed; rate and time left."""

    done: int
    total: int
    failed: int
    images_per_second: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Every file accounted for: found = new + changed + moved + copied + unchanged + failed.

    Attributes:
        found: image files in what was indexed (and files that claim to be images).
        new: with a content never seen before.
        changed: known paths with another content than before.
        moved: known contents whose known place is gone.
        copied: known contents that are still at a known place too.
        unchanged: as they were.
        failed: that could not be used; each is listed with its reason.
        skipped: files that are no images.
        missing: files that were there before and are gone from a folder that was looked at; each run counts them all.
        offline: files in folders that cannot be reached; nothing is concluded about them. Each run counts them all,
            except those that were missing already.
        embedded: image contents that were embedded.
        seconds: the whole run.
        images_per_second: contents embedded in the time spent on reading and embedding; 0 where none were.
        space: fingerprint of the embedding space.
        interrupted: the run was stopped; the next one goes on from here.
    """

    found: int
    new: int
    changed: int
    moved: int
    copied: int
    unchanged: int
    failed: int
    skipped: int
    missing: int
    offline: int
    embedded: int
    seconds: float
    images_per_second: float
    space: str
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a run talks to whoever started it.

    Attributes:
        say: one line about anything unusual.
        estimated: the costs, before anything is read.
        progress: now and then.
        stop: asked often; True ends the run cleanly after the batch at hand.
    """

    say: Say = lambda _: None
    estimated: Callable[[Estimate], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False


def index_paths(
    folder: Path,
    paths: Sequence[Path],
    *,
    model: str | None = None,
    workers: int | None = None,
    settings: Settings | None = None,
    hooks: Hooks | None = None,
) -> IndexReport:
    """Bring a gallery up to date with folders and files.

    Args:
        folder: the gallery's; made if absent.
        paths: folders (recursively) and single files; none means all folders that were indexed before.
        model: see ``models.resolve_model``; needed at most for the first run.
        workers: decoding processes; as many as there are cores by default.
        settings: from the environment by default.
        hooks: who to talk to.

    Raises:
        NoSuchPath, GalleryBusy, ModelMismatch, ModelUnavailable, DiskFull, …: see ``core.errors``. Whatever is
        raised, what was committed stays, and the next run goes on from there.
    """
    settings, hooks = settings or load_settings(), hooks or Hooks()
    _check(folder, paths)
    birth = Birth(folder)
    with (
        disk_full_is_said(str(folder)),
        Gallery(folder, settings, create=True) as gallery,
        gallery.writing(),
        birth.of(gallery),
        Spool() as spool,
    ):
        started = monotonic()
        # A path or a model that cannot be used is refused before anything is recorded.
        scopes_for(gallery.catalog, look_at_roots(gallery.catalog, remember=False), paths, record=False)
        space = ensure_space(gallery, model, hooks.say)
        scopes = scopes_for(gallery.catalog, look_at_roots(gallery.catalog, remember=True), paths, hooks.say)
        with Run(gallery, space, workers, hooks, started) as run:
            planner = Planner(gallery.catalog, spool, hooks.say, stop=hooks.stop)
            for scope in scopes:
                planner.scan(scope)
            hooks.estimated(run.estimate(planner.plan, _offline(gallery.catalog)))
            run.read(spool, planner.plan.to_read)
        if not hooks.stop():
            run.mark_missing(scopes, planner)
        return run.finish(planner.plan, scopes)


def estimate_index(
    folder: Path,
    paths: Sequence[Path],
    *,
    model: str | None = None,
    workers: int | None = None,
    settings: Settings | None = None,
    hooks: Hooks | None = None,
) -> Estimate:
    """What ``index_paths`` would do and cost. The gallery is not changed, and not made if there is none.

    It costs a scan of the folders, and a look into each file that is new. Where no earlier run has measured how fast
    this machine is, the encoder is loaded and up to 16 files are read too. Nothing of a gallery is copied; for one that
    does not exist yet the encoder is made in a temporary folder, and removed with it.
    """
    settings, hooks = settings or load_settings(), hooks or Hooks()
    _check(folder, paths)
    with _gallery_to_plan_with(folder, model, settings, hooks) as (gallery, space, more), Spool() as spool:
        catalog = gallery.catalog
        roots = look_at_roots(catalog, remember=False)
        planner = Planner(catalog, spool, hooks.say, stop=hooks.stop, dry=roots)
        for scope in scopes_for(catalog, roots, paths, hooks.say, record=False):
            planner.scan(scope)
        with Run(gallery, space, workers, hooks, monotonic(), dry=True) as run:
            estimate = run.estimate(planner.plan, files_offline(catalog, roots))
        return replace(estimate, bytes=estimate.bytes + more)


@contextmanager
def _gallery_to_plan_with(
    folder: Path, model: str | None, settings: Settings, hooks: Hooks
) -> Iterator[tuple[Gallery, EmbeddingSpace, int]]:
    """The gallery itself, which is only read, or an empty one in a temporary folder where there is none; its space; and
    how many bytes making it will take."""
    if Layout(folder).catalog.exists():
        with Gallery(folder, settings) as gallery:
            space = gallery.catalog.spaces.live()
            if space is not None:
                if model is not None:
                    refuse_other_encoder(gallery, model, hooks.say)
                yield gallery, space, 0
                return
    with (
        tempfile.TemporaryDirectory(prefix="retrieval-") as scratch,
        Gallery(Path(scratch), settings, create=True) as gallery,
    ):
        space = ensure_space(gallery, model, hooks.say)
        files = gallery.layout.model(space.fingerprint).iterdir()
        yield gallery, space, sum(file.stat().st_size for file in files)


def _check(folder: Path, paths: Sequence[Path]) -> None:
    """What can be said against a run before a gallery is opened, or made, for it."""
    if not Layout(folder).catalog.exists():
        if not paths:
            raise nothing_indexed(folder)
        check_paths(os.path.abspath(os.fsencode(path)) for path in paths)
        refuse_strangers(folder)
    refuse_own_files(folder, paths)


def retry_failures(
    folder: Path, *, workers: int | None = None, settings: Settings | None = None, hooks: Hooks | None = None
) -> IndexReport:
    """Read every failed file again, whether it changed or not.

    Raises:
        EmptyGallery: nothing was ever indexed.
    """
    settings, hooks = settings or load_settings(), hooks or Hooks()
    with disk_full_is_said(str(folder)), Gallery(folder, settings) as gallery, gallery.writing():
        started = monotonic()
        space = gallery.live_space()
        look_at_roots(gallery.catalog, remember=True)
        online = {root.id for root in gallery.catalog.roots.all() if root.online}
        todos = [
            Todo(f.root_id, f.relpath, os.fsencode(f.path))
            for f in gallery.catalog.files.failures()
            if f.root_id in online
        ]
        plan = Plan(found=len(todos), to_read=len(todos), sample=todos[:16])
        with Run(gallery, space, workers, hooks, started) as run:
            run.read(todos, len(todos))
        return run.finish(plan)


class Run:
    """One indexing run; the caller holds the write lock, except for a ``dry`` one, which only makes an estimate."""

    def __init__(
        self,
        gallery: Gallery,
        space: EmbeddingSpace,
        workers: int | None,
        hooks: Hooks,
        started: float,
        *,
        dry: bool = False,
    ) -> None:
        self._gallery = gallery
        self._catalog = gallery.catalog
        self._space = space
        self._hooks = hooks
        self._started = started
        self._workers = workers or available_cores()
        self._store = gallery.store(space)
        if not dry:
            self._store.cut_tail()
        self._encoder = GalleryEncoder(gallery, space, hooks.say, remember=not dry)
        settings = gallery.settings
        self._pool = DecodePool(self._workers, settings.limits, settings.plugins, nice=_NICE)
        self._counts = Counts()
        self._busy_seconds = 0.0
        self._operation: int | None = None

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exc: object) -> None:
        self._pool.close()

    def estimate(self, plan: Plan, offline: int) -> Estimate:
        """Costs, from the rate of the last run with this encoder here, or else from reading a few of the files."""
        per_file = 2 * self._space.dimension + 16 + _CATALOG_BYTES_A_FILE
        rate = self._catalog.get(self._rate_key) or (self._measure(plan.sample) if plan.to_read else None)
        return Estimate(plan, offline, plan.to_read / rate if plan.to_read and rate else None, plan.to_read * per_file)

    @property
    def _rate_key(self) -> str:
        return f"rate:{self._space.fingerprint[:16]}"

    def _measure(self, sample: Sequence[Todo]) -> float:
        list(self._embed(sample[:1]))
        start = monotonic()
        list(self._embed(sample))
        return len(sample) / max(1e-3, monotonic() - start)

    def _embed(self, todos: Iterable[Todo]) -> Iterator[Embedded[Todo]]:
        self._pool.warm()  # the processes start while the encoder is opened
        spec = self._encoder.spec
        with self._catalog.images.known_contents(self._space.id) as known:
            yield from embed_files(
                todos, lambda todo: ReadFile(todo.path, spec, known), self._pool, self._encoder, workers=self._workers
            )

    def read(self, todos: Iterable[Todo], total: int) -> None:
        """Read, decode, embed and commit; ends early when asked to stop."""
        if not total:
            return
        self._operation = self._catalog.ingest.start()
        start = monotonic()
        until_stopped = (todo for todo in todos if not self._hooks.stop())
        batch: list[Indexed] = []
        committed = start
        for done, item in enumerate(self._embed(until_stopped), start=1):
            batch.append(_outcome(item))
            if len(batch) >= _BATCH_FILES or monotonic() - committed > _BATCH_SECONDS:
                self._commit(batch)
                batch, committed = [], monotonic()
                self._report(done, total, start)
        self._commit(batch)
        self._busy_seconds = monotonic() - start
        self._report(self._done, total, start)
        if self._counts.embedded >= 16:
            self._catalog.put(self._rate_key, self._counts.embedded / self._busy_seconds)

    @property
    def _done(self) -> int:
        c = self._counts
        return c.new + c.changed + c.moved + c.copied + c.unchanged + c.failed

    def _commit(self, batch: Sequence[Indexed]) -> None:
        if not batch:
            return
        assert self._operation is not None
        counts = self._catalog.ingest.commit(self._space.id, batch, self._store.append, self._operation)
        self._store.refresh(self._store.rows + counts.embedded)
        self._counts.add(counts)

    def _report(self, done: int, total: int, start: float) -> None:
        rate = done / max(1e-6, monotonic() - start)
        left = (total - done) / rate if rate else None
        self._hooks.progress(Progress(done, total, self._counts.failed, rate, left))

    def mark_missing(self, scopes: Sequence[Scope], planner: Planner) -> None:
        """Files that were known in these scopes, were not seen, and did not move away: they are missing."""
        for claimed in self._counts.claimed:
            planner.seen.add(claimed)
        for scope in scopes:
            known = self._catalog.files.ids_below(scope.root.id, scope.below)
            gone = [file_id for file_id, relpath in known if planner.is_gone(scope, file_id, relpath)]
            self._catalog.files.mark_missing(gone)

    def finish(self, plan: Plan, scopes: Sequence[Scope] = ()) -> IndexReport:
        """Publish the index, seal the catalog, and account for everything."""
        stopped = self._hooks.stop()
        if not stopped:
            LiveIndex(self._gallery, self._space, self._hooks.say).publish()
        counts, seconds = self._counts, monotonic() - self._started
        report = IndexReport(
            found=self._done + plan.unchanged + plan.failed,
            new=counts.new,
            changed=counts.changed,
            moved=counts.moved,
            copied=counts.copied,
            unchanged=counts.unchanged + plan.unchanged,
            failed=counts.failed + plan.failed,
            skipped=plan.skipped,
            missing=sum(self._catalog.files.count_missing(s.root.id, s.below) for s in apart(scopes)),
            offline=_offline(self._catalog),
            embedded=counts.embedded,
            seconds=round(seconds, 3),
            images_per_second=round(counts.embedded / self._busy_seconds, 2) if counts.embedded else 0.0,
            space=self._space.fingerprint,
            interrupted=stopped,
        )
        if scopes:
            remember_run(self._catalog, scopes, report)
        self._catalog.seal()
        return report


def _outcome(item: Embedded[Todo]) -> Indexed:
    todo, file = item.item, item.file
    if (error := file.error) is not None:
        reason, said, hint = error.reason, error.message, error.hint
        known = (todo.root_id, todo.relpath, file.size, file.mtime_ns, file.digest)
        return Indexed(*known, reason=reason, message=said, hint=hint)
    return Indexed(todo.root_id, todo.relpath, file.size, file.mtime_ns, file.digest, file.facts, item.vector)


def _offline(catalog: Catalog) -> int:
    return files_offline(catalog, catalog.roots.all())
