"""``train``, ``evaluate`` and ``recipes`` as scripts and people see them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.cli.train import print_proof

from .conftest import Command

QUICK = ("--epochs", "2", "--set", "trials=[1.0]", "--set", "dimension=8", "--set", "batch_size=16", "--workers", "1")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for number in range(12):
        colour = random.integers(0, 256, 3)
        for n in range(4):
            path = folder / f"class{number:02d}" / f"{n}.png"
            path.parent.mkdir(exist_ok=True)
            pixels = np.clip(colour + random.normal(0, 40, (40, 40, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


def test_train_prints_the_proof_and_where_the_report_is(
    retrieval: Command, dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    done = retrieval("train", dataset, "--model", tiny_model, "--out", tmp_path / "run", *QUICK)
    assert done.code == 0, done.err
    assert "recall@1" in done.out
    assert "MAP@R" in done.out
    assert f"{tmp_path / 'run'}/report.html" in done.out
    assert "validation MAP@R" in done.err
    assert (tmp_path / "run" / "encoder" / "card.json").is_file()
    again = retrieval("train", dataset, "--model", tiny_model, "--out", tmp_path / "run", *QUICK)
    assert again.code == 14
    assert "--resume" in again.error


@pytest.mark.parametrize(
    ("stored", "first", "ranking", "said"),
    [
        ("open", (-0.005, 0.1), (0.02, 0.2), "Proven better:"),
        ("better", (0.01, 0.1), (-0.02, 0.2), "Not proven:"),
        ("better", (0.01, 0.1), (-0.2, -0.02), "Worse:"),
    ],
)
def test_a_kept_run_is_judged_by_the_rule_of_today(
    capsys: pytest.CaptureFixture[str],
    stored: str,
    first: tuple[float, float],
    ranking: tuple[float, float],
    said: str,
) -> None:
    print_proof(kept_run(stored, first, ranking))
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("first", "ranking", "said"),
    [
        ((0.0, 0.1), (-0.02, 0.2), "Not proven: the interval of MAP@R touches zero: its gain could be chance."),
        (
            (-0.02, 0.1),
            (0.02, 0.2),
            "Not proven: the interval of recall@1 reaches below -0.01: a loss is not ruled out.",
        ),
        (
            (-0.02, 0.1),
            (-0.02, 0.2),
            "Not proven: the interval of MAP@R touches zero: its gain could be chance; "
            "the interval of recall@1 reaches below -0.01: a loss is not ruled out.",
        ),
    ],
)
def test_what_is_not_proven_is_said_of_each_metric_in_its_own_words(
    capsys: pytest.CaptureFixture[str], first: tuple[float, float], ranking: tuple[float, float], said: str
) -> None:
    print_proof(kept_run("open", first, ranking))
    assert capsys.readouterr().out.splitlines()[-1] == said


def kept_run(stored: str, first: tuple[float, float], ranking: tuple[float, float]) -> dict[str, object]:
    """What ``metrics.json`` holds of a run whose gains have these intervals, and that was told ``stored``."""
    bounds = {"recall_at_1": first, "map_at_r": ranking, "recall_at_10": (0.0, 0.0), "r_precision": (0.0, 0.0)}
    side = {"mean": 0.5}
    gains = {
        name: {"mean": (low + high) / 2, "low": low, "high": high, "before": side, "after": side}
        for name, (low, high) in bounds.items()
    }
    return {"comparison": gains, "after": {"queries": 9, "classes": 3}, "way": "leave one out", "verdict": stored}


def test_train_as_json_is_nothing_but_json(retrieval: Command, dataset: Path, tiny_model: Path, tmp_path: Path) -> None:
    done = retrieval("train", dataset, "--model", tiny_model, "--out", tmp_path / "run", "--json", *QUICK)
    assert done.code == 0, done.err
    assert done.json["images"] == 48
    assert done.json["metrics"]["comparison"]["recall_at_1"].keys() >= {"mean", "low", "high"}
    measured = retrieval(
        "evaluate", dataset, "--model", tmp_path / "run" / "encoder", "--against", tiny_model, "--json"
    )
    assert measured.code == 0, measured.err
    assert measured.json["comparison"]["map_at_r"].keys() >= {"mean", "low", "high", "before", "after"}
    assert measured.json["queries"] == 48


def test_a_run_without_a_folder_gets_a_number(
    retrieval: Command, dataset: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert retrieval("train", dataset, "--model", tiny_model, *QUICK).code == 0
        assert (tmp_path / "runs" / f"{number}-quick-head" / "metrics.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--recipe", "quick-haed"), 14, "quick-head"),
        (("--set", "epoch=3"), 14, "epochs"),
        (("--set", "epochs"), 14, "key=value"),
        (("--split", "random"), 14, "class-disjoint"),
        (("--resume",), 14, "--out"),
    ],
)
def test_wrong_input_is_one_line_with_the_way_out(
    retrieval: Command,
    dataset: Path,
    tiny_model: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    out = () if "--resume" in arguments else ("--out", tmp_path / "run")
    done = retrieval("train", dataset, "--model", tiny_model, *out, *arguments)
    assert done.code == code
    assert words in done.error


def test_evaluate_measures_one_encoder(retrieval: Command, dataset: Path, tiny_model: Path) -> None:
    done = retrieval("evaluate", dataset, "--model", tiny_model)
    assert done.code == 0, done.err
    assert "recall@1" in done.out
    assert "48 queries" in done.out


def test_evaluate_lets_queries_search_a_database(
    retrieval: Command, dataset: Path, tiny_model: Path, tmp_path: Path
) -> None:
    for part, numbers in (("queries", (0,)), ("database", (1, 2, 3))):
        for label in sorted(path.name for path in dataset.iterdir()):
            for n in numbers:
                target = tmp_path / part / label / f"{n}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((dataset / label / f"{n}.png").read_bytes())
    done = retrieval(
        "evaluate",
        "--model",
        tiny_model,
        "--queries",
        tmp_path / "queries",
        "--database",
        tmp_path / "database",
        "--json",
    )
    assert done.code == 0, done.err
    assert (done.json["queries"], done.json["images"]) == (12, 36)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "no dataset"),
        (("--queries", "q"), "belong together"),
        (("D", "--queries", "q", "--database", "d"), "or two"),
        (("D", "--split", "half"), "no part"),
    ],
)
def test_evaluate_refuses_what_does_not_fit(
    retrieval: Command, dataset: Path, tiny_model: Path, arguments: tuple[str, ...], words: str
) -> None:
    given = [str(dataset) if argument == "D" else argument for argument in arguments]
    done = retrieval("evaluate", *given, "--model", tiny_model)
    assert done.code == 14
    assert words in done.error


def test_recipes_are_listed_and_shown(retrieval: Command) -> None:
    done = retrieval("recipes")
    assert done.code == 0
    for name in ("quick-head", "triplet-center", "contrastive", "infonce", "circle", "proxy-anchor", "arcface"):
        assert name in done.out
    assert {recipe["name"] for recipe in retrieval("recipes", "--json").json} >= {"quick-head", "arcface"}
    keys = retrieval("recipes", "triplet-center")
    assert "triplet.margin" in keys.out
    assert "learning_rate" in keys.out
    assert retrieval("recipes", "nothing").code == 14
