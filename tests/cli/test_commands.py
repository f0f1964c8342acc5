"""The command as a person or a script meets it: output, messages, exit codes."""

import csv
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from typer.core import TyperGroup
from typer.main import get_command

from retrieval.cli import main
from retrieval.cli.search import _Json
from retrieval.workflows.results import SearchResult, Timings
from retrieval.workflows.searching import Answer
from tests.conftest import draw

REPORT = (
    "found new changed moved copied unchanged failed skipped missing offline embedded seconds images_per_second space"
)
PARTS = ("new", "changed", "moved", "copied", "unchanged", "failed")
COMMANDS = ["index", "search", "status", "failures", "roots", "prune", "backup", "restore", "models", "model"]
COMMANDS += ["jobs", "duplicates", "explain"]
COMMANDS += ["pretrain", "finetune", "distil", "probe", "diagnose", "temperature"]
COMMANDS += ["train", "evaluate", "recipes", "labels", "spaces", "switch", "rollback", "serve", "demo"]
GROUPS = {"model": ["create"], "labels": ["list", "import", "export", "set", "undo", "auto", "check", "resaved"]}
NEIGHBOUR = ["rank", "id", "score", "probability", "labels", "paths", "width", "height"]


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> object:
        """stdout as JSON."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process."""

    def go(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["retrieval", *map(str, arguments)])
        # Wide enough that no message is broken over lines.
        monkeypatch.setenv("COLUMNS", "400")
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return go


def refused(ran: Ran, code: int, *words: str) -> None:
    """One line that says what is wrong and what to do, nothing on stdout, no traceback."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    line = next(line for line in ran.err.splitlines() if line.startswith("Error: "))
    for word in words:
        assert word in line


def test_index_then_search_as_json(run: Run, photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    ran = run("index", photos, "--model", tiny_model, "--gallery", gallery, "--json")
    report = ran.json
    assert list(report) == REPORT.split()
    assert report["found"] == report["new"] == report["embedded"] == 12
    assert "12 image files" in ran.err
    assert "" not in ran.err.splitlines()
    ran = run("search", photos / "pear" / "1.jpg", "-k", 3, "--gallery", gallery, "--json")
    (answer,) = ran.json
    assert answer["query"] == str(photos / "pear" / "1.jpg")
    best = answer["neighbours"][0]
    assert list(best) == NEIGHBOUR
    assert best["paths"] == [str(photos / "pear" / "1.jpg")]
    assert best["score"] == pytest.approx(1, abs=1e-3)
    assert (best["rank"], best["probability"], best["labels"]) == (1, None, ["pear"])
    assert (best["width"], best["height"]) == (64, 48)
    assert len(answer["neighbours"]) == 3


def test_a_second_run_accounts_for_every_change(run: Run, photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    run("index", photos, "--model", tiny_model, "--gallery", gallery)
    (photos / "apple" / "0.jpg").rename(photos / "plum" / "moved.jpg")
    shutil.copy(photos / "apple" / "1.jpg", photos / "copy.jpg")
    draw(photos / "apple" / "2.jpg", 777)
    (photos / "apple" / "3.jpg").unlink()
    (photos / "broken.jpg").write_bytes(b"")
    (photos / "notes.txt").write_text("no picture")
    report = run("index", photos, "--gallery", gallery, "--json").json
    counts = {name: report[name] for name in (*PARTS, "skipped", "missing", "embedded")}
    assert counts == {
        "new": 0,
        "changed": 1,
        "moved": 1,
        "copied": 1,
        "unchanged": 9,
        "failed": 1,
        "skipped": 1,
        "missing": 1,
        "embedded": 1,
    }
    assert report["found"] == sum(report[name] for name in PARTS)
    (failed,) = run("failures", "--gallery", gallery, "--json").json
    assert (failed["path"], failed["reason"]) == (str(photos / "broken.jpg"), "empty")
    draw(photos / "broken.jpg", 778)
    assert run("failures", "--retry", "--gallery", gallery, "--json").json["new"] == 1
    assert run("prune", "--yes", "--gallery", gallery, "--json").json == {"forgotten": 1}
    status = run("status", "--check", "--gallery", gallery, "--json").json
    assert (status["agree"], status["failed"], status["missing"]) == (True, 0, 0)


def test_a_folder_of_queries_as_csv(run: Run, indexed: tuple[Path, Path]) -> None:
    gallery, photos = indexed
    ran = run("search", photos / "plum", "-k", 2, "--csv", "--label", "apple", "--gallery", gallery)
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert list(rows[0]) == ["query", *NEIGHBOUR]
    assert len(rows) == 8
    assert {row["labels"] for row in rows} == {"apple"}


def test_one_unusable_query_does_not_stop_the_others(run: Run, indexed: tuple[Path, Path], tmp_path: Path) -> None:
    queries = tmp_path / "queries"
    draw(queries / "good.png", 1)
    for name in ("bad.png", "worse.png"):
        (queries / name).write_bytes(b"nothing")
    ran = run("search", queries, "--gallery", indexed[0], "--json")
    assert ran.code == 0
    answers = [(Path(a["query"]).name, bool(a["error"])) for a in ran.json]
    assert answers == [("bad.png", True), ("good.png", False), ("worse.png", True)]
    assert ran.out == json.dumps(ran.json, indent=2) + "\n", "written piece by piece, it looks like every other"


def test_answers_are_printed_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of queries may be longer than memory, and whoever reads it need not wait for the last."""
    printer, found = _Json(), SearchResult((), Timings(), searched=0)
    for number in range(3):
        printer.add(Answer(f"{number}.jpg", found))
        assert f"{number}.jpg" in capsys.readouterr().out


def test_dry_run_only_tells(run: Run, photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    ran = run("index", photos, "--model", tiny_model, "--gallery", gallery, "--dry-run", "--json")
    assert (ran.json["to_read"], ran.json["dry_run"]) == (12, True)
    assert ran.json["estimated_seconds"] >= 0
    assert not gallery.exists()


def test_wrong_input_is_one_line_and_its_own_exit_code(
    run: Run, indexed: tuple[Path, Path], other_model: Path, tmp_path: Path
) -> None:
    gallery, photos = indexed
    text = tmp_path / "text.txt"
    text.write_text("no picture")
    pickled = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(1)}, pickled)
    broken = tmp_path / "broken"
    shutil.copytree(other_model, broken)
    with open(broken / "model.safetensors", "r+b") as file:
        file.truncate(1000)
    at = ("--gallery", gallery)
    refused(run("search", tmp_path / "nowhere.jpg", *at), 3, "nowhere.jpg")
    refused(run("index", tmp_path / "nowhere", *at), 3, "nowhere")
    refused(run("search", text, *at), 4, "JPEG")
    refused(run("search", photos / "pear" / "1.jpg", "--gallery", tmp_path / "none"), 5, "retrieval index")
    refused(run("index", photos, *at, "--model", broken), 7)
    refused(run("index", photos, *at, "--model", pickled), 8)
    refused(run("index", photos, *at, "--model", "mobilenetv3_smal_100"), 9, "mobilenetv3_small_100")
    refused(run("index", photos, *at, "--model", other_model), 10, "--gallery")
    refused(run("search", photos / "pear" / "1.jpg", *at, "--model", other_model), 10)
    refused(run("index", photos, "--gallery", photos), 14, "--gallery")
    refused(run("roots", *at, "--remove", photos), 14, "--yes")
    refused(run("serve", *at, "--auth", "nobody"), 14, "USER:PASSWORD")


def test_a_gallery_of_a_newer_version_is_left_alone(run: Run, indexed: tuple[Path, Path]) -> None:
    gallery, photos = indexed
    with sqlite3.connect(gallery / "catalog.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = (gallery / "catalog.sqlite3").read_bytes()
    refused(run("index", photos, "--gallery", gallery), 6, "pip install -U")
    assert (gallery / "catalog.sqlite3").read_bytes() == before


def test_a_damaged_gallery_is_named_and_repaired(run: Run, indexed: tuple[Path, Path]) -> None:
    gallery, photos = indexed
    (vectors,) = gallery.glob("spaces/*/vectors.f16")
    content = bytearray(vectors.read_bytes())
    content[100] ^= 1
    vectors.write_bytes(content)
    ran = run("status", "--check", "--gallery", gallery)
    assert (ran.code, "1 is damaged" in ran.out) == (13, True)
    assert run("status", "--repair", "--gallery", gallery).code == 0
    assert run("index", photos, "--gallery", gallery, "--json").json["embedded"] == 1
    assert run("status", "--check", "--gallery", gallery).code == 0


def test_backup_and_restore(run: Run, indexed: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = indexed
    query = ("search", photos / "plum" / "2.jpg", "--json", "--gallery")
    before = run(*query, gallery).json
    assert run("backup", tmp_path / "b.tar", "--gallery", gallery).code == 0
    refused(run("backup", tmp_path / "b.tar", "--gallery", gallery), 14, "exists already")
    assert run("restore", tmp_path / "b.tar", "--gallery", tmp_path / "again").code == 0
    assert run(*query, tmp_path / "again").json == before


def test_models_and_model_create(run: Run, tmp_path: Path, indexed: tuple[Path, Path]) -> None:
    out = tmp_path / "made"
    made = run(
        *("model", "create", "--backbone", "resnet10t", "--untrained", "--input-size", 32, "--head", "linear"),
        *("--dim", 16, "--mean", "0.5", "--std", "0.2,0.3,0.4", "--interpolation", "bilinear", "--out", out, "--json"),
    ).json
    assert made["dimension"] == 16
    assert made["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert made["preprocessing"]["std"] == [0.2, 0.3, 0.4]
    assert sorted(p.name for p in out.iterdir()) == ["card.json", "model.safetensors"]
    listed = run("models", "--gallery", indexed[0], "--json").json
    assert listed[0]["state"] == "live"
    assert "untrained" in [entry["name"] for entry in listed]
    refused(
        run("model", "create", "--backbone", "resnet10t", "--untrained", "--mean", "x", "--out", tmp_path / "n"), 14
    )
    plain = ("model", "create", "--backbone", "resnet10t", "--untrained", "--input-size", 32)
    wide = run(*plain, "--pooling", "levels", "--out", tmp_path / "wide", "--json").json
    assert (wide["pooling"], wide["dimension"]) == ("levels", 2 * (64 + 128 + 256 + 512))
    refused(run(*plain, "--pooling", "x", "--out", tmp_path / "n"), 14, "no pooling 'x'", "backbone, levels")


def test_the_demo_adds_nothing_to_a_gallery_of_one_s_own(run: Run, indexed: tuple[Path, Path]) -> None:
    refused(
        run("demo", "--no-serve", "--gallery", indexed[0]), 14, "other images than the demo's", "Leave out --gallery"
    )
    assert run("status", "--gallery", indexed[0], "--json").json["images"] == 12


def test_the_demo_goes_on_after_its_gallery_was_switched(
    run: Run, tiny_model: Path, other_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, at = tmp_path / "samples", ("--gallery", tmp_path / "demo")
    for number in range(12):
        for n in range(3):
            draw(samples / f"class{number:02d}" / f"{n}.jpg", 10 * number + n)
    monkeypatch.setattr("retrieval.workflows.demo.samples_folder", lambda: samples)
    run("index", samples, "--model", tiny_model, *at)
    assert run("switch", other_model, "--force", *at).code == 0
    ran = run("demo", "--no-serve", *at)
    assert ran.code == 0, ran.err
    assert "36 images indexed (0 embedded now)" in ran.out
    assert "Taught with the samples' labels" in ran.out
    live = next(space for space in run("spaces", "--json", *at).json if space["live"])
    # The lesson is of the encoder that is live now.
    assert list(tmp_path.glob(f"demo-quick-head-{live['fingerprint'][:8]}-*/metrics.json"))


@pytest.mark.parametrize(
    "words",
    [[], *([word] for word in COMMANDS), *([group, word] for group, words in GROUPS.items() for word in words)],
    ids=lambda words: " ".join(words) or "retrieval",
)
def test_every_command_has_help(run: Run, words: Sequence[str]) -> None:
    for flag in ("-h", "--help"):
        ran = run(*words, flag)
        assert ran.code == 0
        assert re.search(rf"Usage: .*{' '.join(words)} ", ran.out)


def test_no_command_is_forgotten_here() -> None:
    from retrieval.cli.app import app

    everything = get_command(app)
    assert isinstance(everything, TyperGroup)
    assert sorted(everything.commands) == sorted(COMMANDS)
    groups = {name: command for name, command in everything.commands.items() if isinstance(command, TyperGroup)}
    assert {name: sorted(group.commands) for name, group in groups.items()} == {
        name: sorted(words) for name, words in GROUPS.items()
    }


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['retrieval', '--help']\n"
        "from retrieval.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'timm', 'faiss', 'sqlalchemy', 'gradio', 'PIL', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_environment_names_the_gallery(
    run: Run, indexed: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVAL_GALLERY", str(indexed[0]))
    assert run("status", "--json").json["gallery"] == str(indexed[0])


def test_odd_names_survive_to_json(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    names = [b"caf\xe9\xff.jpg", b"two\nlines.jpg", b"-k.jpg", b"[bold]*.jpg", b"n" * 251 + b".jpg"]
    for number, name in enumerate(names):
        picture = draw(tmp_path / "one.jpg", number)
        os.replace(picture, os.path.join(folder, name))
    gallery = tmp_path / "g"
    report = run("index", tmp_path / "odd", "--model", tiny_model, "--gallery", gallery, "--json").json
    assert report["new"] == len(names)
    answers = run("search", tmp_path / "odd", "-k", 1, "--gallery", gallery, "--json").json
    assert {os.fsencode(a["neighbours"][0]["paths"][0]) for a in answers} == {os.path.join(folder, n) for n in names}
    assert run("search", tmp_path / "odd", "-k", 1, "--gallery", gallery).code == 0


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a POSIX signal")
@pytest.mark.slow
def test_ctrl_c_keeps_what_was_done_and_the_next_run_goes_on(
    make_photos: Callable[..., Path], tiny_model: Path, tmp_path: Path, command: list[str]
) -> None:
    folder, gallery = make_photos("many", 1500), tmp_path / "g"
    start = [*command, "index", str(folder), "--gallery", str(gallery), "--json"]
    subprocess.run([*start, "--model", str(tiny_model), "--dry-run"], capture_output=True, check=True)
    process = subprocess.Popen(
        [*start, "--model", str(tiny_model), "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not _committed(gallery):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "goes on from here" in err
    first = json.loads(out)
    assert 0 < first["embedded"] < 1500
    done = subprocess.run(start, capture_output=True, text=True, check=True)
    second = json.loads(done.stdout)
    assert first["embedded"] + second["embedded"] == 1500
    assert second["unchanged"] == first["embedded"]


def _committed(gallery: Path) -> int:
    try:
        with sqlite3.connect(f"file:{gallery / 'catalog.sqlite3'}?mode=ro", uri=True) as connection:
            count = connection.execute("SELECT count(*) FROM embedded").fetchone()[0]
        connection.close()
        return int(count)
    except sqlite3.Error:
        return 0


@pytest.mark.usefixtures("impatient")
def test_a_second_indexer_is_refused_and_searching_goes_on(run: Run, indexed: tuple[Path, Path]) -> None:
    from retrieval.workflows.layout import Layout

    gallery, photos = indexed
    with Layout(gallery).writing():
        # Of two processes: tests/workflows/test_live.py.
        refused(run("index", photos, "--gallery", gallery), 12, "Wait")
        assert run("search", photos / "pear" / "1.jpg", "--gallery", gallery, "--json").code == 0
