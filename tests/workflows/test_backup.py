"""Backups: a round trip, and refusals that change nothing."""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from retrieval.core.errors import (
    BadValue,
    EmptyGallery,
    GalleryBusy,
    GalleryDamaged,
    GalleryTooNew,
    NoSuchPath,
    RetrievalError,
)
from retrieval.workflows.backup import backup, restore
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.layout import PARTS, Layout
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status

from .support import contents, counts, fill, flip, index, searchable


def neighbours(gallery: Path, query: Path) -> list[object]:
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        return list(next(searcher.by_path(query, 100)).found.neighbours)


def entries(file: Path) -> dict[str, bytes]:
    """The members of a backup, read by the standard library alone."""
    with tarfile.open(file) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]


def write(file: Path, members: dict[str, bytes], change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> Path:
    """A tar of these members."""
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            change(info)
            archive.addfile(info, io.BytesIO(content))
    return file


def signed(members: dict[str, bytes], **more: object) -> dict[str, bytes]:
    """The members with a manifest that fits them."""
    members = {name: content for name, content in members.items() if name != "manifest.json"}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    return {**members, "manifest.json": json.dumps({"format": 1, "sha256": digests, **more}).encode()}


@pytest.fixture
def saved(six: tuple[Path, Path], tmp_path: Path) -> Path:
    backup(six[0], tmp_path / "saved.tar")
    return tmp_path / "saved.tar"


def test_a_restored_gallery_gives_the_same_answers(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    query = photos / "red" / "0000.png"
    before = neighbours(gallery, query)
    written = backup(gallery, tmp_path / "saved.tar")
    assert written == (tmp_path / "saved.tar").stat().st_size
    other = tmp_path / "elsewhere" / "gallery"
    assert restore(tmp_path / "saved.tar", other) is None
    assert neighbours(other, query) == before
    assert status(other, check=True).agree
    assert counts(index(other, photos)) == {"found": 6, "unchanged": 6}


def test_a_backup_changes_nothing_and_leaves_nothing_beside_it(six: tuple[Path, Path], tmp_path: Path) -> None:
    before = contents(six[0])
    backup(six[0], tmp_path / "saved.tar")
    assert contents(six[0]) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery", "saved.tar"]


def test_every_member_is_named_in_the_manifest_with_its_checksum(saved: Path) -> None:
    members = entries(saved)
    manifest = json.loads(members.pop("manifest.json"))
    assert manifest["sha256"] == {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    assert {Path(name).name for name in members} == {
        "catalog.sqlite3",
        "vectors.f16",
        "rows.bin",
        "model.safetensors",
        "card.json",
    }


def test_a_present_gallery_is_moved_aside_whole(gallery: Path, folder: Path, tmp_path: Path) -> None:
    index(gallery, folder)
    backup(gallery, tmp_path / "saved.tar")
    old = searchable(gallery)
    fill(folder / "more", range(30, 33))
    index(gallery, folder)
    new = searchable(gallery)
    aside = restore(tmp_path / "saved.tar", gallery)
    assert aside is not None
    assert searchable(gallery) == old
    assert searchable(aside) == new
    # What the backup did not know yet is indexed again, and nothing else.
    assert counts(index(gallery, folder)) == {"found": 9, "new": 3, "unchanged": 6, "embedded": 3}
    second = restore(tmp_path / "saved.tar", gallery)
    assert second not in (None, aside)
    assert searchable(aside) == new


def test_two_restores_within_a_second_keep_both_old_galleries(saved: Path, six: tuple[Path, Path]) -> None:
    asides = {restore(saved, six[0]) for _ in range(2)}
    assert len(asides) == 2
    assert all(len(searchable(aside)) == 6 for aside in asides if aside)


def test_a_backup_never_overwrites(six: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "there.tar").write_text("mine")
    with pytest.raises(BadValue, match="exists"):
        backup(six[0], tmp_path / "there.tar")
    assert (tmp_path / "there.tar").read_text() == "mine"
    (tmp_path / "dangling.tar").symlink_to(tmp_path / "nowhere" / "x")
    with pytest.raises(RetrievalError):
        backup(six[0], tmp_path / "dangling.tar")
    assert (tmp_path / "dangling.tar").is_symlink()


def test_what_cannot_be_saved_is_said(six: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(NoSuchPath):
        backup(six[0], tmp_path / "no folder" / "saved.tar")
    with pytest.raises(EmptyGallery):
        backup(tmp_path / "no gallery", tmp_path / "saved.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery"]


@pytest.mark.parametrize("damage", ["cut", "deleted"])
def test_a_gallery_whose_vectors_are_cut_short_is_not_saved_as_if_whole(
    six: tuple[Path, Path], tmp_path: Path, damage: str
) -> None:
    (vectors,) = six[0].glob("spaces/*/vectors.f16")
    if damage == "cut":
        os.truncate(vectors, vectors.stat().st_size - 100)
    else:
        vectors.unlink()
    with pytest.raises(GalleryDamaged) as caught:
        backup(six[0], tmp_path / "saved.tar")
    assert "--repair" in caught.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery"]


def refused(source: Path, gallery: Path, error: type[RetrievalError] = GalleryDamaged) -> RetrievalError:
    """Restoring fails and nothing at all has changed."""
    before, beside = contents(gallery), sorted(gallery.parent.iterdir())
    with pytest.raises(error) as caught:
        restore(source, gallery)
    assert contents(gallery) == before
    assert sorted(gallery.parent.iterdir()) == beside
    return caught.value


def test_a_backup_that_is_damaged_anywhere_is_refused(saved: Path, six: tuple[Path, Path], tmp_path: Path) -> None:
    whole = saved.read_bytes()
    with tarfile.open(saved) as archive:
        members = archive.getmembers()
    offsets = {f"content of {m.name}": m.offset_data + m.size // 2 for m in members}
    offsets |= {f"name of {m.name}": m.offset + 3 for m in members}
    offsets |= {f"size of {m.name}": m.offset + 130 for m in members}
    bad = tmp_path / "bad.tar"
    before, beside = contents(six[0]), sorted(path.name for path in tmp_path.iterdir())
    for what, offset in offsets.items():
        bad.write_bytes(whole)
        flip(bad, offset)
        with pytest.raises(RetrievalError) as caught:
            restore(bad, six[0])
        assert caught.value.exit_code in (6, 13), what
        bad.unlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == beside, what
    assert contents(six[0]) == before


def test_a_backup_that_is_cut_short_anywhere_is_refused(saved: Path, six: tuple[Path, Path], tmp_path: Path) -> None:
    whole = saved.read_bytes()
    bad = tmp_path / "bad.tar"
    end = len(whole.rstrip(b"\0"))
    for length in [0, 1, 511, 512, 513, 5000, len(whole) // 2, end - 1, end - 300]:
        bad.write_bytes(whole[:length])
        with pytest.raises(GalleryDamaged):
            restore(bad, six[0])
    refused(bad, six[0])


def test_what_is_no_backup_is_refused(saved: Path, six: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no backup " * 200)
    (tmp_path / "zeros").write_bytes(bytes(20480))
    (tmp_path / "random").write_bytes(np.random.default_rng(0).bytes(20480))
    write(tmp_path / "foreign", {"holiday/beach.jpg": b"x" * 100})
    write(tmp_path / "no manifest", {n: c for n, c in entries(saved).items() if n != "manifest.json"})
    write(tmp_path / "no catalog", signed({n: c for n, c in entries(saved).items() if n != "catalog.sqlite3"}))
    write(tmp_path / "catalog is text", signed({**entries(saved), "catalog.sqlite3": b"no database" * 999}))
    write(tmp_path / "empty catalog", signed({**entries(saved), "catalog.sqlite3": b""}))
    write(tmp_path / "list manifest", {**entries(saved), "manifest.json": b"[1]"})
    write(tmp_path / "text manifest", {**entries(saved), "manifest.json": b"no json"})
    write(tmp_path / "null format", signed(entries(saved), format=None))
    bad = [path for path in tmp_path.iterdir() if path.is_file() and path != saved]
    assert len(bad) == 11
    for path in bad:
        refused(path, six[0])
        # Nor is a gallery made where there was none.
        with pytest.raises(GalleryDamaged):
            restore(path, tmp_path / "fresh")
        assert not (tmp_path / "fresh").exists()
    refused(tmp_path / "typo", six[0], NoSuchPath)
    refused(tmp_path, six[0], NoSuchPath)


EVIL_NAMES = [
    "../escaped",
    "/tmp/escaped-retrieval-test",
    "spaces/../../escaped",
    "spaces/../escaped",
    "spaces/a/../../../escaped",
    "spaces/./escaped",
    "spaces//escaped",
    "models/a/b/c",
    "models/a",
    "writing.lock",
    "catalog.sqlite3-wal",
    "spaces\\a\\b",
    "spaces/C:/escaped",
    "spaces/0123456789abcdef/" + "x" * 300,
    "spaces/" + "0" * 300 + "/b",
    "spaces/0123456789abcdef/..",
    "spaces/0123456789abcdef/.hidden",
    "spaces/0123456789abcdef/a\n",
    "",
]


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_names_that_lead_elsewhere_are_refused(saved: Path, six: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    evil = write(tmp_path / "evil.tar", signed({**entries(saved), name: b"evil"}))
    refused(evil, six[0])
    assert not list(tmp_path.rglob("*escaped*"))
    assert not Path("/tmp/escaped-retrieval-test").exists()


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "catalog.sqlite3"),
        (tarfile.SYMTYPE, "not/there"),
        (tarfile.LNKTYPE, "catalog.sqlite3"),
        (tarfile.LNKTYPE, "not/there"),
        (tarfile.DIRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
    ],
)
def test_members_that_are_no_files_are_refused(
    saved: Path, six: tuple[Path, Path], tmp_path: Path, kind: bytes, target: str
) -> None:
    def change(info: tarfile.TarInfo) -> None:
        if info.name == "models/0123456789abcdef/card.json":
            info.type, info.linkname, info.size = kind, target, 0

    members = {"models/0123456789abcdef/card.json": b"", **entries(saved)}
    refused(write(tmp_path / "evil.tar", signed(members), change), six[0])


def test_a_member_that_comes_twice_is_refused_or_harmless(saved: Path, six: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "twice.tar", "w") as archive:
        for name, content in [*signed(entries(saved)).items(), ("catalog.sqlite3", b"other")]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    refused(tmp_path / "twice.tar", six[0])


def test_a_compressed_backup_is_refused_in_words(saved: Path, six: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "saved.tar.gz", "w:gz") as archive:
        archive.add(saved, "catalog.sqlite3")
    refused(tmp_path / "saved.tar.gz", six[0])


def test_a_newer_backup_asks_for_an_update(saved: Path, six: tuple[Path, Path], tmp_path: Path) -> None:
    write(tmp_path / "newer.tar", signed(entries(saved), format=2))
    assert "pip install -U" in refused(tmp_path / "newer.tar", six[0], GalleryTooNew).hint


def test_a_backup_with_a_newer_catalog_asks_for_an_update(saved: Path, six: tuple[Path, Path], tmp_path: Path) -> None:
    members = entries(saved)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "c").write_bytes(members["catalog.sqlite3"])
    with sqlite3.connect(tmp_path / "work" / "c") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    members["catalog.sqlite3"] = (tmp_path / "work" / "c").read_bytes()
    write(tmp_path / "newer.tar", signed(members))
    refused(tmp_path / "newer.tar", six[0], GalleryTooNew)


@pytest.mark.usefixtures("impatient")
def test_restoring_waits_for_nobody_who_writes(saved: Path, six: tuple[Path, Path]) -> None:
    with Gallery(six[0]) as opened, opened.layout.writing():
        before, beside = contents(six[0]), sorted(six[0].parent.iterdir())
        with pytest.raises(GalleryBusy):
            restore(saved, six[0])
        assert sorted(six[0].parent.iterdir()) == beside
    assert {n: v for n, v in contents(six[0]).items() if "wal" not in n and "shm" not in n}.items() <= before.items()


def on_rename_of(folder: Path, monkeypatch: pytest.MonkeyPatch, before: Callable, after: Callable) -> None:
    """Call these two around the moment when a folder is moved away."""
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        if Path(source) == folder:
            before()
        replace(source, target)
        if Path(source) == folder:
            after()

    monkeypatch.setattr("os.replace", watched)


@pytest.mark.usefixtures("impatient")
def test_nobody_writes_to_a_gallery_that_is_about_to_be_moved(
    saved: Path, six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def write() -> None:
        try:
            with Gallery(six[0]) as other, other.writing():
                tried.append("written")
        except GalleryBusy:
            tried.append("busy")

    on_rename_of(six[0], monkeypatch, write, lambda: None)
    assert restore(saved, six[0]) is not None
    assert tried == ["busy"]


@pytest.mark.parametrize("opened", ["before", "in between"])
def test_who_writes_between_the_renames_writes_to_the_restored_gallery(
    saved: Path, six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, opened: str
) -> None:
    early = Gallery(six[0])

    def write() -> None:
        other = early if opened == "before" else Gallery(six[0])
        with other, other.writing():
            other.catalog.put("mark", "new")

    on_rename_of(six[0], monkeypatch, lambda: None, write)
    aside = restore(saved, six[0])
    early.close()
    assert aside is not None
    for folder, mark in ((six[0], "new"), (aside, None)):
        with Gallery(folder) as found:
            assert found.catalog.get("mark") == mark
        assert status(folder, check=True).agree
    assert not list(six[0].parent.glob(".gallery.*"))


@pytest.mark.skipif(os.name == "nt", reason="Windows moves no folder in which a file is open")
@pytest.mark.usefixtures("impatient")
def test_a_lock_that_was_taken_in_a_folder_that_has_moved_is_no_lock(
    saved: Path, six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    flock, asides = fcntl.flock, []

    def late(handle: int, operation: int) -> None:
        if not asides:
            asides.append(None)
            # The lock's file is open; before it is locked a whole restore comes and goes.
            asides[0] = restore(saved, six[0])
        flock(handle, operation)

    monkeypatch.setattr("fcntl.flock", late)
    with Layout(six[0]).writing():
        assert asides != [None]
        with pytest.raises(GalleryBusy), Layout(six[0]).writing():
            pass


@pytest.mark.usefixtures("impatient")
def test_a_folder_that_a_writer_made_between_the_renames_is_no_gallery(
    six: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(six[0])
    shutil.copytree(six[0], layout.restored("20260101-120000"))
    mkdir = Path.mkdir

    def late(path: Path, *arguments: object, **options: object) -> None:
        if path == six[0] and not layout.before_restore("20260101-120000").exists():
            os.replace(six[0], layout.before_restore("20260101-120000"))
        mkdir(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", late)
    with layout.writing():
        assert len(searchable(six[0])) == 6
        with pytest.raises(GalleryBusy), Layout(six[0]).writing():
            pass


def test_a_restored_gallery_has_the_permissions_of_the_former_or_the_usual_ones(
    saved: Path, six: tuple[Path, Path], tmp_path: Path
) -> None:
    six[0].chmod(0o750)
    restore(saved, six[0])
    assert stat.S_IMODE(six[0].stat().st_mode) == 0o750
    (tmp_path / "usual").mkdir()
    restore(saved, tmp_path / "other")
    assert (tmp_path / "other").stat().st_mode == (tmp_path / "usual").stat().st_mode
    # An empty folder that waits for the gallery keeps its own.
    (tmp_path / "usual").chmod(0o711)
    assert restore(saved, tmp_path / "usual") is None
    assert stat.S_IMODE((tmp_path / "usual").stat().st_mode) == 0o711


def test_a_file_in_the_place_of_the_gallery_is_not_touched(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadValue):
        restore(saved, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_of_other_files_is_not_taken_for_a_gallery(saved: Path, tmp_path: Path) -> None:
    fill(tmp_path / "photos", range(2))
    with pytest.raises(BadValue, match="not a gallery"):
        restore(saved, tmp_path / "photos")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery", "photos", "saved.tar"]


def test_a_backup_of_a_gallery_without_images_can_be_restored(gallery: Path, folder: Path, tmp_path: Path) -> None:
    backup(gallery, tmp_path / "saved.tar")
    restore(tmp_path / "saved.tar", tmp_path / "other")
    assert counts(index(tmp_path / "other", folder)) == {"found": 6, "new": 6, "embedded": 6}


@pytest.mark.parametrize("name", [*PARTS.values(), "catalog.sqlite3.seal", "writing.lock", ".watch.json"])
def test_a_gallery_that_lost_its_catalog_is_healed_whatever_is_left_of_it(
    saved: Path, six: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    lost = tmp_path / "lost"
    lost.mkdir()
    if name in PARTS.values():
        (lost / name).mkdir()
        (lost / name / "something").write_text("left")
    else:
        (lost / name).write_text("left")
    aside = restore(saved, lost)
    assert {Path(path).name for path in searchable(lost)} == {f"{number:04d}.png" for number in range(6)}
    # A lock alone is nothing to keep.
    assert aside is not None
    assert (aside / name).exists()


def test_every_path_of_the_layout_has_a_name_that_a_restore_knows(six: tuple[Path, Path]) -> None:
    layout = Layout(six[0])
    with Gallery(six[0]) as opened:
        space = opened.live_space()
    paths = [layout.catalog, layout.runs, layout.jobs, layout.history, layout.model(space.fingerprint)]
    paths += [layout.vectors(space), layout.index(space), layout.map(space)]
    assert all(Layout.has_name(path.relative_to(six[0]).parts[0]) for path in paths)
    assert not any(Layout.has_name(name) for name in ("photos", "beach.jpg", "run", "spaces2"))
