"""SIGKILL at every named point of a run.

Random times (``test_random_kills``) seldom hit a phase of a millisecond; here the process kills itself at the very
call. Every point is hit twice in a row where the second run gets there again, and each time the gallery must be
sound; the run after that must make of it what an uninterrupted run makes.
"""

import shutil
import signal
from pathlib import Path

import pytest

from tests.crash.support import (
    NOTHING,
    assert_as_if_never_interrupted,
    assert_sound,
    at,
    change_library,
    read_truth,
)

pytestmark = pytest.mark.slow


FIRST_RUN = {
    "catalog, before it is made": at("retrieval.catalog.database:migrate", "before"),
    "catalog, first table": at("alembic.op:create_table", "before"),
    "catalog, half of the tables": at("alembic.op:create_table", "after", 4),
    "catalog, before the commit": at("alembic.command:upgrade", "after"),
    "catalog, made": at("retrieval.catalog.database:migrate", "after"),
    "root, not yet": at("retrieval.catalog.roots:Roots.ensure", "before"),
    "root, made": at("retrieval.catalog.roots:Roots.ensure", "after"),
    "encoder, written beside": at("os:rename", "before"),
    "encoder, in place": at("os:rename", "after"),
    "space, not yet": at("retrieval.catalog.spaces:Spaces.create", "before"),
    "space, made": at("retrieval.catalog.spaces:Spaces.create", "after"),
    "scan, in the middle": at("retrieval.workflows.planning:classify", "before", 40),
    "scan, done": at("retrieval.workflows.planning:Planner._compare", "after"),
    "rate, measured": at("retrieval.workflows.index_run:Run._measure", "after"),
    "operation, begun": at("retrieval.catalog.ingest:Ingest.start", "after"),
    "append, first vectors torn": at("retrieval.vectors.store:_write_at", "half", 1, "vectors.f16"),
    "append, first rows missing": at("retrieval.vectors.store:_write_at", "after", 1, "vectors.f16"),
    "append, first rows torn": at("retrieval.vectors.store:_write_at", "half", 1, "rows.bin"),
    "append, vectors torn": at("retrieval.vectors.store:_write_at", "half", 3, "vectors.f16"),
    "append, between the files": at("retrieval.vectors.store:_write_at", "after", 3, "vectors.f16"),
    "append, rows torn": at("retrieval.vectors.store:_write_at", "half", 3, "rows.bin"),
    "append, done": at("retrieval.vectors.store:VectorStore.append", "after", 3),
    "commit, before": at("retrieval.catalog.ingest:_Batch.commit", "after", 3),
    "commit, after": at("retrieval.catalog.ingest:Ingest.commit", "after", 3),
    "all committed": at("retrieval.workflows.index_run:Run.mark_missing", "before"),
    "snapshot, before": at("retrieval.index:publish", "before"),
    "snapshot, files written": at("retrieval.index.snapshot:_sync", "before"),
    "snapshot, before its rename": at("os:replace", "before", 1, "/.snapshot-"),
    "snapshot, after its rename": at("os:replace", "after", 1, "/.snapshot-"),
    "snapshot, before CURRENT": at("os:replace", "before", 1, "/.CURRENT."),
    "snapshot, after CURRENT": at("os:replace", "after", 1, "/.CURRENT."),
    "snapshot, done": at("retrieval.index:publish", "after"),
    "seal, journal folded in": at("retrieval.catalog.health:sums_of", "before"),
    "seal, before its rename": at("os:replace", "before", 1, "sqlite3.seal"),
    "seal, in place": at("os:replace", "after", 1, "sqlite3.seal"),
}

SECOND_RUN = {
    "append, between the files": at("retrieval.vectors.store:_write_at", "after", 1, "vectors.f16"),
    "commit, labels and findability half done": at("retrieval.catalog.membership:_refresh_folder_labels", "before", 2),
    "commit, before": at("retrieval.catalog.ingest:_Batch.commit", "after", 2),
    "commit, after": at("retrieval.catalog.ingest:Ingest.commit", "after", 2),
    "missing, before": at("retrieval.catalog.files:Files.mark_missing", "before"),
    "missing, half done": at("retrieval.catalog.membership:refresh", "before", 5),
    "missing, after": at("retrieval.catalog.files:Files.mark_missing", "after"),
    "snapshot, old one still there": at("retrieval.index.snapshot:_clean", "before", 2),
    "snapshot, old one removed": at("retrieval.index.snapshot:_clean", "after", 2),
    "seal, stale": at("os:replace", "before", 1, "sqlite3.seal"),
}


@pytest.mark.parametrize("point", FIRST_RUN)
def test_first_run(point, launcher, index, small_model, small, tmp_path):
    gallery, truth, kills = tmp_path / "gallery", NOTHING, 0
    for _ in range(2):
        ended = launcher.run(
            "index", sabotage=FIRST_RUN[point], gallery=gallery, photos=small.photos, model=small_model
        )
        assert (ended.signal, ended.code) in ((signal.SIGKILL, None), (None, 0)), ended.words
        kills += ended.signal is not None
        truth = assert_sound(gallery, small.first, truth)
    assert kills >= 1
    index(gallery, small.photos)
    assert_as_if_never_interrupted(gallery, small.first, small.before_change)


@pytest.mark.parametrize("point", SECOND_RUN)
def test_second_run(point, launcher, index, small_model, small, tmp_path):
    gallery, photos, kills = tmp_path / "gallery", Path(shutil.copytree(small.photos, tmp_path / "photos")), 0
    index(gallery, photos)
    truth = read_truth(gallery)
    change_library(photos)
    for _ in range(2):
        ended = launcher.run("index", sabotage=SECOND_RUN[point], gallery=gallery, photos=photos, model=small_model)
        assert (ended.signal, ended.code) in ((signal.SIGKILL, None), (None, 0)), ended.words
        kills += ended.signal is not None
        truth = assert_sound(gallery, small.second, truth, small.first)
    assert kills >= 1
    index(gallery, photos)
    assert_as_if_never_interrupted(gallery, small.second, small.gallery)


@pytest.mark.parametrize("when", ["before", "after"])
def test_cutting_the_torn_tail(when, launcher, index, small_model, small, tmp_path):
    gallery = tmp_path / "gallery"
    order = {"gallery": gallery, "photos": small.photos, "model": small_model}
    assert launcher.run("index", sabotage=FIRST_RUN["append, rows torn"], **order).signal == signal.SIGKILL
    truth = assert_sound(gallery, small.first)
    assert launcher.run("index", sabotage=at("os:truncate", when), **order).signal == signal.SIGKILL
    assert_sound(gallery, small.first, truth)
    index(gallery, small.photos)
    assert_as_if_never_interrupted(gallery, small.first, small.before_change)
