"""Migrations: one transaction, a copy first, and the tables that come out."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine

from retrieval.catalog import Catalog, database
from retrieval.catalog.database import HEAD, connect, migrate, revision_of
from retrieval.catalog.session import Session
from retrieval.catalog.tables import metadata
from retrieval.core.errors import GalleryTooNew

from .support import content, schema

MIGRATIONS = Path(database.__file__).parent / "migrations"


NEXT = "9002"
"""A revision of a future version."""


def test_the_head_is_the_newest_script() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_tables_are_what_the_migrations_make(session: Session) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with session.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_comparison_of_tables_would_notice(session: Session) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with session.write() as connection:
        connection.exec_driver_sql("DROP INDEX files_by_image")
        connection.exec_driver_sql("ALTER TABLE images ADD COLUMN more TEXT")
    with session.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    assert sorted(str(change[0]) for change in found) == ["add_index", "remove_column"]


def test_what_alembic_does_not_compare_agrees_too(session: Session, path: Path, tmp_path: Path) -> None:
    """AUTOINCREMENT, WITHOUT ROWID, CHECK and partial indexes: the SQL of the tables is compared with that of the
    migrations, up to the order of clauses."""
    from_tables = connect(tmp_path / "other.sqlite3")
    metadata.create_all(from_tables)
    from_tables.dispose()

    def essence(path: Path) -> dict[str, tuple[str, ...]]:
        found = {}
        for _, name, sql in schema(path):
            if not name.startswith("sqlite_"):
                body = sql.replace('"', "").replace(", ", ",").replace("( ", "(").replace(" )", ")")
                marks = ("AUTOINCREMENT", "WITHOUT ROWID", "CHECK (state IN", "WHERE undone_by IS NULL", "CASCADE")
                found[name] = tuple(f"{mark}*{body.count(mark)}" for mark in (*marks, "WHERE state", "NOT NULL"))
        return found

    migrated, direct = essence(path), essence(tmp_path / "other.sqlite3")
    assert migrated.keys() == direct.keys()
    # A primary key is NOT NULL by being one; only one of the two ways says so in words.
    strip = {name: marks[:-1] for name, marks in direct.items()}
    assert {name: marks[:-1] for name, marks in migrated.items()} == strip


def test_numbers_of_deleted_rows_are_never_given_again(session: Session) -> None:
    with session.write() as connection:
        counted = ("roots", "images", "files", "operations", "labels", "spaces", "changes")
        for table in (*counted, "switches", "calibrations", "runs", "judgements"):
            sql = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{table}'").scalar_one()
            assert "AUTOINCREMENT" in sql, table
        for table in ("embedded", "splits"):
            sql = connection.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE name = '{table}'").scalar_one()
            assert "WITHOUT ROWID" in sql


def test_an_unknown_state_and_a_dangling_reference_are_refused(session: Session) -> None:
    from sqlalchemy.exc import IntegrityError

    insert_file = "INSERT INTO files (root_id, relpath, size, mtime_ns, state) VALUES (?, x'61', 1, 1, ?)"
    with session.write() as connection:
        connection.exec_driver_sql("INSERT INTO roots VALUES (1, x'2f', 1, 1, '2024-01-01')")
    with pytest.raises(IntegrityError, match="files_state"), session.write() as connection:
        connection.exec_driver_sql(insert_file, (1, "lost"))
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), session.write() as connection:
        connection.exec_driver_sql(insert_file, (2, "present"))


def scripts_with(folder: Path, body: str) -> Path:
    """The package's own migrations and one more, ``9002``."""
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (folder / "versions" / "9002_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f'revision = "{NEXT}"\ndown_revision = "{HEAD}"\nbranch_labels = None\ndepends_on = None\n\n\n'
        f"def upgrade() -> None:\n{lines}\n"
    )
    return folder


GOOD = """op.add_column("images", sa.Column("stars", sa.Integer()))
op.execute("UPDATE images SET stars = 5")
op.create_index("images_by_stars", "images", ["stars"])"""


def test_a_migration_copies_the_file_first(older: Path, tmp_path: Path) -> None:
    before, engine = content(older), connect(older)
    migrate(engine, older, scripts_with(tmp_path / "scripts", GOOD), NEXT)
    assert revision_of(engine) == NEXT
    engine.dispose()
    assert content(older)["images"][0][-1] == 5
    copy = older.with_name(f"catalog.sqlite3.before-{NEXT}")
    assert content(copy) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [older.name, copy.name, "scripts"]


def test_a_migration_that_fails_half_way_changes_nothing(older: Path, tmp_path: Path) -> None:
    before, tables, engine = content(older), schema(older), connect(older)
    scripts = scripts_with(tmp_path / "scripts", GOOD + '\nraise RuntimeError("power cut")')
    with pytest.raises(RuntimeError, match="power cut"):
        migrate(engine, older, scripts, NEXT)
    assert revision_of(engine) == HEAD
    engine.dispose()
    assert content(older) == before
    assert schema(older) == tables
    # The way is free for the next attempt.
    catalog = Catalog(older)
    assert (catalog.get("colour"), catalog.check()) == ("blue", [])
    catalog.close()


def test_a_migration_that_fails_can_be_repeated(older: Path, tmp_path: Path) -> None:
    engine = connect(older)
    with pytest.raises(RuntimeError):
        migrate(engine, older, scripts_with(tmp_path / "bad", GOOD + "\nraise RuntimeError"), NEXT)
    migrate(engine, older, scripts_with(tmp_path / "good", GOOD), NEXT)
    assert revision_of(engine) == NEXT
    engine.dispose()


def test_the_copy_before_a_migration_is_of_the_older_state_though_another_process_was_faster(
    older: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw the old revision; the second one must neither migrate nor copy again."""
    before, scripts = content(older), scripts_with(tmp_path / "scripts", GOOD)
    first, second = connect(older), connect(older)
    look = database.revision_of

    def look_and_be_overtaken(engine: Engine) -> str | None:
        found = look(engine)
        if engine is second:
            migrate(first, older, scripts, NEXT)
        return found

    monkeypatch.setattr(database, "revision_of", look_and_be_overtaken)
    migrate(second, older, scripts, NEXT)
    assert look(second) == NEXT
    first.dispose()
    second.dispose()
    assert content(older.with_name(f"catalog.sqlite3.before-{NEXT}")) == before


def test_a_new_gallery_needs_no_copy(path: Path, session: Session) -> None:
    assert not list(path.parent.glob("*before*"))


def test_a_migration_makes_a_seal_stale_not_wrong(older: Path, tmp_path: Path) -> None:
    catalog = Catalog(older)
    assert catalog.seal()
    catalog.close()
    engine = connect(older)
    migrate(engine, older, scripts_with(tmp_path / "scripts", 'op.execute("UPDATE images SET bytes = 2")'), NEXT)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{HEAD}'")
    engine.dispose()
    catalog = Catalog(older)
    assert catalog.check() == []
    catalog.close()


def test_a_newer_revision_is_refused_and_nothing_is_changed(older: Path) -> None:
    with closing(sqlite3.connect(older)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = older.read_bytes()
    with pytest.raises(GalleryTooNew, match="9999") as refused:
        Catalog(older)
    assert refused.value.exit_code == 6
    assert older.read_bytes() == before
    assert [p.name for p in older.parent.iterdir()] == [older.name]
