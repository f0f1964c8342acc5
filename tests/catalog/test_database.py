"""Opening the SQLite file: what is no catalog is left alone, odd folders hold one."""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from retrieval.catalog import Catalog
from retrieval.core.errors import GalleryDamaged, RetrievalError

from .support import content


@pytest.mark.parametrize(
    "garbage", [b"not a database, but long enough to be one" * 200, b"x", b"y" * 511, os.urandom(8192)]
)
def test_garbage_is_said_to_be_damaged_and_left_alone(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    with pytest.raises(GalleryDamaged, match="cannot be read") as refused:
        Catalog(path)
    assert "restore" in refused.value.hint
    assert path.read_bytes() == garbage


def test_the_database_of_another_program_is_not_made_into_a_catalog(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(GalleryDamaged):
        Catalog(path)
    assert list(content(path)) == ["bookmarks"]


def test_a_catalog_whose_table_list_was_lost_is_not_overwritten(older: Path) -> None:
    """One damaged number on the first page makes SQLite see an empty database."""
    damaged = bytearray(older.read_bytes())
    damaged[103:105] = b"\0\0"
    older.write_bytes(damaged)
    with pytest.raises(GalleryDamaged):
        Catalog(older)
    assert older.stat().st_size == len(damaged)


def test_an_empty_file_becomes_a_catalog(path: Path) -> None:
    path.touch()
    catalog = Catalog(path)
    assert catalog.roots.all() == []
    catalog.close()


def test_a_catalog_that_cannot_be_opened_is_not_called_damaged(path: Path) -> None:
    path.mkdir()
    with pytest.raises(RetrievalError, match="unable to open") as refused:
        Catalog(path)
    assert not isinstance(refused.value, GalleryDamaged)


@pytest.mark.parametrize("name", ["a?b", "50% off", "a#b;c&d", "ünïcode ☃", "sp ace'\""])
def test_odd_folder_names_hold_a_catalog(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    catalog = Catalog(folder / "catalog.sqlite3")
    catalog.put("a", 1)
    assert catalog.seal()
    catalog.copy_to(folder / "copy.sqlite3")
    catalog.close()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert sorted(p.name for p in folder.iterdir()) == ["catalog.sqlite3", "catalog.sqlite3.seal", "copy.sqlite3"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_a_folder_name_that_is_no_text_holds_a_catalog(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9\xff")
    folder.mkdir()
    catalog = Catalog(folder / "catalog.sqlite3")
    catalog.put("a", 1)
    assert catalog.get("a") == 1
    catalog.close()
    assert [p.name for p in folder.iterdir()] == ["catalog.sqlite3"]
