"""Atomic writes: the old file or the new one, and nothing beside it."""

import json
import os
from pathlib import Path

import pytest

from retrieval.core import files
from retrieval.core.files import write_atomically, write_json


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_write_leaves_exactly_the_new_content(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)
    write_atomically(path, b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"new"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"old"}


def test_the_content_is_synced_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda handle: (calls.append("sync"), fsync(handle))[1])
    monkeypatch.setattr(files.os, "replace", lambda a, b: (calls.append("name"), replace(a, b))[1])
    write_atomically(tmp_path / "file", b"new")
    assert calls == ["sync", "name", "sync"]


def test_a_missing_folder_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "absent" / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_json_is_sorted_and_readable(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": "größer"}
    write_json(tmp_path / "v.json", value)
    text = (tmp_path / "v.json").read_text("utf-8")
    assert json.loads(text) == value
    assert text.index('"a"') < text.index('"b"')
    assert "größer" in text
    assert text.endswith("}\n")


def test_a_value_that_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "v.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "v.json", {1, 2})
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"v.json": "1\n"}
