"""``finetune`` and ``distil`` as scripts and people see them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import Command

QUICK = ("--epochs", "1", "--set", "batch_size=8", "--workers", "1")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for number, name in enumerate(("red", "green", "blue")):
        (folder / name).mkdir()
        colour = 40 + 180 * np.eye(3)[number]
        for n in range(8):
            pixels = np.clip(colour + random.normal(0, 40, (40, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{n}.png")
    return folder


@pytest.fixture
def seen(retrieval: Command, dataset: Path, tiny_model: Path, tmp_path: Path) -> Path:
    """A run without labels."""
    small = ("--set", "simclr.hidden=16", "--set", "simclr.dimension=4")
    done = retrieval(
        "pretrain", dataset, "--recipe", "simclrv2", "--model", tiny_model, "--out", tmp_path / "seen", *QUICK, *small
    )
    assert done.code == 0, done.err
    return tmp_path / "seen"


def test_three_stages(
    retrieval: Command, seen: Path, dataset: Path, tiny_model: Path, other_model: Path, tmp_path: Path
) -> None:
    tuned, student = tmp_path / "tuned", tmp_path / "student"
    done = retrieval("finetune", seen, dataset, "--fraction", "0.2", "--out", tuned, *QUICK)
    assert done.code == 0, done.err
    for words in ("Classification: accuracy", "recall@1", "MAP@R", f"{tuned}/report.html"):
        assert words in done.out
    assert "3 labels of" in done.err
    given = ("distil", dataset, "--teacher", tuned, "--student", other_model, *QUICK)
    done = retrieval(*given, "--labels", dataset, "--out", student)
    assert done.code == 0, done.err
    for words in ("Classification: accuracy", "The teacher's: accuracy", "recall@1", f"{student}/report.html"):
        assert words in done.out
    done = retrieval(*given, "--out", tmp_path / "features", "--json")
    assert done.code == 0, done.err
    assert done.json["method"] == "feature_distillation"
    measured = retrieval("evaluate", dataset, "--model", student / "encoder", "--against", tiny_model, "--json")
    assert measured.code == 0, measured.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fraction", "0"), "above 0"),
        (("--set", "epoch=3"), "epochs"),
        (("--split", "half"), "grouped"),
        (("--recipe", "fine_tunning"), "fine_tuning"),
        (("--set", "average=0.9"), "average"),
    ],
)
def test_wrong_input_to_finetune_is_one_line(
    retrieval: Command, dataset: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = retrieval("finetune", tmp_path / "seen", dataset, "--out", tmp_path / "run", *arguments)
    assert done.code == 14
    assert words in done.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--set", "distillation.alpha=1"), 14, "feature_distillation"),
        (("--recipe", "startr"), 14, "starter"),
        (("--recipe", "distillation"), 14, "not for features"),
        (("--set", "whitening=0.5"), 14, "views_kept"),
        (("--labels", "D"), 3, "no run folder"),
        (("--split", "half"), 14, "grouped"),
    ],
)
def test_wrong_input_to_distil_is_one_line(
    retrieval: Command,
    dataset: Path,
    tiny_model: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    given = [str(dataset) if argument == "D" else argument for argument in arguments]
    done = retrieval(
        "distil", dataset, "--teacher", tiny_model, "--student", tiny_model, "--out", tmp_path / "run", *given
    )
    assert done.code == code
    assert words in done.error


def test_the_help_names_the_stages(retrieval: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command, options in (("finetune", ("--fraction", "RUN")), ("distil", ("--teacher", "--student", "--labels"))):
        done = retrieval(command, "-h")
        assert done.code == 0
        for words in (*options, "--out", "--set", "--resume", "SimCLRv2"):
            assert words in done.out


def test_their_recipes_are_listed(retrieval: Command) -> None:
    commands = {recipe["name"]: recipe["command"] for recipe in retrieval("recipes", "--json").json}
    assert commands["fine_tuning"] == "finetune"
    assert {commands[name] for name in ("feature_distillation", "distillation", "starter")} == {"distil"}
    assert "views_kept" in retrieval("recipes", "starter").out
    assert "distillation.alpha" in retrieval("recipes", "distillation").out
