"""Kept photos: bounded, readable again, and gone when they are cleared or damaged."""

import os
from pathlib import Path

import numpy as np
import pytest

from retrieval.core.errors import NoSuchPath
from retrieval.workflows import history
from retrieval.workflows.history import History


def key(number: int) -> str:
    return f"{number:064x}"


def unit(seed: int) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    return made / np.linalg.norm(made)


def aged(folder: Path, number: int) -> None:
    os.utime(folder / "history" / f"{key(number)}.json", ns=(number, number))


def test_a_photo_is_read_again_bit_for_bit_in_its_own_space_only(tmp_path: Path) -> None:
    kept = History(tmp_path)
    kept.keep(key(1), b"jpeg", unit(1), "f" * 64)
    again = kept.read(key(1), "f" * 64)
    assert (again.key, again.picture) == (key(1), b"jpeg")
    np.testing.assert_array_equal(again.vector, unit(1))
    assert kept.read(key(1), "e" * 64).vector is None


def test_the_oldest_go_and_the_latest_stand_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 3)
    kept = History(tmp_path)
    for number in range(1, 6):
        kept.keep(key(number), b"jpeg", unit(number), "f")
        aged(tmp_path, number)
    assert kept.keys() == [key(5), key(4), key(3)]
    # Searched with again: it is the latest.
    kept.keep(key(3), b"jpeg", unit(3), "f")
    assert kept.keys()[0] == key(3)
    assert len(list((tmp_path / "history").iterdir())) == 6
    assert kept.clear() == 3
    assert kept.keys() == []
    assert list((tmp_path / "history").iterdir()) == []


@pytest.mark.parametrize("name", [key(9), "", "../catalog", "A" * 64, key(1) + "\n"])
def test_what_is_not_kept_is_said_and_no_path_can_be_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "catalog.jpg").write_bytes(b"secret")
    with pytest.raises(NoSuchPath):
        History(tmp_path).picture(name)


def test_a_damaged_note_costs_the_vector_only(tmp_path: Path) -> None:
    kept = History(tmp_path)
    for content in (b"", b"[]", b'{"fingerprint": "f", "vector": "AAAA"}', b'{"fingerprint": "f", "vector": 5}'):
        kept.keep(key(1), b"jpeg", unit(1), "f")
        (tmp_path / "history" / f"{key(1)}.json").write_bytes(content)
        assert kept.read(key(1), "f").vector is None
        assert kept.read(key(1), "f").picture == b"jpeg"
