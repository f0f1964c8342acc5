"""The sample set is found, in a checkout and in an installed package, and the demo shows it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from retrieval.cli import main
from retrieval.core.errors import NoSuchPath
from retrieval.datasets import samples
from retrieval.datasets.samples import samples_folder
from retrieval.workflows.recipes import load_recipe
from tests.conftest import REPOSITORY


def test_in_a_checkout_it_is_the_data_folder() -> None:
    assert samples_folder() == REPOSITORY / "data" / "samples"


def test_its_absence_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(samples, "__file__", str(tmp_path / "a" / "b" / "c.py"))
    with pytest.raises(NoSuchPath, match="make_samples"):
        samples_folder()


def test_the_demo_indexes_it_once_and_shows_a_search(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVAL_PRECISION", "auto")
    short = load_recipe("quick-head", {"epochs": "2", "dimension": "16", "trials": "[1.0]"})
    monkeypatch.setattr("retrieval.workflows.recipes.load_recipe", lambda _: short)
    monkeypatch.setattr(sys, "argv", ["retrieval", "demo", "--no-serve", "--gallery", str(tmp_path / "demo")])
    for embedded in (392, 0):
        with pytest.raises(SystemExit) as ended:
            main()
        said = capfd.readouterr()
        assert not ended.value.code, said.err
        assert f"392 images indexed ({embedded} embedded now)" in said.out
        assert "Neighbours of" in said.out
        assert "untrained" not in (said.out + said.err).lower()


@pytest.mark.slow
def test_the_demo_as_it_is_started_with_its_whole_lesson(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVAL_PRECISION", "auto")
    demo = [*command, "demo", "--no-serve", "--gallery", str(tmp_path / "demo")]
    first = subprocess.run(demo, capture_output=True, text=True, check=True)
    assert "392 images indexed (392 embedded now)" in first.stdout
    assert "Neighbours of" in first.stdout
    assert "untrained" not in (first.stdout + first.stderr).lower()
    second = subprocess.run(demo, capture_output=True, text=True, check=True)
    assert "392 images indexed (0 embedded now)" in second.stdout


@pytest.mark.slow
def test_a_wheel_holds_the_samples_the_starter_the_page_and_the_migrations(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(REPOSITORY)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert sum(name.startswith("retrieval/datasets/samples/") for name in names) == 392
    starter = {f"retrieval/models/starter_encoder/{name}" for name in ("model.safetensors", "card.json", "README.md")}
    assert starter <= names
    assert {"ui/page.css", "ui/page.js", "retrieval/catalog/migrations/versions/0001_first_catalog.py"} <= names
