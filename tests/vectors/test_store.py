"""The vector store: what was appended and committed is read back, and nothing else."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.core.protocols import VectorSource
from retrieval.core.types import Ids, Vectors
from retrieval.vectors import DamagedRows, VectorStore, row_bytes

D = 8
ROW_FILES = tuple(row_bytes(D))


def unit(count: int, seed: int = 0, dimension: int = D) -> Vectors:
    made = np.random.default_rng(seed).normal(size=(count, dimension))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def ids(*values: int) -> Ids:
    return np.array(values, np.int64)


def filled(folder: Path, count: int = 10, first: int = 100) -> tuple[VectorStore, Ids, Vectors]:
    """A store with ``count`` committed rows, whose ids begin at ``first``."""
    store, keys, vectors = VectorStore(folder, D, 0), np.arange(first, first + count), unit(count)
    store.append(keys, vectors)
    store.refresh(count)
    return store, keys, vectors


def flip(path: Path, offset: int, mask: int = 0xFF) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= mask
    path.write_bytes(content)


def taken(folder: Path) -> int:
    """Bytes of a store's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_store_is_a_source_of_vectors(tmp_path: Path) -> None:
    source: VectorSource = VectorStore(tmp_path, D, 0)
    assert source.dimension == D


def test_an_empty_store_has_no_files_and_no_vectors(tmp_path: Path) -> None:
    store = VectorStore(tmp_path / "none", D, 0)
    assert (store.rows, store.cut_tail()) == (0, 0)
    assert store.read(ids()).shape == (0, D)
    assert store.missing(ids(3, 1)).tolist() == [1, 3]
    assert list(store.damaged(ids())) == []
    assert not (tmp_path / "none").exists()
    with pytest.raises(KeyError):
        store.read(ids(1))


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    dimension=st.integers(1, 33),
    seed=st.integers(0, 1000),
)
def test_appended_vectors_are_read_back_in_any_order(batches: list[int], dimension: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    vectors = unit(sum(batches), seed, dimension)
    keys = generator.permutation(10_000)[: sum(batches)].astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        store = VectorStore(Path(folder) / "s", dimension, 0)
        at = 0
        for size in batches:
            assert store.append(keys[at : at + size], vectors[at : at + size]) == at
            at += size
            store.refresh(at)
        reopened = VectorStore(Path(folder) / "s", dimension, at)
        order = generator.permutation(at)
        for one in (store, reopened):
            read = one.read(keys[order])
            assert read.dtype == np.float32
            # Rounding to the nearest half float: 2^-11 relative, 2^-25 absolute near zero.
            np.testing.assert_allclose(read, vectors[order], rtol=2**-11, atol=2**-25)
            assert np.array_equal(read, vectors[order].astype(np.float16).astype(np.float32))
        assert taken(Path(folder) / "s") == at * sum(row_bytes(dimension).values())


def test_the_files_are_as_documented(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    assert {p.name: p.stat().st_size for p in tmp_path.iterdir()} == {n: 3 * b for n, b in row_bytes(D).items()}


def test_rows_count_only_once_they_are_committed(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, D, 0)
    store.append(ids(1), unit(1))
    with pytest.raises(KeyError):
        store.read(ids(1))
    store.refresh(1)
    assert store.read(ids(1)).shape == (1, D)


def test_an_id_that_was_appended_twice_means_its_last_row(tmp_path: Path) -> None:
    store, keys, _ = filled(tmp_path)
    newer = unit(2, seed=9)
    assert store.append(keys[[4, 2]], newer) == 10
    store.refresh(12)
    np.testing.assert_allclose(store.read(keys[[2, 4]]), newer[[1, 0]], atol=1e-3)
    # A reader that has committed less still sees the older rows.
    older = VectorStore(tmp_path, D, 10)
    assert not np.allclose(older.read(keys[[2]]), newer[1], atol=1e-2)


def test_unknown_ids_are_named_and_counted(tmp_path: Path) -> None:
    store, keys, _ = filled(tmp_path)
    with pytest.raises(KeyError, match="2 ids have no vector, the first is 5"):
        store.read(ids(int(keys[0]), 5, 999))
    assert store.missing(ids(5, int(keys[3]), 999)).tolist() == [5, 999]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 65520.0, 1e30])
def test_what_a_half_float_cannot_hold_is_refused_and_nothing_is_written(tmp_path: Path, wrong: float) -> None:
    store = VectorStore(tmp_path / "s", D, 0)
    vectors = unit(3)
    vectors[1, 5] = wrong
    with pytest.raises(ValueError, match="finite"):
        store.append(ids(1, 2, 3), vectors)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("shape", [(2, D), (4, D), (3, D - 1), (3 * D,)])
def test_shapes_that_do_not_fit_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        VectorStore(tmp_path, D, 0).append(ids(1, 2, 3), np.ones(shape, np.float32))


def test_appending_nothing_changes_nothing(tmp_path: Path) -> None:
    store, keys, vectors = filled(tmp_path)
    before = taken(tmp_path)
    assert store.append(ids(), np.empty((0, D), np.float32)) == 10
    assert taken(tmp_path) == before
    np.testing.assert_allclose(store.read(keys), vectors, atol=1e-3)


def test_a_torn_tail_is_hidden_overwritten_and_can_be_cut(tmp_path: Path) -> None:
    store, keys, vectors = filled(tmp_path)
    store.append(ids(7, 8), unit(2, seed=1))
    for name in ROW_FILES:
        with open(tmp_path / name, "ab") as file:
            file.write(b"torn")
    crashed = VectorStore(tmp_path, D, 10)
    assert crashed.missing(ids(7, 8)).tolist() == [7, 8]
    assert crashed.cut_tail() == 2 * sum(row_bytes(D).values()) + 8
    assert crashed.cut_tail() == 0
    crashed.append(ids(9), unit(1, seed=2))
    crashed.refresh(11)
    assert crashed.missing(ids(7, 8, 9)).tolist() == [7, 8]
    np.testing.assert_allclose(crashed.read(keys), vectors, atol=1e-3)


def test_an_append_overwrites_a_tail_that_was_not_cut(tmp_path: Path) -> None:
    store, keys, vectors = filled(tmp_path)
    store.append(ids(7, 8, 9), unit(3, seed=1))
    again = VectorStore(tmp_path, D, 10)
    assert again.append(ids(5), unit(1, seed=2)) == 10
    again.refresh(11)
    assert again.missing(ids(5, 7, 8, 9)).tolist() == [7, 8, 9]
    np.testing.assert_allclose(again.read(ids(5)), unit(1, seed=2), atol=1e-3)
    np.testing.assert_allclose(again.read(keys), vectors, atol=1e-3)


def test_a_write_that_fails_leaves_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retrieval.vectors import store as module

    store, keys, vectors = filled(tmp_path)
    calls = []

    def fail_at_the_second(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", fail_at_the_second)
    with pytest.raises(OSError, match="No space"):
        store.append(ids(1, 2), unit(2))
    monkeypatch.undo()
    assert store.append(ids(3), unit(1, seed=3)) == 10
    store.refresh(11)
    assert store.missing(ids(1, 2, 3)).tolist() == [1, 2]
    np.testing.assert_allclose(store.read(keys), vectors, atol=1e-3)


def test_both_files_are_synced_before_an_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retrieval.vectors import store as module

    synced, fsync = set(), os.fsync

    def remember(handle: int) -> None:
        fsync(handle)
        synced.add(os.fstat(handle).st_ino)

    monkeypatch.setattr(module.os, "fsync", remember)
    folder = tmp_path / "spaces" / "abc"
    VectorStore(folder, D, 0).append(ids(1), unit(1))
    # The folders too: a file whose name is lost is lost.
    folders = () if os.name == "nt" else (folder, folder.parent)
    assert {p.stat().st_ino for p in (*(folder / name for name in ROW_FILES), *folders)} <= synced


@pytest.mark.parametrize("name", ROW_FILES)
@pytest.mark.parametrize("cut", [1, 16, 17, 40])
def test_a_truncated_file_costs_only_the_rows_it_lost(tmp_path: Path, name: str, cut: int) -> None:
    _, keys, vectors = filled(tmp_path)
    size = row_bytes(D)[name]
    with open(tmp_path / name, "r+b") as file:
        file.truncate(10 * size - cut)
    kept = (10 * size - cut) // size
    store = VectorStore(tmp_path, D, 10)
    assert store.rows == kept
    assert store.missing(keys).tolist() == keys[kept:].tolist()
    np.testing.assert_allclose(store.read(keys[:kept]), vectors[:kept], atol=1e-3)


@pytest.mark.parametrize("name", ROW_FILES)
def test_a_lost_file_loses_every_row(tmp_path: Path, name: str) -> None:
    _, keys, _ = filled(tmp_path)
    (tmp_path / name).unlink()
    store = VectorStore(tmp_path, D, 10)
    assert store.rows == 0
    assert store.missing(keys).tolist() == keys.tolist()


def found_broken(store: VectorStore, keys: Ids, rows: Ids) -> set[int]:
    """What a check finds, as ``status --check`` asks: misplaced ids first, then the checksums of the rest."""
    misplaced = store.misplaced(keys, rows)
    rest = np.setdiff1d(keys, misplaced)
    return {*misplaced.tolist(), *(int(i) for block in store.damaged(rest) for i in block)}


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(ROW_FILES),
    place=st.integers(0, 10 * max(row_bytes(D).values()) - 1),
    mask=st.integers(1, 255),
)
def test_a_flipped_byte_is_found_for_exactly_the_image_it_hit(name: str, place: int, mask: int) -> None:
    size = row_bytes(D)[name]
    place %= 10 * size
    with tempfile.TemporaryDirectory() as folder:
        # Ids far apart, so that a damaged id is no other's.
        keys, vectors = np.arange(10) * 1_000_003 + 1, unit(10)
        store = VectorStore(Path(folder), D, 0)
        store.append(keys, vectors)
        flip(Path(folder) / name, place, mask)
        store = VectorStore(Path(folder), D, 10)
        hit = int(keys[place // size])
        assert found_broken(store, keys, np.arange(10)) == {hit}
        sound = keys[keys != hit]
        np.testing.assert_allclose(store.read(sound), vectors[keys != hit], atol=1e-3)
        with pytest.raises((DamagedRows, KeyError)):
            store.read(keys)


def test_a_damaged_row_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    _, keys, vectors = filled(tmp_path)
    flip(tmp_path / "vectors.f16", 3 * 2 * D)
    flip(tmp_path / "vectors.f16", 7 * 2 * D + 5, 1)
    store = VectorStore(tmp_path, D, 10)
    with pytest.raises(DamagedRows, match="2 stored vectors") as damaged:
        store.read(keys[::-1])
    assert sorted(damaged.value.ids.tolist()) == [103, 107]
    np.testing.assert_allclose(store.read(keys[:3]), vectors[:3], atol=1e-3)


def test_an_id_damaged_into_another_ones_is_found(tmp_path: Path) -> None:
    """Row 5 claims to be 104 (row 4): 105 is misplaced, and 104's newest row is a wrong one."""
    _, keys, _ = filled(tmp_path)
    flip(tmp_path / "rows.bin", 5 * 16, 104 ^ 105)
    store = VectorStore(tmp_path, D, 10)
    assert store.missing(keys).tolist() == [105]
    assert found_broken(store, keys, np.arange(10)) == {104, 105}


def test_swapped_rows_are_found(tmp_path: Path) -> None:
    """Each vector is sound, but belongs to another id."""
    _, keys, _ = filled(tmp_path)
    content = bytearray((tmp_path / "vectors.f16").read_bytes())
    row = 2 * D
    content[:row], content[row : 2 * row] = content[row : 2 * row], content[:row]
    (tmp_path / "vectors.f16").write_bytes(content)
    assert found_broken(VectorStore(tmp_path, D, 10), keys, np.arange(10)) == {100, 101}


def test_damage_is_found_in_every_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from retrieval.vectors import store as module

    _, keys, _ = filled(tmp_path)
    monkeypatch.setattr(module, "BLOCK", 3)
    for row in (0, 1, 4, 9):
        flip(tmp_path / "vectors.f16", row * 2 * D)
    found = list(VectorStore(tmp_path, D, 10).damaged(keys))
    assert [block.tolist() for block in found] == [[100, 101], [104], [109]]


WRITER = """
import sys
from pathlib import Path
import numpy as np
from retrieval.vectors import VectorStore
store = VectorStore(Path(sys.argv[1]), 8, 0)
for batch in range(40):
    ids = np.arange(batch * 50, batch * 50 + 50)
    store.append(ids, np.repeat(np.sin(ids)[:, None], 8, 1).astype(np.float32))
    store.refresh((batch + 1) * 50)
    print((batch + 1) * 50, flush=True)
"""


def test_a_reader_sees_committed_rows_while_another_process_appends(tmp_path: Path) -> None:
    reader = VectorStore(tmp_path / "s", D, 0)
    command = [sys.executable, "-c", WRITER, str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        seen = 0
        for line in writer.stdout:
            rows = int(line)
            reader.refresh(rows)
            assert reader.rows == rows
            keys = np.arange(rows)
            read = reader.read(keys[:: max(1, rows // 100)])
            np.testing.assert_allclose(read[:, 0], np.sin(keys[:: max(1, rows // 100)]), atol=1e-3)
            seen = rows
    assert (writer.returncode, seen) == (0, 2000)
