"""Fixtures of the catalog's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.catalog import Catalog, Root
from retrieval.catalog.session import Session

from .support import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A catalog with one space, in a folder of its own."""
    made = World(tmp_path / "gallery")
    yield made
    made.close()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Where the files of a test lie; not made yet."""
    return tmp_path / "photos"


@pytest.fixture
def root(world: World, photos: Path) -> Root:
    """The root ``photos``."""
    return world.root(photos)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a catalog that is not there yet."""
    return tmp_path / "catalog.sqlite3"


@pytest.fixture
def session(path: Path) -> Iterator[Session]:
    """On a new catalog at ``path``."""
    made = Session(path)
    yield made
    made.close()


@pytest.fixture
def older(path: Path) -> Path:
    """A catalog at the real head, with something in it."""
    catalog = Catalog(path)
    catalog.put("colour", "blue")
    with catalog._session.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO images (digest, bytes, width, height, format, phash, added_at) "
            "VALUES (x'00', 1, 1, 1, 'PNG', 0, '2024-01-01')"
        )
    catalog.close()
    return path
