"""``pretrain``, and the recipes for it, as scripts and people see them."""

from pathlib import Path

import pytest

from tests.workflows.support import fill

from .conftest import Command

QUICK = ("--epochs", "1", "--set", "batch_size=8", "--set", "log_every=1", "--workers", "1")
SMALL = ("--set", "simclr.hidden=16", "--set", "simclr.dimension=8")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number, name in enumerate(("red", "blue")):
        fill(folder / name, range(10 * number, 10 * number + 4))
    return folder


def test_pretrain_prints_what_has_changed_and_where_the_report_is(
    retrieval: Command, photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    given = ("pretrain", photos, "--method", "simclr", "--model", tiny_model, "--out", tmp_path / "run")
    done = retrieval(*given, *QUICK, *SMALL)
    assert done.code == 0, done.err
    for words in ("Alignment of two views", "Effective rank", "recall@1", "No label was used to choose anything"):
        assert words in done.out
    assert f"{tmp_path / 'run'}/report.html" in done.out
    assert f"retrieval index --model {tmp_path / 'run'}/encoder" in done.err
    assert "recall@1" not in done.err
    again = retrieval(*given, *QUICK, *SMALL)
    assert again.code == 14
    assert "--resume" in again.error
    resumed = retrieval(*given, *QUICK, *SMALL, "--resume", "--json")
    assert resumed.code == 0, resumed.err
    assert (resumed.json["images"], resumed.json["method"], resumed.json["epochs"]) == (8, "simclr", 1)


def test_index_takes_the_result(retrieval: Command, photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made = retrieval(
        "pretrain", photos, "--method", "simclr", "--model", tiny_model, "--out", run, "--json", *QUICK, *SMALL
    )
    assert made.code == 0, made.err
    done = retrieval(
        "index", photos, "--model", run / "encoder", "--gallery", tmp_path / "gallery", "--workers", "1", "--json"
    )
    assert done.code == 0, done.err
    assert done.json["embedded"] == 8
    assert done.json["space"] == made.json["fingerprint"]


def test_a_run_without_a_folder_gets_a_number(
    retrieval: Command, photos: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = retrieval("pretrain", photos, "--recipe", "simclrv2", "--model", tiny_model, *QUICK, *SMALL)
    assert done.code == 0, done.err
    assert (tmp_path / "runs" / "1-simclrv2" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--method"),
        (("--method", "simcrl"), "simclr"),
        (("--recipe", "simclr-v2"), "simclrv2"),
        (("--method", "byol", "--recipe", "simclrv2"), "simclr, not for byol"),
        (("--method", "simclr", "--set", "epoch=3"), "epochs"),
        (("--method", "simclr", "--set", "simclr.temprature=1"), "simclr.temperature"),
        (("--method", "simclr", "--set", "look.flips=0"), "look.flip"),
        (("--method", "simclr", "--set", "epochs"), "key=value"),
        (("--method", "simclr", "--resume"), "--out"),
    ],
)
def test_wrong_input_is_one_line_with_the_way_out(
    retrieval: Command, photos: Path, tiny_model: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    out = () if "--resume" in arguments else ("--out", tmp_path / "run")
    done = retrieval("pretrain", photos, "--model", tiny_model, *out, *arguments)
    assert done.code == 14
    assert words in done.error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "code", "words"), [("none", 3, "There is no dataset"), ("empty", 14, "no image")])
def test_a_folder_without_images_is_refused(
    retrieval: Command, tiny_model: Path, tmp_path: Path, name: str, code: int, words: str
) -> None:
    (tmp_path / "empty").mkdir()
    done = retrieval("pretrain", tmp_path / name, "--method", "simclr", "--model", tiny_model, "--out", tmp_path / "r")
    assert done.code == code
    assert words in done.error


def test_the_help_says_what_labels_are_for(retrieval: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = retrieval("pretrain", "-h")
    assert done.code == 0
    for words in (
        "--method",
        "--recipe",
        "--set",
        "--out",
        "--resume",
        "--model",
        "gallery",
        "without labels",
        "untrained:NAME",
    ):
        assert words in done.out


def test_recipes_of_both_kinds_are_listed_and_shown(retrieval: Command) -> None:
    done = retrieval("recipes")
    assert done.code == 0
    for name in ("quick-head", "simclr", "simclrv2", "retrieval pretrain --recipe"):
        assert name in done.out
    commands = {recipe["name"]: recipe["command"] for recipe in retrieval("recipes", "--json").json}
    assert (commands["quick-head"], commands["simclrv2"]) == ("train", "pretrain")
    keys = retrieval("recipes", "simclrv2")
    for key in ("simclr.layers", "simclr.temperature", "look.flip", "learning_rate", "batch_size"):
        assert key in keys.out
    assert retrieval("recipes", "simclrv2", "--json").json["options"] == {"layers": 3}
    assert "simclrv2" in retrieval("recipes", "simclr-v2").error
