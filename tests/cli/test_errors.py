"""Wrong input: one line with what to do next, its own exit code, nothing on stdout, no traceback, nothing changed."""

import os
import pickle
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.workflows.layout import Layout
from retrieval.workflows.status import status
from tests.conftest import need
from tests.workflows.support import contents, fill, flip, save, searchable

from .conftest import Command


def at(gallery: Path) -> tuple[str, Path]:
    return ("--gallery", gallery)


def test_no_such_path_is_3(retrieval: Command, six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    before = retrieval("status", "--check", "--json", *at(gallery)).json
    typo = tmp_path / "typo"
    for words in (
        ("index", typo),
        ("index", photos, typo),
        ("index", typo, "--dry-run"),
        ("index", typo, "--json"),
        ("index", photos, "--model", "./typo"),
        ("search", typo),
        ("search", typo, "--csv"),
        ("search", typo, "--json"),
        ("roots", "--remove", typo, "--yes"),
        ("backup", typo / "b.tar"),
        ("restore", typo, "--yes"),
    ):
        done = retrieval(*words, *at(gallery))
        assert (done.code, "typo" in done.error) == (3, True), words
    (tmp_path / "empty").mkdir()
    assert "no image" in retrieval("search", tmp_path / "empty", *at(gallery)).error
    assert retrieval("status", "--check", "--json", *at(gallery)).json == before


def test_no_image_is_4(retrieval: Command, six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    whole = (photos / "red" / "0000.png").read_bytes()
    for name, content in {
        "text.jpg": b"no picture",
        "empty.png": b"",
        "half.png": whole[:80],
        "text": b"x" * 99,
    }.items():
        (tmp_path / name).write_bytes(content)
        for form in ("--json", "--csv", None):
            done = retrieval("search", tmp_path / name, *at(gallery), *([form] if form else []))
            assert done.code == 4, name
            assert len(done.error) > len("Error: ") + 20


def test_a_folder_of_nothing_that_can_be_used_is_4_and_names_each(
    retrieval: Command, six: tuple[Path, Path], tmp_path: Path
) -> None:
    queries = tmp_path / "queries"
    queries.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (queries / name).write_bytes(b"no picture")
    for form in ("--json", "--csv"):
        done = retrieval("search", queries, *at(six[0]), form)
        assert (done.code, done.out) == (4, "")
        assert "None of the 2 files" in done.error
        notes = [line for line in done.err.splitlines() if line.startswith("Note: ")]
        assert [name for line in notes for name in ("a.jpg", "b.jpg") if name in line] == ["a.jpg", "b.jpg"]


def test_an_empty_gallery_is_5_and_looking_makes_none(retrieval: Command, folder: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for words in (
        ("search", folder / "red" / "0000.png"),
        ("search", folder, "--csv"),
        ("status",),
        ("status", "--check", "--json"),
        ("failures",),
        ("failures", "--retry"),
        ("roots",),
        ("prune",),
        ("backup", tmp_path / "b.tar"),
        ("index",),
        ("index", "--dry-run"),
    ):
        done = retrieval(*words, *at(nowhere))
        assert done.code == 5, words
        assert "retrieval index" in done.error
    assert not nowhere.exists()
    assert not (tmp_path / "b.tar").exists()


def test_serving_a_gallery_that_is_not_there_is_5_and_makes_none(
    retrieval: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.cli.serve._serve", lambda *_: None)
    for name, words in (("typo", at(tmp_path / "typo")), ("variable", ())):
        monkeypatch.setenv("RETRIEVAL_GALLERY", str(tmp_path / "variable"))
        done = retrieval("serve", "--port", "0", *words)
        assert done.code == 5
        assert f"There is no gallery in {tmp_path / name}. Check the spelling" in done.error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_made_for_a_gallery_is_served(
    retrieval: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.cli.serve._serve", lambda *_: None)
    made, other = tmp_path / "made", tmp_path / "other"
    made.mkdir()
    other.mkdir()
    (other / "letter.txt").write_text("Dear Anna")
    assert retrieval("serve", "--port", "0", *at(made)).code == 0
    assert (made / "catalog.sqlite3").is_file()
    assert retrieval("serve", "--port", "0", *at(other)).code != 0
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_the_user_s_own_gallery_is_served_while_it_is_empty(
    retrieval: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETRIEVAL_GALLERY")
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_, **__: str(tmp_path / "data"))
    served: list[Path] = []
    monkeypatch.setattr("retrieval.cli.serve._serve", lambda gallery, place, offer: served.append(gallery.folder))
    assert retrieval("serve", "--port", "0").code == 0
    assert served == [tmp_path / "data" / "gallery"]
    assert served[0].is_dir()


def test_a_port_in_use_is_14_before_anything_is_opened(
    retrieval: Command, six: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_nothing(*_: object, **__: object) -> None:
        raise AssertionError("a gallery was opened")

    monkeypatch.setattr("retrieval.workflows.gallery.Gallery.__init__", open_nothing)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for command in ("serve", "demo"):
            done = retrieval(command, "--port", str(port), *at(six[0]))
            assert done.code == 14
            assert done.error == f"Error: Port {port} is in use by another program. Give another one with --port."


def test_a_gallery_without_images_is_5(retrieval: Command, gallery: Path, folder: Path) -> None:
    assert retrieval("search", folder / "red" / "0000.png", *at(gallery)).code == 5
    assert retrieval("status", *at(gallery)).code == 0


def test_a_newer_gallery_is_6_for_every_command_and_is_left_alone(
    retrieval: Command, six: tuple[Path, Path], tmp_path: Path
) -> None:
    gallery, photos = six
    with sqlite3.connect(gallery / "catalog.sqlite3") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = contents(gallery)
    for words in (
        ("index", photos),
        ("index", photos, "--dry-run"),
        ("search", photos / "red" / "0000.png"),
        ("status",),
        ("status", "--repair"),
        ("failures",),
        ("roots",),
        ("prune",),
        ("models",),
        ("backup", tmp_path / "b.tar"),
        ("serve", "--port", "0"),
    ):
        done = retrieval(*words, *at(gallery))
        assert done.code == 6, words
        assert "newer version" in done.error
        assert "pip install -U" in done.error
    assert contents(gallery) == before


def test_a_damaged_model_is_7(retrieval: Command, six: tuple[Path, Path], tiny_model: Path, tmp_path: Path) -> None:
    gallery, photos = six
    query = photos / "red" / "0000.png"
    shutil.copytree(tiny_model, tmp_path / "flipped")
    flip(tmp_path / "flipped" / "model.safetensors", -100)
    shutil.copytree(tiny_model, tmp_path / "incomplete")
    (tmp_path / "incomplete" / "card.json").unlink()
    for name in ("flipped", "incomplete"):
        for words in (("index", photos), ("search", query)):
            done = retrieval(*words, "--model", tmp_path / name, *at(gallery))
            assert (done.code, name in done.error) == (7, True)
    (copy,) = gallery.glob("models/*/model.safetensors")
    flip(copy, -100)
    save(tmp_path / "more" / "new.png", 77)
    for words in (("search", query), ("index", tmp_path / "more")):
        done = retrieval(*words, *at(gallery))
        assert done.code == 7
        assert "--model" in done.error
    assert retrieval("index", tmp_path / "more", "--model", tiny_model, *at(gallery)).code == 0
    assert retrieval("search", query, *at(gallery)).code == 0


def test_a_pickle_is_8_and_is_not_opened(retrieval: Command, folder: Path, tiny_model: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    shutil.copytree(tiny_model, tmp_path / "evil")
    shutil.copy(tmp_path / "evil.pth", tmp_path / "evil" / "model.safetensors")
    for model in (tmp_path / "evil.pth", tmp_path / "evil"):
        done = retrieval("index", folder, "--model", model, *at(tmp_path / "g"))
        assert done.code == 8
        assert "safetensors" in done.error
    done = retrieval(
        *("model", "create", "--backbone", "test_resnet", "--weights", tmp_path / "evil.pth", "--out", tmp_path / "m")
    )
    assert done.code == 8
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "m").exists()


def test_a_model_that_cannot_be_had_is_9(retrieval: Command, six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    for words in (
        ("index", photos, "--model", "mobilenetv3_smal_100"),
        ("search", photos / "red" / "0000.png", "--model", "mobilenetv3_smal_100"),
        ("model", "create", "--backbone", "mobilenetv3_smal_100", "--untrained", "--out", tmp_path / "m"),
    ):
        done = retrieval(*words, *(at(gallery) if words[0] != "model" else ()))
        assert done.code == 9
        assert "mobilenetv3_small_100" in done.error


def test_another_model_is_10(retrieval: Command, six: tuple[Path, Path], other_model: Path) -> None:
    gallery, photos = six
    for words in (("index", photos), ("index", photos, "--dry-run"), ("search", photos / "red" / "0000.png")):
        done = retrieval(*words, "--model", other_model, *at(gallery))
        assert done.code == 10
        assert "new gallery with --gallery" in done.error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], capture_output=True, check=False)
    need(mounted.returncode == 0, "mounting a small file system needs the rights of root")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_11_and_nothing_is_lost(
    retrieval: Command, gallery: Path, small_disk: Path, tmp_path: Path
) -> None:
    photos = fill(tmp_path / "photos", range(2000, 2500))
    shutil.copytree(gallery, small_disk / "gallery")
    where = small_disk / "gallery"
    used = sum(path.stat().st_size for path in where.rglob("*") if path.is_file())
    # Room for some of the images: the disk gets full in the middle of the run.
    (small_disk / "ballast").write_bytes(bytes(3 * 2**20 - used - 300_000))
    done = retrieval("index", photos, *at(where), "--json")
    assert done.code == 11
    assert "No space is left" in done.error
    assert "Free some space" in done.error

    (small_disk / "ballast").unlink()
    found = status(where, check=True)
    assert found.problems == []
    assert found.images < 500
    report = retrieval("index", photos, *at(where), "--json").json
    assert report["embedded"] == 500 - found.images
    assert report["found"] == 500
    assert len(searchable(where)) == 500
    assert status(where, check=True).problems == []


def test_a_full_disk_for_a_backup_or_a_restore_is_11_and_leaves_nothing(
    retrieval: Command, six: tuple[Path, Path], small_disk: Path, tmp_path: Path
) -> None:
    assert retrieval("backup", tmp_path / "b.tar", *at(six[0])).code == 0
    (small_disk / "ballast").write_bytes(bytes(3 * 2**20 - 200_000))
    for words in (
        ("backup", small_disk / "b.tar", *at(six[0])),
        ("restore", tmp_path / "b.tar", *at(small_disk / "g")),
        ("index", six[1], "--model", "untrained", *at(small_disk / "g")),
    ):
        done = retrieval(*words)
        assert (done.code, "No space is left" in done.error) == (11, True), words
    assert {path.name for path in small_disk.iterdir()} <= {"ballast", "g"}
    assert not (small_disk / "g" / "models").exists() or not list((small_disk / "g" / "models").iterdir())


@pytest.mark.usefixtures("impatient")
def test_a_busy_gallery_is_12_for_whoever_writes(retrieval: Command, six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    assert retrieval("backup", tmp_path / "b.tar", *at(gallery)).code == 0
    flip(next(gallery.glob("spaces/*/vectors.f16")), -3)
    with Layout(gallery).writing():
        for words in (
            ("index", photos),
            ("failures", "--retry"),
            ("roots", "--remove", photos, "--yes"),
            ("status", "--repair"),
            ("restore", tmp_path / "b.tar", "--yes"),
        ):
            done = retrieval(*words, *at(gallery))
            assert done.code == 12, words
            assert "Wait until it has finished" in done.error
        for words in (("status",), ("roots",), ("failures",), ("models",), ("backup", tmp_path / "c.tar")):
            assert retrieval(*words, *at(gallery)).code == 0, words
        assert retrieval("search", photos / "red" / "0000.png", *at(gallery)).code == 0


@pytest.mark.parametrize("damage", ["text", "header", "cut"])
def test_a_catalog_that_cannot_be_read_is_13(
    retrieval: Command, six: tuple[Path, Path], tmp_path: Path, damage: str
) -> None:
    gallery, photos = six
    catalog = gallery / "catalog.sqlite3"
    if damage == "text":
        catalog.write_text("this is no database at all " * 100)
    elif damage == "header":
        flip(catalog, 2)
    else:
        os.truncate(catalog, catalog.stat().st_size // 2)
    before = catalog.read_bytes()
    for words in (
        ("index", photos),
        ("search", photos / "red" / "0000.png"),
        ("status", "--check"),
        ("status", "--repair"),
        ("backup", tmp_path / "b.tar"),
    ):
        done = retrieval(*words, *at(gallery))
        if done.code == 0 and words[0] in ("search", "backup"):
            # What is damaged was not needed for this.
            (tmp_path / "b.tar").unlink(missing_ok=True)
            continue
        assert done.code == 13, (words, done.err)
        assert "Traceback" not in done.err
        assert "retrieval restore" in done.err
    assert catalog.read_bytes() == before


def test_a_bad_value_is_14(
    retrieval: Command, six: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, photos = six
    (tmp_path / "file").write_text("mine")
    before = contents(gallery)
    query = photos / "red" / "0000.png"
    for words in (
        ("search", query, "--json", "--csv", *at(gallery)),
        ("index", photos, *at(photos)),
        ("index", photos, *at(tmp_path / "file")),
        ("restore", tmp_path / "file", *at(tmp_path / "file"), "--yes"),
        ("backup", tmp_path / "file", *at(gallery)),
        ("serve", "--auth", "nobody", *at(tmp_path / "none")),
        ("serve", "--auth", ":", *at(tmp_path / "none")),
        ("serve", "--auth", "anna:secret", "--auth", "ben", *at(tmp_path / "none")),
        ("model", "create", "--backbone", "test_resnet", "--untrained", "--std", "0", "--out", tmp_path / "m"),
    ):
        done = retrieval(*words)
        assert done.code == 14, (words, done.err)
        assert done.error
    for name in ("RETRIEVAL_MAX_MEGAPIXELS", "RETRIEVAL_THREADS", "RETRIEVAL_DECODE_SECONDS"):
        for value in ("banana", "-1", "0", "nan", "inf"):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                done = retrieval("status", *at(gallery))
                assert (done.code, name in done.error) == (14, True)
    assert contents(gallery) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "gallery"]


def test_a_wrong_command_line_is_2(retrieval: Command, six: tuple[Path, Path]) -> None:
    photos = six[1]
    query = photos / "red" / "0000.png"
    for words in (
        ("search", query, "-k", "0"),
        ("search", query, "-k", "many"),
        ("search", query, "--min-score", "2"),
        ("search",),
        ("index", photos, "--workers", "0"),
        ("status", "--no-such-option"),
        ("no-such-command",),
        ("model", "create"),
    ):
        done = retrieval(*words)
        assert (done.code, done.out) == (2, ""), words
        assert "Traceback" not in done.err
        assert "Usage" in done.err


def test_what_the_system_refuses_is_said_in_one_line(retrieval: Command, six: tuple[Path, Path]) -> None:
    # Not even root may make a folder there.
    done = retrieval("index", six[1], "--model", "untrained", *at(Path("/proc/no gallery here")))
    assert done.code != 0
    assert "/proc" in done.error
