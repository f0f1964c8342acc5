"""SIGKILL during a switch, a rollback and the dropping of a space: the gallery works, in the old space or the new one.

Whatever the moment, searches are right in the space that is live, everything agrees, nothing that was committed is
lost; and the same command, given again, ends where an uninterrupted one ends.
"""

import json
import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalog import database
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.spaces import spaces
from retrieval.workflows.status import status
from tests.crash.support import SAME, assert_same_answers, at, ids_by_digest, search_by_digest
from tests.workflows.support import BETTER

pytestmark = pytest.mark.slow

KILLS = 12
DIMENSION = 48
"""Of the new encoder; the old one's differs, so that a mix could not even be searched."""

PAIRS = 270
"""Of 27 images that validate, with ten matches each."""

FIRST = {
    "encoder, written beside": at("os:rename", "before"),
    "encoder, in place": at("os:rename", "after"),
    "space, not yet": at("retrieval.catalog.spaces:Spaces.create", "before"),
    "space, made": at("retrieval.catalog.spaces:Spaces.create", "after"),
    "first vectors torn": at("retrieval.vectors.store:_write_at", "half", 1, "vectors.f16"),
    "vectors torn": at("retrieval.vectors.store:_write_at", "half", 3, "vectors.f16"),
    "between the files": at("retrieval.vectors.store:_write_at", "after", 3, "vectors.f16"),
    "rows torn": at("retrieval.vectors.store:_write_at", "half", 3, "rows.bin"),
    "commit, before": at("retrieval.catalog.membership:refresh", "after", 2),
    "commit, after": at("retrieval.catalog.coverage:Coverage.add", "after", 3),
    "all embedded": at("retrieval.workflows.filling:Filler.fill", "after"),
    "index, before": at("retrieval.index:publish", "before"),
    "index, before its rename": at("os:replace", "before", 1, "/.snapshot-"),
    "index, after CURRENT": at("os:replace", "after", 1, "/.CURRENT."),
    "calibrated": at("retrieval.workflows.calibrating:calibrate_among", "after"),
    "switch, before": at("retrieval.catalog.switches:Switches.make_live", "before"),
    "switch, in its transaction": at("retrieval.catalog.switches:_set_live", "after"),
    "switch, calibration written": at("retrieval.catalog.switches:write_calibration", "after"),
    "switch, before its commit": at("retrieval.catalog.switches:read_again", "after"),
}
SWITCHED = {
    "switch, after": at("retrieval.catalog.switches:Switches.make_live", "after"),
    "seal, before its rename": at("os:replace", "before", 1, "sqlite3.seal"),
    "seal, in place": at("os:replace", "after", 1, "sqlite3.seal"),
}


@pytest.fixture(scope="session")
def new_model(finished, tmp_path_factory):
    """An encoder in the folder of a run that has validated with every third image, and brings its calibration."""
    from retrieval.workflows.models import create_model

    run = tmp_path_factory.mktemp("models") / "new"
    options = {"backbone": "test_efficientnet", "untrained": True, "input_size": 32, "head": "linear"}
    card, _ = create_model(run / "encoder", **options, seed=11, dim=DIMENSION)
    metrics = {**BETTER, "result": {"fingerprint": card["fingerprint"]}}
    digests = [digest.hex() for digest in sorted(ids_by_digest(finished))[::3]]
    split = {"val": digests, "digests": {"val": digests}}
    for name, values in (("metrics", metrics), ("split", split), ("recipe", {"recipe": "quick-head"})):
        (run / f"{name}.json").write_text(json.dumps(values))
    return run / "encoder"


@dataclass(frozen=True)
class Switched:
    """A gallery, and what it is after a switch that nobody interrupted: each with (live space, vectors by digest)."""

    gallery: Path
    old: tuple
    new: tuple
    seconds: float


def read_spaces(gallery):
    """(fingerprint of the live space, {fingerprint: {digest: vector}}), read with plain SQL and NumPy."""
    held = {}
    with closing(sqlite3.connect(gallery / "catalog.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        known = connection.execute("SELECT id, fingerprint, dimension, rows, live FROM spaces").fetchall()
        for number, fingerprint, dimension, rows, _ in known:
            query = "SELECT digest, row FROM embedded JOIN images ON images.id = image_id WHERE space_id = ? AND active"
            places = connection.execute(query, (number,)).fetchall()
            stored = np.zeros((0, dimension))
            if rows:
                file = gallery / "spaces" / fingerprint[:16] / "vectors.f16"
                stored = np.fromfile(file, "<f2", rows * dimension).reshape(rows, dimension).astype(np.float32)
            held[fingerprint] = {digest: stored[row] for digest, row in places}
    (live,) = [fingerprint for _, fingerprint, _, _, is_live in known if is_live]
    return live, held


@pytest.fixture(scope="session")
def switched(launcher, finished, new_model, tmp_path_factory):
    gallery = Path(shutil.copytree(finished, tmp_path_factory.mktemp("switched") / "gallery"))
    old = read_spaces(gallery)
    start = time.monotonic()
    ended = launcher.run("switch", gallery=gallery, model=new_model)
    assert ended.code == 0, ended.words
    seconds = time.monotonic() - start
    new = read_spaces(gallery)
    assert new[0] != old[0]
    assert new[1][new[0]].keys() == old[1][old[0]].keys()
    return Switched(gallery, old, new, seconds)


@pytest.fixture
def gallery(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "gallery"))


def assert_works(gallery, switched, before=None):
    """The gallery is sound, and searches are right in its live space. Returns (live space, what each space holds)."""
    found = status(gallery, check=True)
    assert found.agree, found.problems
    live, held = read_spaces(gallery)
    assert held.keys() <= switched.new[1].keys()
    assert live in switched.new[1]
    for fingerprint, vectors in held.items():
        truth = switched.new[1][fingerprint]
        for digest, vector in vectors.items():
            np.testing.assert_allclose(vector, truth[digest], atol=SAME)
    # What scores mean comes with the switch: neither before it nor after.
    assert calibrated(gallery, switched.new[0]) == ([PAIRS] if switched.new[0] in was_live(gallery) else [])
    # The space that searches use covers everything.
    assert held[live].keys() == switched.old[1][switched.old[0]].keys()
    if before is not None:
        assert all(held[fingerprint].keys() >= vectors.keys() for fingerprint, vectors in before[1].items())
    assert_answers(gallery, held[live])
    return live, held


def calibrated(gallery, fingerprint):
    """On how many pairs each calibration of a space was fitted."""
    query = "SELECT content FROM calibrations JOIN spaces ON spaces.id = space_id WHERE fingerprint = ?"
    with closing(sqlite3.connect(gallery / "catalog.sqlite3")) as connection:
        return [json.loads(content)["pairs"] for (content,) in connection.execute(query, (fingerprint,))]


def was_live(gallery):
    """The spaces that were switched to."""
    query = "SELECT fingerprint FROM switches JOIN spaces ON spaces.id = space_id"
    with closing(sqlite3.connect(gallery / "catalog.sqlite3")) as connection:
        return {fingerprint for (fingerprint,) in connection.execute(query)}


def assert_answers(gallery, vectors):
    digests = sorted(vectors)
    matrix = np.stack([vectors[digest] for digest in digests]).astype(np.float64)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    for digest, found in search_by_digest(gallery, digests[:: len(digests) // 4], 10).items():
        scores = matrix @ matrix[digests.index(digest)]
        scores[digests.index(digest)] = -np.inf
        np.testing.assert_allclose([score for _, score in found], np.sort(scores)[::-1][:10], atol=1e-5)


def assert_as_if_never_interrupted(gallery, switched):
    live, held = assert_works(gallery, switched)
    assert live == switched.new[0]
    assert held[live].keys() == switched.new[1][live].keys()
    some = sorted(held[live])[::10]
    assert_same_answers(search_by_digest(gallery, some), search_by_digest(switched.gallery, some))
    with Gallery(gallery) as opened:
        # Nothing was embedded twice.
        assert opened.live_space().rows == len(held[live])


@pytest.mark.parametrize("point", [*FIRST, *SWITCHED])
def test_a_switch(point, launcher, gallery, switched, new_model):
    before = None
    for _ in range(2):
        ended = launcher.run("switch", sabotage={**FIRST, **SWITCHED}[point], gallery=gallery, model=new_model)
        if ended.signal is None:
            break
        before = assert_works(gallery, switched, before)
        assert before[0] == (switched.new[0] if point in SWITCHED else switched.old[0])
        if point in SWITCHED:
            break
    assert before is not None, "it was not killed once"
    if read_spaces(gallery)[0] == switched.old[0]:
        ended = launcher.run("switch", gallery=gallery, model=new_model)
        assert ended.code == 0, ended.words
    assert_as_if_never_interrupted(gallery, switched)


def test_a_switch_at_random_times(launcher, finished, switched, new_model, tmp_path):
    generator, kills, galleries = random.Random("switch"), 0, 0
    while kills < KILLS:
        gallery, before = Path(shutil.copytree(finished, tmp_path / f"gallery-{galleries}")), None
        galleries += 1
        while kills < KILLS:
            run = launcher.start("switch", gallery=gallery, model=new_model)
            ended = run.kill_after(generator.uniform(0, switched.seconds), everything=generator.random() < 0.5)
            if ended.signal is None:
                break
            kills += 1
            before = assert_works(gallery, switched, before)
            if before[0] == switched.new[0]:
                break
        if read_spaces(gallery)[0] == switched.old[0]:
            assert launcher.run("switch", gallery=gallery, model=new_model).code == 0
        assert_as_if_never_interrupted(gallery, switched)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "point", ["retrieval.catalog.switches:_set_live", "retrieval.catalog.switches:Switches.roll_back"]
)
def test_a_rollback(point, when, launcher, switched, tmp_path):
    gallery = Path(shutil.copytree(switched.gallery, tmp_path / "gallery"))
    assert launcher.run("rollback", sabotage=at(point, when), gallery=gallery).signal == signal.SIGKILL
    done = point.endswith("roll_back") and when == "after"
    assert assert_works(gallery, switched)[0] == (switched.old if done else switched.new)[0]
    if not done:
        assert launcher.run("rollback", gallery=gallery).code == 0
    assert assert_works(gallery, switched)[0] == switched.old[0]


@pytest.mark.parametrize(
    "sabotage",
    [
        at("retrieval.catalog.switches:Switches.drop", "before"),
        at("retrieval.catalog.switches:Switches.drop", "after"),
        at("shutil:rmtree", "after", 1, "/spaces/"),
        at("shutil:rmtree", "after", 1, "/models/"),
    ],
    ids=["before", "dropped", "vectors gone", "encoder gone"],
)
def test_dropping_a_space(sabotage, launcher, switched, new_model, small_model, tmp_path):
    gallery = Path(shutil.copytree(switched.gallery, tmp_path / "gallery"))
    old = switched.old[0]
    assert launcher.run("drop", sabotage=sabotage, gallery=gallery, fingerprint=old).signal == signal.SIGKILL
    assert assert_works(gallery, switched)[0] == switched.new[0]
    if len(spaces(gallery)) == 2:
        assert launcher.run("drop", gallery=gallery, fingerprint=old).code == 0
    assert [space.fingerprint for space in spaces(gallery)] == [switched.new[0]]
    # What was left behind is in nobody's way: the old encoder can be switched to again. Labels say that it is worse.
    assert launcher.run("switch", gallery=gallery, model=small_model, force="1").code == 0
    live, held = assert_works(gallery, switched)
    assert live == old
    assert held[old].keys() == switched.old[1][old].keys()


# ---------------------------------------------------------------------------------- galleries of the first version

MIGRATION = {
    "before the copy": at("retrieval.catalog.database:copy_database", "before"),
    "copy in place": at("os:replace", "after", 1, f"before-{database.HEAD}"),
    "in the middle": at("alembic.op:create_table", "after", 3),
    "before the commit": at("alembic.command:upgrade", "after"),
    "done": at("retrieval.catalog.database:migrate", "after"),
}


@pytest.fixture
def first_version(gallery):
    """The gallery as the first version would have left it: its catalog's content in tables of revision 0001."""
    path, old = gallery / "catalog.sqlite3", gallery / "old.sqlite3"
    engine = database.connect(old)
    database.migrate(engine, old, head="0001")
    engine.dispose()
    with closing(sqlite3.connect(old)) as connection:
        tables = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        connection.execute("ATTACH ? AS newer", (str(path),))
        for table in tables:
            if table != "alembic_version":
                connection.execute(f'DELETE FROM main."{table}"')
                # A later version has columns more.
                columns = ", ".join(row[1] for row in connection.execute(f'PRAGMA main.table_info("{table}")'))
                connection.execute(f'INSERT INTO main."{table}" SELECT {columns} FROM newer."{table}"')
        connection.commit()
        connection.execute("DETACH newer")
        number = connection.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {int(number)}")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in gallery.glob("catalog.sqlite3*"):
        file.unlink()
    old.rename(path)
    return gallery


@pytest.mark.parametrize("point", MIGRATION)
def test_migrating_the_first_version(point, launcher, first_version, switched, new_model):
    before = ids_by_digest(first_version)
    scripts = Path(database.__file__).parent / "migrations"
    order = {"catalog": first_version / "catalog.sqlite3", "scripts": scripts, "head": database.HEAD}
    assert launcher.run("migrate", sabotage=MIGRATION[point], **order).signal == signal.SIGKILL
    with closing(sqlite3.connect(first_version / "catalog.sqlite3")) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    assert revision == (database.HEAD if point == "done" else "0001")
    assert ("switches" in tables) == ("judgements" in tables) == (revision == database.HEAD)
    assert ids_by_digest(first_version) == before
    # The next command that opens it migrates it, and everything works in it.
    assert launcher.run("switch", gallery=first_version, model=new_model).code == 0
    assert_as_if_never_interrupted(first_version, switched)
    assert launcher.run("rollback", gallery=first_version).code == 0
    assert assert_works(first_version, switched)[0] == switched.old[0]
