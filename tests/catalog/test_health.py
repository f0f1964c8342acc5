"""The seal and the check: damage is told from use."""

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retrieval.catalog import Catalog, health
from retrieval.catalog.health import seal_path
from retrieval.core.errors import GalleryDamaged, RetrievalError

from .support import World, outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite3"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    made = Catalog(path)
    yield made
    made.close()


def test_a_sound_catalog_has_no_problems_sealed_or_not(catalog: Catalog) -> None:
    assert catalog.check() == []
    assert catalog.seal()
    assert catalog.check() == []


def test_a_seal_that_a_later_write_made_stale_is_no_problem(catalog: Catalog, path: Path) -> None:
    assert catalog.seal()
    former = seal_path(path).read_text()
    catalog.put("a", 1)
    assert catalog.check() == []
    assert catalog.seal()
    assert seal_path(path).read_text() != former
    assert catalog.check() == []


def test_sealing_folds_the_journal_in(catalog: Catalog, path: Path) -> None:
    catalog.put("a", "x" * 10_000)
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    assert catalog.seal()
    assert path.with_name(path.name + "-wal").stat().st_size == 0


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "BEGIN; SELECT * FROM meta"])
def test_a_catalog_in_use_is_not_sealed_and_keeps_its_old_seal(catalog: Catalog, path: Path, statement: str) -> None:
    catalog.put("a", 1)
    assert catalog.seal()
    former = seal_path(path).read_text()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for part in statement.split("; "):
            other.execute(part).fetchall()
        catalog.put("b", 2) if "IMMEDIATE" not in statement else None
        assert catalog.seal() is False
        assert seal_path(path).read_text() == former
        assert catalog.check() == []
        other.execute("ROLLBACK")
    assert catalog.seal()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_damaged_seal_is_said(catalog: Catalog, path: Path, content: bytes) -> None:
    assert catalog.seal()
    seal_path(path).write_bytes(content)
    (problem,) = catalog.check()
    assert "catalog.sqlite3.seal" in problem
    assert catalog.seal()
    assert catalog.check() == []


def test_a_dangling_reference_is_said(catalog: Catalog, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO files (root_id, relpath, size, mtime_ns, state) VALUES (77, x'61', 1, 1, 'failed')"
        )
    (problem,) = catalog.check()
    assert "files" in problem
    assert "roots" in problem


def test_rows_that_an_index_lacks_are_said_and_mended(tmp_path: Path) -> None:
    world = World(tmp_path)
    root = world.catalog.roots.ensure(b"/p", whole=True)
    world.catalog.roots.set_online(root.id, False)
    world.commit(*(outcome(root.id, b"%d" % n, b"%d" % n) for n in range(5)))
    # Behind SQLite's back: the index is declared to be on other rows, built, and declared to be on all again.
    world.close()
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite3")) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'files_by_image'").fetchone()
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DROP INDEX files_by_image")
        connection.execute("CREATE INDEX files_by_image ON files (image_id) WHERE image_id > 2")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'files_by_image'", (sql,))
        connection.commit()
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    assert any("files_by_image" in problem for problem in catalog.check())
    catalog.reindex()
    assert catalog.check() == []
    catalog.close()


def test_a_write_during_the_check_is_no_damage(catalog: Catalog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum of a large file takes seconds; meanwhile an index run may commit, and SQLite fold its journal in."""
    assert catalog.seal()
    sums_of = health.sums_of

    def slowly(file: str) -> dict[str, object]:
        catalog.put("meanwhile", "x" * 5000)
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return sums_of(file)

    monkeypatch.setattr(health, "sums_of", slowly)
    assert catalog.check() == []
    monkeypatch.undo()
    assert catalog.check() == []


def test_sealing_a_damaged_file_is_said_in_our_words(catalog: Catalog, path: Path) -> None:
    catalog.put("a", 1)
    assert catalog.seal()
    catalog.close()
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(GalleryDamaged):
        health.seal(catalog._session)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed catalog at rest with a little of everything, and free pages."""
    folder = tmp_path_factory.mktemp("sealed")
    world = World(folder)
    root = world.catalog.roots.ensure(b"/p", whole=True)
    world.catalog.roots.set_online(root.id, False)
    world.commit(*(outcome(root.id, b"f%d/%d" % (n % 3, n), b"%d" % n) for n in range(20)))
    world.commit(outcome(root.id, b"x", b"bad"))
    world.catalog.put("large", "x" * 20_000)
    world.catalog.put("large", "")
    assert world.catalog.seal()
    world.close()
    return folder


def is_found(sealed: Path, place: int, mask: int) -> bool:
    """Whether a gallery with one flipped byte is refused when it is opened, or has a problem when it is checked."""
    with tempfile.TemporaryDirectory() as folder:
        for file in sealed.iterdir():
            shutil.copy(file, folder)
        path = Path(folder) / "catalog.sqlite3"
        content = bytearray(path.read_bytes())
        content[place] ^= mask
        path.write_bytes(content)
        try:
            catalog = Catalog(path)
        except RetrievalError:
            return True
        problems = catalog.check()
        catalog.close()
        # The two bytes of the journal mode are put right by opening the file.
        mended = place in (18, 19) and path.read_bytes()[18:20] == (sealed / "catalog.sqlite3").read_bytes()[18:20]
        return problems != [] or (mended and mask != 0)


def test_an_unharmed_copy_has_no_problem(sealed: Path) -> None:
    assert not is_found(sealed, 0, 0)


@settings(max_examples=120, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
@example(share=0.0, mask=1)
def test_a_flipped_byte_anywhere_in_a_sealed_catalog_is_found(sealed: Path, share: float, mask: int) -> None:
    size = (sealed / "catalog.sqlite3").stat().st_size
    assert is_found(sealed, int(share * size), mask)


@settings(max_examples=120, deadline=None)
@given(place=st.integers(0, 199), mask=st.integers(1, 255))
@example(place=18, mask=3)
@example(place=19, mask=3)
@example(place=63, mask=1)
def test_a_flipped_byte_in_the_header_is_found(sealed: Path, place: int, mask: int) -> None:
    assert is_found(sealed, place, mask)


def test_a_flipped_digit_of_the_revision_does_not_pass_for_a_later_write(sealed: Path) -> None:
    content = (sealed / "catalog.sqlite3").read_bytes()
    places = [at + len(b"revision") for at in range(len(content)) if content[at:].startswith(b"revision")]
    assert places
    digits = [at for at in places if content[at : at + 1].isdigit()]
    assert digits
    for place in digits:
        assert is_found(sealed, place, 1)
        assert is_found(sealed, place, 8)


def test_looking_at_the_file_gives_up_no_lock(catalog: Catalog, path: Path) -> None:
    """POSIX drops a process's locks when it closes any handle on the file: a second process, closing, would then fold
    the journal in under the feet of the first."""
    assert catalog.seal()
    catalog.put("before", 1)
    catalog.refuse_damage()
    catalog.check()
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM meta').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.with_name(path.name + "-wal").exists()
    catalog.put("after", 2)
    assert (catalog.get("before"), catalog.get("after"), catalog.check()) == (1, 2, [])


def test_a_sealed_catalog_may_move_to_a_network_drive(catalog: Catalog, path: Path) -> None:
    catalog.put("something", 1)
    assert catalog.seal()
    catalog.close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = DELETE").fetchall()
    moved = Catalog(path)
    moved.refuse_damage()
    assert moved.check() == []
    moved.close()
