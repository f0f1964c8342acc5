"""Catalogs of earlier versions: brought up to date when they are opened, with all that they hold."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalog import Catalog, Vector, database

from .support import content


@pytest.fixture
def first_version(tmp_path: Path) -> Path:
    """A catalog as version 0001 wrote it, with something in every table that it had."""
    path = tmp_path / "old" / "catalog.sqlite3"
    path.parent.mkdir()
    engine = database.connect(path)
    database.migrate(engine, path, head="0001")
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript("""
            INSERT INTO meta VALUES ('colour', '"blue"');
            INSERT INTO roots VALUES (1, x'2f70', 1, 1, '2024-01-01 00:00:00');
            INSERT INTO images VALUES (7, x'01', 1, 2, 3, 'PNG', NULL, 5, '2024-01-01 00:00:00');
            INSERT INTO files VALUES (1, 1, x'6162', 7, 1, 1, 'present', NULL, NULL, NULL);
            INSERT INTO operations VALUES (1, 'index', '2024-01-01 00:00:00');
            INSERT INTO labels VALUES (1, 7, 'red', 'folder', NULL, 1, NULL);
            INSERT INTO spaces VALUES (1, 'ffff', 'old model', 2, 1, 1, x'0000803f00000000', '2024-01-01 00:00:00');
            INSERT INTO embedded VALUES (1, 7, 0, 0, 1);
            INSERT INTO changes VALUES (1, 1, 7, 1);
        """)
    return path


@pytest.fixture
def second_version(first_version: Path) -> Path:
    """The same catalog as version 0002 wrote it, after ``red`` was taken away by a person and given back."""
    engine = database.connect(first_version)
    database.migrate(engine, first_version, head="0002")
    engine.dispose()
    first_version.with_name("catalog.sqlite3.before-0002").unlink()
    with closing(sqlite3.connect(first_version)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript("""
            INSERT INTO operations VALUES (2, 'unset', '2024-01-02 00:00:00');
            UPDATE labels SET undone_by = 2 WHERE id = 1;
            INSERT INTO operations VALUES (3, 'undo', '2024-01-03 00:00:00');
            INSERT INTO labels VALUES (2, 7, 'red', 'folder', NULL, 3, NULL);
            INSERT INTO meta VALUES ('undoing:3', '2');
            -- An undoing of an earlier version, which noted nothing.
            INSERT INTO operations VALUES (4, 'undo', '2024-01-04 00:00:00');
            -- No undoing of ours: of an operation that there is not.
            INSERT INTO meta VALUES ('undoing:4', '99');
        """)
    return first_version


def test_a_gallery_of_the_first_version_is_brought_up_to_date(first_version: Path) -> None:
    before = content(first_version)
    catalog = Catalog(first_version)
    found = catalog.spaces.live()
    assert found is not None
    assert (found.fingerprint, found.rows, catalog.get("colour")) == ("ffff", 1, "blue")
    assert catalog.images.records([7])[7].labels == ("red",)
    assert catalog.calibrations.current(found.id) is None
    assert catalog.switches.last() is None
    assert catalog.coverage.count(found.id) == (1, 1)
    assert catalog.check() == []
    catalog.close()
    after = content(first_version)
    for name in before.keys() - {"alembic_version", "meta", "sqlite_sequence"}:
        assert [row[: len(old)] for row, old in zip(after[name], before[name], strict=True)] == before[name]
    assert {"switches", "calibrations", "splits", "runs", "judgements"} <= after.keys()
    # The file as it was lies beside it.
    assert content(first_version.with_name(f"catalog.sqlite3.before-{database.HEAD}")) == before


def test_a_switch_works_in_a_gallery_of_the_first_version(first_version: Path) -> None:
    catalog = Catalog(first_version)
    new = catalog.spaces.create("eeee", "new model", 2, np.zeros((1, 2), np.float32))
    assert catalog.coverage.add(new.id, [Vector(7, b"\x01", np.ones(2, np.float32))], lambda ids, vectors: 0) == 1
    catalog.switches.make_live(new.id)
    assert catalog.switches.roll_back() == (1, 0)
    catalog.close()


def test_what_undoings_of_the_second_version_took_back_is_known(second_version: Path) -> None:
    before = content(second_version)
    catalog = Catalog(second_version)
    (event,) = catalog.labels.standing()
    assert (event.id, event.label, event.first) == (2, "red", 1)
    history = {one.id: (one.kind, one.added, one.standing, one.removed) for one in catalog.labels.history()}
    assert history == {
        1: ("index", 1, 1, 0), 2: ("unset", 0, 0, 1), 3: ("undo", 1, 1, 0), 4: ("undo", 0, 0, 0),
    }  # fmt: skip
    # The undoing is undone: the label goes again.
    assert catalog.labels.undo(3).removed == 1
    assert list(catalog.labels.standing()) == []
    assert catalog.check() == []
    catalog.close()
    after = content(second_version)
    assert [row[-1] for row in after["operations"]] == [None, None, 2, None, 3]
    assert not [key for key, _ in after["meta"] if key.startswith("undoing:")]
    assert content(second_version.with_name(f"catalog.sqlite3.before-{database.HEAD}")) == before
