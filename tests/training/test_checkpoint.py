"""Checkpoints survive what happens to processes and disks."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from retrieval.core.errors import DiskFull, ModelDamaged
from retrieval.training import checkpoint
from retrieval.training.loop import fit
from tests.training.child import crash_method
from tests.training.tiny import TinySource, config, same_state


@pytest.mark.slow
@pytest.mark.parametrize(("task", "code"), [("kill", -9), ("rename", -9), ("full", DiskFull.exit_code)])
def test_a_save_that_fails_costs_one_step(tmp_path: Path, children: Path, task: str, code: int) -> None:
    """The third checkpoint (of step 2) is never there; the second (of step 1) is whole, and the run goes on from it."""
    said = (children / f"{task}.txt").read_text()
    assert json.loads((children / "ended.json").read_text())[task] == code, said
    folder = tmp_path / "run"
    shutil.copytree(children / task, folder)
    if task == "full":
        assert f"No space is left on the disk while writing {children / task / 'last.ckpt'}" in said
    torn = [path.name for path in folder.glob(".last.ckpt*")]
    assert len(torn) == (0 if task == "full" else 1)
    state = checkpoint.load_checkpoint(folder)
    assert state is not None
    assert state["place"]["step"] == 1
    resumed, whole = crash_method(), crash_method()
    fit(resumed, TinySource(), config(save_seconds=0.0), folder=folder, resume=True)
    assert list(folder.glob(".last.ckpt*")) == []
    fit(whole, TinySource(), config(), folder=tmp_path / "whole")
    same_state(resumed, whole)


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_no_space_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    checkpoint.save_checkpoint(tmp_path, {"value": torch.ones(3)})

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"os.{where}", full)
    with pytest.raises(DiskFull, match=r"No space is left .*last\.ckpt"):
        checkpoint.save_checkpoint(tmp_path, {"value": torch.zeros(3)})
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    state = checkpoint.load_checkpoint(tmp_path)
    assert state is not None
    assert torch.equal(state["value"], torch.ones(3))


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save_checkpoint(tmp_path, {"value": lambda: None})
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (Path.touch, (tmp_path / "harm",))  # type: ignore[return-value]

    torch.save({"format": checkpoint.FORMAT, "value": Harmful()}, tmp_path / "last.ckpt")
    with pytest.raises(ModelDamaged, match="cannot be read"):
        checkpoint.load_checkpoint(tmp_path)
    assert not (tmp_path / "harm").exists()


def test_another_version_is_said(tmp_path: Path) -> None:
    torch.save({"format": 99}, tmp_path / "last.ckpt")
    with pytest.raises(ModelDamaged, match="not of this version"):
        checkpoint.load_checkpoint(tmp_path)
    assert checkpoint.load_checkpoint(tmp_path / "nowhere") is None


def test_a_disk_that_is_full_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is as much a reason as the checkpoint."""
    plain = open

    def refuse(path: Any, mode: str = "r", **options: Any) -> Any:
        if mode == "a":
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain(path, mode, **options)

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DiskFull, match=r"log\.jsonl"):
        fit(crash_method(), TinySource(), config(), folder=tmp_path)
