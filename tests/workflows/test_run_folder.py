"""What a run leaves on disk: all of a file or nothing, one writer, nothing overwritten."""

from pathlib import Path

import pytest

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.workflows.run_folder import RunFolder


def test_json_comes_back(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write("a.json", {"b": [1, 2.5, None, "ü\udcff"]})
    assert run.read("a.json") == {"b": [1, 2.5, None, "ü\udcff"]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        RunFolder(tmp_path).write("a.json", {"b": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_or_damaged_is_said(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(NoSuchPath, match="no run folder"):
        run.read("metrics.json")
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(BadValue, match="damaged"):
        run.read("metrics.json")


def test_two_runs_in_one_folder_are_kept_apart(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with run.writing(), pytest.raises(BadValue, match="Another process"), RunFolder(tmp_path / "run").writing():
        pass


def test_a_folder_that_is_used_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.refuse_if_used()
    with run.writing():
        run.refuse_if_used()
    (tmp_path / "run" / "x").touch()
    with pytest.raises(BadValue, match="--resume"):
        run.refuse_if_used()
    (tmp_path / "file").touch()
    with pytest.raises(BadValue, match="is a file"):
        RunFolder(tmp_path / "file").refuse_if_used()


def test_a_run_that_fails_before_it_wrote_anything_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RunFolder(tmp_path / "run").writing():
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "run").mkdir()
    RunFolder(tmp_path / "run").write("recipe.json", {})
    with pytest.raises(RuntimeError), RunFolder(tmp_path / "run").writing():
        raise RuntimeError
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["recipe.json", "writing.lock"]


def test_a_run_of_an_older_version_goes_on_where_what_is_new_is_not_set(tmp_path: Path) -> None:
    """Its recipe lacks the keys that were added since."""
    run, loop = RunFolder(tmp_path), {"loop": {"epochs": 1}}
    run.remember({"recipe": {"batch_size": 4, **loop}}, resume=False)
    with pytest.raises(BadValue, match="another view_size"):
        run.remember({"recipe": {"batch_size": 4, "view_size": 64, **loop}}, resume=True)
    with pytest.raises(BadValue, match="another batch_size"):
        run.remember({"recipe": {"batch_size": 0, "view_size": 0, **loop}}, resume=True)
    run.remember({"recipe": {"batch_size": 4, "view_size": 0, **loop}}, resume=True)
