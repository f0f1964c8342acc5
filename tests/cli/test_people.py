"""What people and scripts see when all goes well: questions, tables, JSON, CSV, notes."""

import csv
import hashlib
import io
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from retrieval import __version__
from tests.workflows.support import PYTHON, REPORT_KEYS, contents, environment, fill, index, save, searchable

from .conftest import Command

NEIGHBOUR = ["rank", "id", "score", "probability", "labels", "paths", "width", "height"]


def at(gallery: Path) -> tuple[str, Path]:
    return ("--gallery", gallery)


@pytest.fixture
def with_a_gap(gallery: Path, folder: Path) -> tuple[Path, Path]:
    """(gallery, photos): six pictures, of which one has gone missing."""
    index(gallery, folder)
    (folder / "red" / "0000.png").unlink()
    index(gallery, folder)
    return gallery, folder


def test_where_nobody_can_be_asked_nothing_is_forgotten(
    retrieval: Command, with_a_gap: tuple[Path, Path], tmp_path: Path
) -> None:
    gallery, photos = with_a_gap
    assert retrieval("backup", tmp_path / "b.tar", *at(gallery)).code == 0
    before = contents(gallery)
    for words in (("prune",), ("roots", "--remove", photos), ("restore", tmp_path / "b.tar")):
        done = retrieval(*words, *at(gallery))
        assert done.code == 14
        assert "--yes" in done.error
    assert contents(gallery) == before


@pytest.mark.parametrize("answer", ["n\n", "\n", "no\n"])
def test_a_no_changes_nothing(retrieval: Command, with_a_gap: tuple[Path, Path], tmp_path: Path, answer: str) -> None:
    gallery, photos = with_a_gap
    assert retrieval("backup", tmp_path / "b.tar", *at(gallery)).code == 0
    before = contents(gallery)
    for words in (("prune",), ("roots", "--remove", photos), ("restore", tmp_path / "b.tar")):
        done = retrieval(*words, *at(gallery), answers=answer)
        assert (done.code, done.out.strip()) == (0, ""), words
        assert "Nothing was changed" in done.err
    assert contents(gallery) == before


def test_a_yes_forgets_what_was_named(retrieval: Command, with_a_gap: tuple[Path, Path]) -> None:
    gallery, photos = with_a_gap
    done = retrieval("prune", *at(gallery), answers="y\n")
    assert done.code == 0
    assert str(photos / "red" / "0000.png") in done.err
    assert "1 file forgotten" in done.out
    assert retrieval("prune", *at(gallery), "--json").json == {"forgotten": 0}
    assert retrieval("roots", "--remove", photos, *at(gallery), answers="y\n").code == 0
    assert searchable(gallery) == set()
    assert len(list(photos.rglob("*.png"))) == 5


def test_yes_can_be_said_beforehand(retrieval: Command, with_a_gap: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = with_a_gap
    assert retrieval("backup", tmp_path / "b.tar", *at(gallery)).code == 0
    assert retrieval("prune", "--yes", "--json", *at(gallery)).json == {"forgotten": 1}
    assert retrieval("roots", "--remove", photos, "-y", "--json", *at(gallery)).json == {"forgotten": 5}
    restored = retrieval("restore", tmp_path / "b.tar", "--yes", "--json", *at(gallery)).json
    assert restored["gallery"] == str(gallery)
    assert Path(restored["moved_aside"]).is_dir()
    assert len(searchable(gallery)) == 5


def test_json_stands_alone_on_stdout_whatever_is_said_beside_it(
    retrieval: Command, gallery: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "bad.jpg").write_bytes(b"")
    (folder / "note.txt").write_text("x")
    drive = fill(tmp_path / "drive", range(40, 42))
    done = retrieval("index", folder, drive, "--json", *at(gallery))
    assert list(done.json) == REPORT_KEYS
    assert (done.json["found"], done.json["failed"], done.json["skipped"]) == (9, 1, 1)
    assert "9 image files" in done.err
    assert "1 file failed" in done.err
    drive.rename(tmp_path / "away")
    (folder / "red" / "0000.png").unlink()
    done = retrieval("index", "--json", *at(gallery))
    assert (done.json["missing"], done.json["offline"]) == (1, 2)
    assert "retrieval prune" in done.err
    assert "stay searchable" in done.err
    (failed,) = retrieval("failures", "--json", *at(gallery)).json
    assert set(failed) == {"path", "reason", "message", "hint"}
    roots = retrieval("roots", "--json", *at(gallery)).json
    assert {(Path(root["path"]).name, root["online"]) for root in roots} == {("photos", True), ("drive", False)}
    assert retrieval("failures", "--retry", "--json", *at(gallery)).json["found"] == 1


def test_the_status_as_json_has_what_the_issue_lists(retrieval: Command, six: tuple[Path, Path]) -> None:
    for more in ((), ("--check",)):
        found = retrieval("status", "--json", *more, *at(six[0])).json
        assert {"images", "files", "failed", "offline_roots", "spaces", "index", "bytes", "agree", "problems"} <= set(
            found
        )
        assert {"fingerprint", "model", "vectors"} <= set(found["spaces"][0])
        assert {"kind", "reason", "recall"} <= set(found["index"])
        assert found["checked"] == bool(more)


def test_a_problem_is_told_in_every_form(retrieval: Command, six: tuple[Path, Path]) -> None:
    gallery, _ = six
    next(gallery.glob("index/*/CURRENT")).write_bytes(b"damaged")
    done = retrieval("status", *at(gallery))
    assert done.code == 13
    assert "problem index:" in done.out
    assert "--repair" in done.err
    done = retrieval("status", "--json", *at(gallery))
    assert done.code == 13
    assert done.json["agree"] is False
    assert retrieval("status", "--repair", *at(gallery)).code == 0


def test_search_as_json_has_the_fields_of_the_issue(retrieval: Command, six: tuple[Path, Path]) -> None:
    gallery, photos = six
    answers = retrieval("search", photos, "-k", "3", "--json", *at(gallery)).json
    assert [Path(answer["query"]).name for answer in answers] == [f"000{n}.png" for n in (3, 4, 5, 0, 1, 2)]
    for answer in answers:
        assert answer["error"] is None
        assert [list(n) for n in answer["neighbours"]] == [NEIGHBOUR] * 3
        first = answer["neighbours"][0]
        assert (first["rank"], first["probability"], first["paths"]) == (1, None, [answer["query"]])
        assert first["labels"] == [Path(answer["query"]).parent.name]
        assert (first["width"], first["height"]) == (48, 36)
        assert round(first["score"], 6) == first["score"]


def test_filters_reach_the_search(retrieval: Command, six: tuple[Path, Path]) -> None:
    gallery, photos = six

    def labels(*more: str | Path) -> list[str]:
        done = retrieval("search", photos / "red" / "0000.png", "--json", *more, *at(gallery))
        return [label for n in done.json[0]["neighbours"] for label in n["labels"]]

    assert sorted(labels()) == ["blue"] * 3 + ["red"] * 3
    assert labels("--label", "blue") == ["blue"] * 3
    assert labels("--label", "blue", "--label", "red", "--not-label", "red") == ["blue"] * 3
    assert labels("--under", photos / "red") == ["red"] * 3
    assert labels("--under", os.path.relpath(photos / "red")) == ["red"] * 3
    assert labels("--min-score", "0.999") == ["red"]
    assert labels("--label", "no such label") == []


def test_a_filter_that_fits_nothing_is_said_in_one_line(
    retrieval: Command, six: tuple[Path, Path], tmp_path: Path
) -> None:
    gallery, photos = six
    (tmp_path / "empty").mkdir()

    def notes(*more: str | Path) -> list[str]:
        done = retrieval("search", photos / "red" / "0000.png", "--json", *more, *at(gallery))
        assert done.code == 0
        return [line.removeprefix("Note: ") for line in done.err.splitlines()]

    assert notes("--label", "red", "--not-label", "blue", "--under", photos / "red") == []
    assert notes("--label", "rde") == ["No image in the gallery has the label rde. Did you mean red?"]
    assert notes("--not-label", "zebra") == ["No image in the gallery has the label zebra."]
    typo = photos / "typo"
    assert notes("--under", typo) == [f"No image in the gallery lies in {typo}, and there is no such folder."]
    assert notes("--under", tmp_path / "empty") == [f"No image in the gallery lies in {tmp_path / 'empty'}."]


def test_a_folder_that_is_offline_can_be_searched_under_without_a_word(
    retrieval: Command, gallery: Path, folder: Path, tmp_path: Path
) -> None:
    query = save(tmp_path / "query.png", 0)
    index(gallery, folder)
    folder.rename(tmp_path / "unplugged")
    done = retrieval("search", query, "--under", folder / "red", "--json", *at(gallery))
    assert len(done.json[0]["neighbours"]) == 3
    assert done.err == ""


def test_csv_can_be_read_whatever_the_names(retrieval: Command, gallery: Path, tmp_path: Path) -> None:
    photos = tmp_path / 'a, "quoted"\nfolder'
    for seed, name in enumerate(("plain.png", "with, comma.png", 'with "quotes".png', "two\nlines.png")):
        save(photos / name, seed)
    index(gallery, photos)
    done = retrieval("search", photos, "-k", "2", "--csv", *at(gallery))
    rows = list(csv.reader(io.StringIO(done.out)))
    assert rows[0] == ["query", *NEIGHBOUR]
    assert {len(row) for row in rows} == {9}
    assert len(rows) == 1 + 4 * 2
    assert all(row[0] == row[6] for row in rows[1:] if row[1] == "1")
    # One line a row: names are shown with escapes.
    assert len(done.out.splitlines()) == len(rows)


def test_tables_show_names_as_they_are(retrieval: Command, gallery: Path, tmp_path: Path) -> None:
    name = f"[red]not a colour[/red] {'long ' * 30}.png".replace("/", "|")
    save(tmp_path / "photos" / "[bold]" / name, 1)
    (tmp_path / "photos" / "[bold]" / "[link=x]bad.jpg").write_bytes(b"")
    index(gallery, tmp_path / "photos")
    done = retrieval("search", tmp_path / "photos" / "[bold]" / name, *at(gallery))
    assert done.code == 0
    assert name in done.out
    assert "[bold]" in done.out
    assert "[link=x]bad.jpg" in retrieval("failures", *at(gallery)).out
    assert str(tmp_path / "photos") in retrieval("roots", *at(gallery)).out


def test_a_search_without_an_answer_says_so(retrieval: Command, six: tuple[Path, Path]) -> None:
    done = retrieval("search", six[1] / "red" / "0000.png", "--label", "none", *at(six[0]))
    assert done.code == 0
    assert "Nothing found among 0 images" in done.out


def test_one_is_one_and_two_are_two(retrieval: Command, gallery: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    save(photos / "red" / "a.png", 1)
    (photos / "b.jpg").write_bytes(b"")
    done = retrieval("index", photos, *at(gallery))
    assert "2 image files: 2 to read" in done.err
    assert re.search(r"1 image content embedded, [0-9.]+ a second; [0-9.]+ s in all\.", done.out)
    assert "1 file failed" in done.err
    assert "1 vector of 256 dimensions, 1 findable" in retrieval("status", *at(gallery)).out
    (photos / "red" / "a.png").unlink()
    assert "1 file is gone from its folder; `retrieval prune` forgets it" in retrieval("index", *at(gallery)).err
    assert "Forget 1 file?" in retrieval("prune", *at(gallery), answers="n\n").err
    assert "1 file forgotten" in retrieval("prune", "--yes", *at(gallery)).out
    assert "0 files forgotten" in retrieval("prune", "--yes", *at(gallery)).out
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "note.txt").write_text("x")
    assert (
        "No image file was found; 1 other file skipped." in retrieval("index", tmp_path / "nothing", *at(gallery)).err
    )


def test_the_table_of_models_has_no_long_checksums(
    retrieval: Command, tmp_path: Path, tiny_model: Path, six: tuple[Path, Path]
) -> None:
    weights = tmp_path / "weights.safetensors"
    from safetensors.numpy import load_file, save_file

    state = load_file(tiny_model / "model.safetensors")
    save_file({n.removeprefix("backbone."): v for n, v in state.items() if n.startswith("backbone.")}, weights)
    options = ("--backbone", "test_efficientnet", "--weights", weights, "--input-size", "32", "--out", tmp_path / "m")
    assert retrieval("model", "create", *options).code == 0
    index(tmp_path / "second", six[1], model=str(tmp_path / "m"))
    done = retrieval("models", *at(tmp_path / "second"))
    full = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert f"{full[:12]}…" in done.out
    assert full[:13] not in done.out
    assert full in retrieval("models", "--json", *at(tmp_path / "second")).json[0]["what"]


def test_an_offline_folder_is_named_by_index_roots_and_prune(
    retrieval: Command, gallery: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "bad.jpg").write_bytes(b"")
    index(gallery, folder)
    away = folder.rename(tmp_path / "mounted elsewhere")
    done = retrieval("index", folder / "red", *at(gallery))
    assert f"in {folder}, which is offline" in done.err
    assert f"{folder} is offline" in retrieval("prune", "--yes", *at(gallery)).err
    assert "offline: no such file" in retrieval("roots", *at(gallery)).out
    done = retrieval("index", away, *at(gallery))
    assert f"All images of {folder} have moved elsewhere; `retrieval prune`" in done.err
    assert "roots --remove" in retrieval("roots", *at(gallery)).err
    done = retrieval("prune", *at(gallery), answers="y\n")
    assert f"the folder {folder}, which is offline, and its 1 failure" in done.err
    assert "Forget 1 folder?" in done.err
    assert "1 file forgotten" in done.out
    assert [root["path"] for root in retrieval("roots", "--json", *at(gallery)).json] == [str(away)]


def test_the_option_goes_before_the_environment(
    retrieval: Command, six: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRIEVAL_GALLERY", str(six[0]))
    assert retrieval("status", "--json").json["images"] == 6
    assert retrieval("status", *at(tmp_path / "none")).code == 5
    monkeypatch.setenv("RETRIEVAL_GALLERY", str(tmp_path / "none"))
    assert str(tmp_path / "none") in retrieval("status").error
    assert retrieval("status", "--json", *at(six[0])).json["images"] == 6


def test_a_dry_run_as_json_and_in_words(retrieval: Command, six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    more = fill(tmp_path / "more", range(50, 53))
    before = contents(gallery)
    done = retrieval("index", photos, more, "--dry-run", "--json", *at(gallery))
    assert (done.json["found"], done.json["to_read"], done.json["unchanged"]) == (9, 3, 6)
    assert done.json["estimated_bytes"] > 0
    assert "9 image files: 6 known as they are, 3 to read" in done.err
    done = retrieval("index", photos, "--dry-run", *at(gallery))
    assert (done.code, done.out) == (0, "")
    assert "nothing to read" in done.err
    assert contents(gallery) == before


def test_help_and_version_need_no_gallery(retrieval: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for words in (("model", "-h"), ("model", "create", "-h"), ("model", "create", "--help")):
        done = retrieval(*words)
        assert done.code == 0
        assert re.search(r"Usage: .*\bmodel\b", done.out)
    for option in ("--backbone-args", "--weights", "--input-size", "--mean", "--interpolation", "--head", "--dim"):
        assert option in retrieval("model", "create", "-h").out
    assert retrieval("--version").out == f"retrieval {__version__}\n"


@pytest.mark.slow
def test_names_of_bytes_go_in_and_come_out_of_a_real_process(gallery: Path, tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"odd \xff\nfolder")
    query = os.path.join(folder, b"-\xe9 picture.png")
    save(query, 1)
    index(gallery, Path(os.fsdecode(folder)))
    command = [PYTHON, "-m", "retrieval", "search", query, "--json", "--gallery", gallery]
    # In the poorest of locales, too.
    done = subprocess.run(command, capture_output=True, env=environment(LC_ALL="C", PYTHONUTF8="0"), check=False)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    assert os.fsencode(answer["query"]) == query
    assert [os.fsencode(path) for path in answer["neighbours"][0]["paths"]] == [query]


@pytest.mark.slow
def test_a_reader_that_has_had_enough_is_no_error_worth_a_traceback(six: tuple[Path, Path]) -> None:
    command = [PYTHON, "-m", "retrieval", "search", str(six[1]), "--csv", "--gallery", str(six[0])]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command,
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN),
    )
    os.close(writer)
    assert done.returncode != 0
    assert done.stderr == b""


def test_dates_and_sizes_reach_the_search(retrieval: Command, six: tuple[Path, Path]) -> None:
    gallery, photos = six
    query = ("search", photos / "red" / "0000.png", "-k", "9", "--json")
    for more, count in ((("--min-side", "36"), 6), (("--min-side", "37"), 0), (("--max-side", "48"), 6),
                        (("--max-side", "47"), 0), (("--max-size", "1GB"), 6), (("--min-size", "1MB"), 0),
                        (("--after", "1900"), 0), (("--before", "2100-01-01"), 0)):  # fmt: skip
        assert len(retrieval(*query, *more, *at(gallery)).json[0]["neighbours"]) == count, more
    refused = retrieval(*query, "--after", "yesterday", *at(gallery))
    assert refused.code == 14
    assert "2024-05-17" in refused.err
