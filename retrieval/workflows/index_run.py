"""One indexing run: read, decode, embed, commit a batch at a time, and account for every file."""

from collections.abc import Iterable, Iterator, Sequence
from time import monotonic

from retrieval.catalog import Counts, Indexed
from retrieval.core.settings import available_cores
from retrieval.core.types import EmbeddingSpace
from retrieval.embedding import Embedded, embed_files
from retrieval.images.jobs import ReadFile
from retrieval.images.pool import DecodePool
from retrieval.workflows.encoders import GalleryEncoder
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.index_report import LEAST_FOR_A_RATE, Estimate, Hooks, IndexReport, Progress
from retrieval.workflows.last_run import remember_run
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.planning import Plan, Planner, Todo
from retrieval.workflows.scopes import Scope, apart, files_offline

_BATCH_FILES = 256
_BATCH_SECONDS = 2.0
_CATALOG_BYTES_A_FILE = 900
"""What a file and its image take in the catalog, indexes included; measured on 10,000 files."""

_NICE = 5
"""Decoders step back where the encoder wants the processor: it is the bottleneck, they only keep ahead of it."""


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
        self._warm_up()
        list(self._embed(sample[:1]))
        start = monotonic()
        list(self._embed(sample))
        return len(sample) / max(1e-3, monotonic() - start)

    def _warm_up(self) -> None:
        """What takes seconds once, however many files there are: no rate may count it."""
        self._pool.warm()  # the processes start while the encoder is opened
        self._encoder.open()

    def _embed(self, todos: Iterable[Todo]) -> Iterator[Embedded[Todo]]:
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
        self._warm_up()
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
        if self._counts.embedded >= LEAST_FOR_A_RATE:
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
            offline=files_offline(self._catalog, self._catalog.roots.all()),
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
