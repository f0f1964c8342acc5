"""What killed runs leave: swept when nobody can need it any more, and nothing else is."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from retrieval.workflows.backup import WORKING, backup
from retrieval.workflows.layout import Layout
from retrieval.workflows.leftovers import sweep_working_folders, working_folder

from .support import PYTHON, contents, environment

KILLED = """
import sys
from pathlib import Path
from retrieval.workflows.leftovers import working_folder
with working_folder(Path(sys.argv[1]), sys.argv[2]) as work:
    (work.path / "half").write_bytes(b"x" * 1000)
    print(work.path, flush=True)
    sys.stdin.read()
"""


def age(path: Path) -> None:
    """Make it two days old."""
    os.utime(path, (time.time() - 2 * 24 * 3600,) * 2)


@pytest.fixture
def gallery_of_nothing(tmp_path: Path) -> Path:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "catalog.sqlite3").write_bytes(b"")
    return tmp_path / "gallery"


def sweep(gallery: Path) -> None:
    """What every writer does first."""
    with Layout(gallery).writing():
        pass


def test_a_working_folder_is_new_and_gone_afterwards(tmp_path: Path) -> None:
    with working_folder(tmp_path, ".work-", mode=0o700) as first, working_folder(tmp_path, ".work-") as second:
        assert first.path != second.path
        assert first.path.stat().st_mode & 0o777 == 0o700
        (first.path / "file").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_what_became_something_else_stays(tmp_path: Path) -> None:
    with working_folder(tmp_path, ".work-") as work:
        (work.path / "file").write_text("x")
        work.unlock()
        os.replace(work.path, tmp_path / "done")
    assert (tmp_path / "done" / "file").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["done"]


def test_the_folder_of_a_living_process_stays_and_that_of_a_killed_one_goes(gallery_of_nothing: Path) -> None:
    parent = gallery_of_nothing.parent
    command = [PYTHON, "-c", KILLED, str(parent), ".gallery.restoring-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), text=True
    ) as process:
        assert process.stdout is not None
        work = Path(process.stdout.readline().strip())
        assert work.parent == parent
        sweep(gallery_of_nothing)
        assert (work / "half").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (work / "half").exists()
    sweep(gallery_of_nothing)
    assert not work.exists()


def test_a_folder_that_nobody_has_locked_yet_is_left_for_a_day(gallery_of_nothing: Path) -> None:
    young, old = (gallery_of_nothing.with_name(f".gallery.restoring-{name}") for name in ("aaaaaaaa", "bbbb_bb8"))
    for path in (young, old):
        path.mkdir()
        (path / "catalog.sqlite3").write_bytes(b"x")
    age(old)
    sweep(gallery_of_nothing)
    assert (young.exists(), old.exists()) == (True, False)


def test_a_restored_gallery_goes_only_if_the_former_one_never_moved(gallery_of_nothing: Path) -> None:
    layout = Layout(gallery_of_nothing)
    needed, young, old = "20260101-120000", "20260102-120000", "20260103-120000-77"
    for stamp in (needed, young, old):
        layout.restored(stamp).mkdir()
        (layout.restored(stamp) / "catalog.sqlite3").write_bytes(b"x")
    layout.before_restore(needed).mkdir()
    for stamp in (needed, old):
        age(layout.restored(stamp))
    sweep(gallery_of_nothing)
    assert [layout.restored(stamp).exists() for stamp in (needed, young, old)] == [True, True, False]


def test_encoders_that_were_half_written_go(gallery_of_nothing: Path) -> None:
    models = gallery_of_nothing / "models"
    half, whole = models / ".0123456789abcdef.0123456789ab.tmp", models / "0123456789abcdef"
    for path in (half, whole):
        path.mkdir(parents=True)
        (path / "model.safetensors").write_bytes(b"x")
    sweep(gallery_of_nothing)
    assert (half.exists(), whole.exists()) == (False, True)


def test_a_backup_sweeps_what_killed_ones_left_beside_it(six: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.mkdir()
    with working_folder(target, WORKING) as living:
        dead = target / f"{WORKING}deadbeef"
        dead.mkdir()
        (dead / "writing.lock").touch()
        (dead / "backup.tar").write_bytes(b"half")
        backup(six[0], target / "saved.tar")
        assert living.path.exists()
    assert [path.name for path in target.iterdir()] == ["saved.tar"]


def test_nothing_of_anybody_else_is_touched(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery = six[0]
    others = [
        tmp_path / ".gallery.restoring-notes.txt",
        tmp_path / ".gallery.restoring-my own copy" / "photo.jpg",
        tmp_path / ".gallery2.restoring-aaaaaaaa" / "catalog.sqlite3",
        tmp_path / ".gallery.restored-mine" / "catalog.sqlite3",
        tmp_path / ".backup-abcdefgh" / "catalog.sqlite3",
        tmp_path / ".retrieval-backup-of-mine" / "writing.lock",
        tmp_path / ".retrieval-backup-a.tar",
        gallery / "models" / ".mine.tmp" / "card.json",
        gallery / "models" / ".0123456789abcdef.0123456789ab.tmp",
    ]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
        age(path)
        if path.parent not in (tmp_path, gallery / "models"):
            age(path.parent)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "photo.jpg").write_bytes(b"mine")
    age(elsewhere)
    links = [tmp_path / ".gallery.restoring-cccccccc", tmp_path / f"{WORKING}cccccccc"]
    for link in links:
        link.symlink_to(elsewhere, target_is_directory=True)
    before = contents(tmp_path)
    sweep(gallery)
    sweep_working_folders(tmp_path, WORKING)
    after = contents(tmp_path)
    assert {name: fact for name, fact in before.items() if after.get(name) != fact} == {}
    assert all(link.is_symlink() for link in links)
