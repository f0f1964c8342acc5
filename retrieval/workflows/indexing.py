"""Index folders: scan, plan, run, for good or to see what it would cost; and failed files once more."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from retrieval.core.errors import disk_full_is_said
from retrieval.core.settings import Settings, load_settings
from retrieval.core.types import EmbeddingSpace
from retrieval.workflows.birth import Birth
from retrieval.workflows.encoders import ensure_space, refuse_other_encoder
from retrieval.workflows.gallery import Gallery, nothing_indexed, refuse_strangers
from retrieval.workflows.index_report import Estimate, Hooks, IndexReport
from retrieval.workflows.index_run import Run
from retrieval.workflows.layout import Layout
from retrieval.workflows.own_files import refuse_own_files
from retrieval.workflows.planning import Plan, Planner, Spool, Todo
from retrieval.workflows.scopes import check_paths, files_offline, look_at_roots, scopes_for


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
            hooks.estimated(run.estimate(planner.plan, files_offline(gallery.catalog, gallery.catalog.roots.all())))
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
