"""SIGKILL during a migration of the catalog: the file is at the old revision or at the new one, and whole in both.

The migration is one of a future version: its scripts lie in a temporary folder. It copies a table, adds a column and
changes every row, and takes long enough to be hit at a random time.
"""

import random
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from retrieval.catalog import database
from retrieval.core.errors import GalleryTooNew
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.status import status
from tests.crash.support import assert_same, assert_sound, at, read_truth

pytestmark = pytest.mark.slow

KILLS = 8
NEXT = "9999"
SCRIPT = f'''"""A migration of a future version."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{database.HEAD}"
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("albums", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.Text()))
    with op.batch_alter_table("images") as batch:
        batch.add_column(sa.Column("stars", sa.Integer(), nullable=False, server_default="0"))
    for n in range(300):
        op.execute(f"UPDATE images SET stars = {{n}} WHERE id % 3 = {{n % 3}}")
        op.execute(f"INSERT INTO albums (name) VALUES ('album {{n}}')")
'''

POINTS = {
    "before the copy": at("retrieval.catalog.database:copy_database", "before"),
    "copy not in place": at("os:replace", "before", 1, f"before-{NEXT}"),
    "copy in place": at("os:replace", "after", 1, f"before-{NEXT}"),
    "in the middle": at("alembic.op:execute", "after", 100),
    "images copied": at("alembic.op:execute", "before", 1),
    "before the commit": at("alembic.command:upgrade", "after"),
    "done": at("retrieval.catalog.database:migrate", "after"),
}


@pytest.fixture(scope="session")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts") / "migrations"
    shutil.copytree(Path(database.__file__).parent / "migrations", folder)
    (folder / "versions" / f"{NEXT}_future.py").write_text(SCRIPT)
    return folder


@pytest.fixture
def gallery(small, tmp_path):
    return Path(shutil.copytree(small.before_change, tmp_path / "gallery"))


def migrate(launcher, gallery, scripts, sabotage=None):
    return launcher.start("migrate", sabotage=sabotage, catalog=gallery / "catalog.sqlite3", scripts=scripts, head=NEXT)


def assert_old_or_new(gallery, small):
    """One or the other, whole; returns the revision."""
    with closing(sqlite3.connect(gallery / "catalog.sqlite3")) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        columns = {row[1] for row in connection.execute("PRAGMA table_info(images)")}
    assert ("albums" in tables) == ("stars" in columns) == (revision == NEXT)
    assert not any(name.startswith("_alembic") for name in tables)
    assert_same(read_truth(gallery), small.first)
    if revision == NEXT:
        with pytest.raises(GalleryTooNew):
            Gallery(gallery)
        assert_the_copy_can_be_used(gallery, small)
        return revision
    assert revision == database.HEAD
    assert_sound(gallery, small.first, small.first)
    return revision


def assert_the_copy_can_be_used(gallery, small):
    """The catalog as it was before the migration lies beside it: put back, it is the old gallery."""
    back = gallery.with_name("back")
    shutil.rmtree(back, ignore_errors=True)
    shutil.copytree(gallery, back)
    for path in back.glob("catalog.sqlite3*"):
        if path.name != f"catalog.sqlite3.before-{NEXT}":
            path.unlink()
    (back / f"catalog.sqlite3.before-{NEXT}").rename(back / "catalog.sqlite3")
    assert_sound(back, small.first, small.first)


def assert_new_in_the_end(launcher, gallery, scripts, small, monkeypatch):
    assert migrate(launcher, gallery, scripts).wait().code == 0
    assert assert_old_or_new(gallery, small) == NEXT
    # As the future version sees it: a migration is no damage.
    monkeypatch.setattr(database, "HEAD", NEXT)
    monkeypatch.setattr(database.migrate, "__defaults__", (scripts, NEXT))
    found = status(gallery, check=True)
    assert found.agree, found.problems


@pytest.mark.parametrize("point", POINTS)
def test_at_a_point(point, launcher, gallery, scripts, small, monkeypatch):
    assert migrate(launcher, gallery, scripts, POINTS[point]).wait().signal == signal.SIGKILL
    assert assert_old_or_new(gallery, small) == (NEXT if point == "done" else database.HEAD)
    assert_new_in_the_end(launcher, gallery, scripts, small, monkeypatch)


def test_at_random_times(launcher, gallery, scripts, small, tmp_path, monkeypatch):
    generator, kills = random.Random("migration"), 0
    timed = Path(shutil.copytree(gallery, tmp_path / "timed"))
    start = time.monotonic()
    assert migrate(launcher, timed, scripts).wait().code == 0
    seconds = time.monotonic() - start
    for n in range(10 * KILLS):
        victim = Path(shutil.copytree(gallery, tmp_path / f"gallery-{n}"))
        ended = migrate(launcher, victim, scripts).kill_after(generator.uniform(0, seconds), everything=True)
        kills += ended.signal == signal.SIGKILL
        assert_old_or_new(victim, small)
        if kills == KILLS:
            break
    assert kills == KILLS
    assert_new_in_the_end(launcher, victim, scripts, small, monkeypatch)
