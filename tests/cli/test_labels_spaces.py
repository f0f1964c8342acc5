"""``labels``, ``spaces``, ``switch`` and ``rollback``: what they print, ask and refuse."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from retrieval.workflows.gallery import Gallery
from tests.workflows.support import fill, index

from .conftest import Command

REPORT = ["operation", "added", "unchanged", "removed", "unknown", "split"]


@pytest.fixture
def g(six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The gallery of six, also by the environment variable."""
    monkeypatch.setenv("RETRIEVAL_GALLERY", str(six[0]))
    return six[0]


@pytest.fixture
def run(tmp_path: Path, other_model: Path) -> Path:
    """A training run whose gain touches zero."""
    shutil.copytree(other_model, tmp_path / "run" / "encoder")
    gain = {"mean": 0.01, "low": -0.02, "high": 0.04}
    metrics = {"comparison": {"recall_at_1": gain, "map_at_r": gain}, "split": {"leaks": 0}}
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path / "run"


# --- labels -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("g")
def test_labels_are_set_listed_and_undone(retrieval: Command, six: tuple[Path, Path]) -> None:
    first, second = six[1] / "red" / "0000.png", six[1] / "red" / "0001.png"
    done = retrieval("labels", "set", first, second, "ripe apple", "--json")
    assert (done.code, list(done.json)) == (0, REPORT)
    assert done.json["added"] == 2
    assert "2 labels given" in retrieval("labels", "set", first, second, "fruit").out
    listed = retrieval("labels", "list", "--json").json
    assert [(entry["label"], entry["images"]) for entry in listed] == [
        ("blue", 3),
        ("red", 3),
        ("fruit", 2),
        ("ripe apple", 2),
    ]
    assert "ripe apple" in retrieval("labels", "list").out
    found = retrieval("search", first, "--label", "ripe apple", "--json").json
    assert len(found[0]["neighbours"]) == 2
    assert len(retrieval("search", first, "--not-label", "fruit", "--json").json[0]["neighbours"]) == 4
    assert "1 taken away" in retrieval("labels", "set", first, "fruit", "--remove").out
    assert "Nothing was changed" in retrieval("labels", "set", first, "never given", "--remove").out
    history = retrieval("labels", "list", "--history", "--json").json
    assert [entry["kind"] for entry in history] == ["unset", "set", "set", "index"]
    assert "(unset) was taken back" in retrieval("labels", "undo").out
    undone = retrieval("labels", "undo", history[-2]["id"], "--json").json
    assert (undone["removed"], undone["undone"]) == (2, history[-2]["id"])
    assert "set" in retrieval("labels", "list", "--history").out


@pytest.mark.usefixtures("g")
def test_labels_go_out_to_a_table_and_come_back(retrieval: Command, six: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert "6 labels" in retrieval("labels", "export", out).out
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["path"], row["label"]) for row in rows} == {
        (str(path), path.parent.name) for path in six[1].rglob("*.png")
    }
    done = retrieval("labels", "import", out)
    assert done.code == 0
    assert "6 labels given" in done.out
    assert "6 stood already" in retrieval("labels", "import", out).out
    (tmp_path / "part.csv").write_text(f"path,label\n{six[1] / 'red' / '0000.png'},a\nnowhere.png,b\n")
    done = retrieval("labels", "import", tmp_path / "part.csv", "--json")
    assert done.json["unknown"] == [str(tmp_path / "nowhere.png")]
    assert "no image" in done.err
    assert "0 labels given, 6 stood already" in retrieval("labels", "import", "--folders").out


@pytest.mark.usefixtures("g")
def test_what_labels_cannot_do_is_one_line(retrieval: Command, tmp_path: Path, six: tuple[Path, Path]) -> None:
    image = str(six[1] / "red" / "0000.png")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    for code, words, arguments in (
        (3, "no image", ("set", "nowhere.png", "x")),
        (14, "empty", ("set", image, " ")),
        (14, "exclude", ("set", image, "x", "--remove", "--only")),
        (3, "does not exist", ("import", tmp_path / "nowhere.csv")),
        (14, "path and label", ("import", tmp_path / "bad.csv")),
        (14, "one of the two", ("import",)),
        (14, "one of the two", ("import", tmp_path / "bad.csv", "--folders")),
        (14, "exists already", ("export", tmp_path / "bad.csv")),
        (14, "changed a label", ("undo",)),
        (14, "no operation 99", ("undo", "99")),
        (14, "labelled images", ("auto",)),
        (14, "learned from", ("auto", "--from", "magic")),
    ):
        done = retrieval("labels", *arguments)
        assert done.code == code, (arguments, done.err)
        assert words in done.error, arguments


@pytest.mark.usefixtures("g")
def test_saved_copies_are_offered_in_words_and_json(retrieval: Command) -> None:
    assert retrieval("labels", "resaved", "--json").json == {"offers": [], "given": None}
    done = retrieval("labels", "resaved", "--accept")
    assert (done.code, done.out) == (0, "")
    assert "No labelled image" in done.err


# --- spaces -------------------------------------------------------------------------------------------------------


def test_switch_spaces_rollback_and_drop(retrieval: Command, g: Path, other_model: Path) -> None:
    dry = retrieval("switch", other_model, "--dry-run", "--json")
    assert dry.json["switched"] is False
    assert dry.json["costs"]["to_embed"] == 6
    assert "6 images, 6 to embed" in dry.err
    done = retrieval("switch", other_model)
    assert done.code == 0
    assert "is live; it covers 6 of 6 images" in done.out
    assert "retrieval rollback" in done.err
    old, new = retrieval("spaces", "--json").json
    assert (old["live"], old["back"], new["live"], new["covered"]) == (False, True, True, 6)
    listed = retrieval("spaces")
    assert "a rollback leads here" in listed.out
    assert "6 of 6" in listed.out
    back = retrieval("rollback", "--json").json
    assert (back["fingerprint"], back["was"], back["lacking"]) == (old["fingerprint"], new["fingerprint"], 0)
    refused = retrieval("rollback").error
    assert "nothing to roll back to" in refused
    assert "`retrieval switch " in refused
    assert " goes to other." in refused
    assert "is live" in retrieval("spaces", "--drop", old["fingerprint"]).error
    # Nobody to ask, then a no, then a yes.
    assert "--yes" in retrieval("spaces", "--drop", new["fingerprint"][:8]).error
    assert "Nothing was changed" in retrieval("spaces", "--drop", new["fingerprint"][:8], answers="n\n").err
    assert len(retrieval("spaces", "--json").json) == 2
    assert "freed" in retrieval("spaces", "--drop", new["fingerprint"][:8], answers="y\n").out
    assert len(retrieval("spaces", "--json").json) == 1
    with Gallery(g) as opened:
        assert opened.catalog.check() == []


def test_labels_of_the_gallery_measure_a_model_that_brings_no_proof(
    retrieval: Command, tmp_path: Path, other_model: Path, g: Path
) -> None:
    for number in range(5):
        fill(tmp_path / "more" / f"kind {number}", range(100 + 5 * number, 105 + 5 * number))
    retrieval("index", tmp_path / "more")
    dry = retrieval("switch", other_model, "--dry-run")
    assert "would be switched to if it is better on 31 labelled images" in dry.out
    refused = retrieval("switch", other_model, "--json")
    assert (refused.code, refused.json["proof"]["images"], refused.json["to_measure"]) == (16, 31, 0)
    assert "on 31 labelled images of the gallery: recall@1" in refused.err
    assert "Folder names count as labels" in refused.err
    assert "would be refused" in retrieval("switch", other_model, "--dry-run").out
    assert retrieval("switch", other_model, "--force").code == 0


def test_the_gate_says_what_is_wrong_and_what_to_do(retrieval: Command, g: Path, run: Path) -> None:
    done = retrieval("switch", run)
    assert done.code == 16
    assert "touches zero" in done.error
    assert "--force" in done.error
    done = retrieval("switch", run, "--json")
    assert done.code == 16
    assert (done.json["switched"], len(done.json["refusals"])) == (False, 2)
    done = retrieval("switch", run, "--force")
    assert done.code == 0
    assert "Forced: The gain" in done.err
    assert "forced: The gain" in retrieval("spaces").err
    with Gallery(g) as opened:
        assert opened.live_space().fingerprint == done_fingerprint(retrieval)


def done_fingerprint(retrieval: Command) -> str:
    return next(str(space["fingerprint"]) for space in retrieval("spaces", "--json").json if space["live"])


def test_skipped_images_are_named(retrieval: Command, tmp_path: Path, gallery: Path, other_model: Path) -> None:
    index(gallery, fill(tmp_path / "photos", range(3)))
    (tmp_path / "photos" / "0001.png").unlink()
    done = retrieval("switch", other_model, "--gallery", gallery)
    assert done.code == 16
    assert "2 of 3 images" in done.err
    # Numbers follow the order in which files were read.
    said = re.search(rf"skipped: image (\d+), {re.escape(str(tmp_path / 'photos' / '0001.png'))}: its file", done.err)
    assert said is not None, done.err
    done = retrieval("switch", other_model, "--gallery", gallery, "--force", "--json")
    assert [entry["image_id"] for entry in done.json["skipped"]] == [int(said.group(1))]
    assert done.json["forced"] is True


@pytest.mark.usefixtures("g")
def test_what_spaces_cannot_do_is_one_line(retrieval: Command, tmp_path: Path, tiny_model: Path) -> None:
    for code, words, arguments in (
        (14, "live already", ("switch", tiny_model)),
        (3, "no encoder folder", ("switch", "./nowhere")),
        (14, "begins with", ("spaces", "--drop", "0000", "--yes")),
        (14, "exclude", ("spaces", "--drop", "0000", "--calibrate")),
        (14, "labelled images", ("spaces", "--calibrate")),
        (5, "Nothing is indexed", ("rollback", "--gallery", tmp_path / "none")),
        (5, "Nothing is indexed", ("spaces", "--gallery", tmp_path / "none")),
    ):
        done = retrieval(*arguments)
        assert done.code == code, (arguments, done.err)
        assert words in done.error, arguments
