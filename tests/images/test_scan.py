"""The scan against ``os.walk``, and against everything that names and links can do."""

import errno
import os
import socket
import stat
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.core.errors import NoSuchPath
from retrieval.images import scan as scan_module
from retrieval.images.scan import ScannedFile, classify, scan

posix = pytest.mark.skipif(os.name != "posix", reason="names are bytes and links exist on POSIX")


def paths(root, **options):
    return [file.relpath for file in scan(root, **options)]


def touch(root, relpath, content=b"x"):
    path = os.path.join(root, relpath)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


@pytest.fixture
def root(tmp_path):
    folder = os.fsencode(tmp_path / "root")
    os.mkdir(folder)
    return folder


def walked(root):
    """What ``os.walk`` finds, hidden names left out: an independent way to the same answer."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(b".")]
        found += [os.path.relpath(os.path.join(folder, name), root) for name in files if not name.startswith(b".")]
    return sorted(found)


def test_size_and_time_and_order(root):
    for relpath in (b"b/2.jpg", b"b/1.jpg", b"z.jpg", b"a/c/deep.png", b"a/file"):
        touch(root, relpath, relpath)
    files = list(scan(root))
    # A folder's files first, then its folders, each by name.
    assert [file.relpath for file in files] == [b"z.jpg", b"a/file", b"a/c/deep.png", b"b/1.jpg", b"b/2.jpg"]
    for file in files:
        status = os.stat(os.path.join(root, file.relpath))
        assert file == ScannedFile(file.relpath, status.st_size, status.st_mtime_ns)
        assert file.size == len(file.relpath)


def test_a_trailing_slash_and_a_relative_path_change_nothing(root, monkeypatch):
    touch(root, b"a/b.jpg")
    assert paths(root + b"/") == [b"a/b.jpg"]
    monkeypatch.chdir(os.path.dirname(os.fsdecode(root)))
    assert paths(b"root") == [b"a/b.jpg"]


def test_a_single_file(root):
    path = touch(root, b".hidden.jpg", b"12345")
    assert [(file.relpath, file.size) for file in scan(path)] == [(b".hidden.jpg", 5)]


def test_a_missing_root_is_said_at_the_call(root):
    with pytest.raises(NoSuchPath, match="nowhere"):
        scan(root + b"/nowhere")


def test_an_empty_folder(root):
    assert paths(root) == []


def test_hidden_files_and_clutter_are_skipped(root):
    kept = [b"a.jpg", b"Thumbs.db.jpg", b"thumbs/a.jpg"]
    skipped = [
        b".a.jpg", b"._a.jpg", b".git/a.jpg", b"Thumbs.db", b"THUMBS.DB", b"desktop.ini", b"ehthumbs.db",
        b"@eaDir/a.jpg", b"x/@eaDir/a.jpg", b"__MACOSX/a.jpg", b"$RECYCLE.BIN/a.jpg", b"$Recycle.Bin/a.jpg",
        b"System Volume Information/a.jpg", b"lost+found/a.jpg",
    ]  # fmt: skip
    for relpath in kept + skipped:
        touch(root, relpath)
    assert sorted(paths(root)) == sorted(kept)


def test_a_hidden_root_is_scanned(root):
    touch(root, b".photos/a.jpg")
    assert paths(root + b"/.photos") == [b"a.jpg"]


@posix
def test_odd_names(root):
    names = [
        b"\xff\xfe.jpg", b"line\nbreak.jpg", b"tab\t.jpg", b" ", b"-rf", b"x" * 255, b"\xe2\x80\xae.jpg",
        b"'\"\\$;.jpg", "déjà vu.jpg".encode(), b"\x01",
    ]  # fmt: skip
    for name in names:
        touch(root, name)
        touch(root, os.path.join(b"folder", name[:200], b"inside"))
    expected = sorted(names) + [
        os.path.join(b"folder", name[:200], b"inside") for name in sorted(n[:200] for n in names)
    ]
    assert paths(root) == expected


@posix
def test_a_tree_deeper_than_the_longest_path_is_walked_as_far_as_it_goes(root):
    here = os.open(root, os.O_RDONLY)
    try:
        for _ in range(25):  # 25 x 201 characters, above PATH_MAX of 4096
            os.mkdir(b"d" * 200, dir_fd=here)
            child = os.open(b"d" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = child
            os.close(os.open(b"f.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)
    errors = []
    touch(root, b"z/after.jpg")
    found = paths(root, on_error=lambda path, error: errors.append((path, error.errno)))
    assert found[-1] == b"z/after.jpg"
    assert len(found) > 15
    assert errors
    assert {number for _, number in errors} == {errno.ENAMETOOLONG}
    # pytest's own clean-up cannot remove it.
    assert os.system(f"rm -rf '{os.fsdecode(root)}'") == 0


def test_a_deep_tree_needs_no_recursion(root):
    deep = b"/".join([b"d"] * 900)
    touch(root, os.path.join(deep, b"a.jpg"))
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(200)
        found = paths(root)
    finally:
        sys.setrecursionlimit(limit)
    assert found == [os.path.join(deep, b"a.jpg")]


@posix
def test_links_to_files_and_folders_are_followed(root, tmp_path):
    outside = os.fsencode(tmp_path / "outside")
    touch(outside, b"in/a.jpg", b"four")
    os.symlink(outside, os.path.join(root, b"link"))
    os.symlink(os.path.join(outside, b"in/a.jpg"), os.path.join(root, b"alias.jpg"))
    assert [(file.relpath, file.size) for file in scan(root)] == [(b"alias.jpg", 4), (b"link/in/a.jpg", 4)]


@posix
def test_link_loops_end_and_each_folder_is_visited_once(root):
    touch(root, b"m/a.jpg")
    os.symlink(b"..", os.path.join(root, b"m/up"))
    os.symlink(b".", os.path.join(root, b"m/self"))
    os.symlink(root, os.path.join(root, b"m/top"))
    # Sorted before the folder it leads to; the folder keeps its own name all the same.
    os.symlink(b"m", os.path.join(root, b"another"))
    os.symlink(b"ring2", os.path.join(root, b"ring1"))
    os.symlink(b"ring1", os.path.join(root, b"ring2"))
    os.symlink(b"nowhere", os.path.join(root, b"broken.jpg"))
    errors = []
    assert paths(root, on_error=lambda *error: errors.append(error)) == [b"m/a.jpg"]
    assert errors == []


@posix
def test_fifos_sockets_and_devices_are_not_files(root):
    touch(root, b"a.jpg")
    os.mkfifo(os.path.join(root, b"fifo.jpg"))
    os.symlink(b"/dev/zero", os.path.join(root, b"zero.jpg"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.join(root, b"socket.jpg"))
        assert paths(root) == [b"a.jpg"]
    errors = []
    assert paths(os.path.join(root, b"fifo.jpg"), on_error=lambda *error: errors.append(error)) == []
    assert len(errors) == 1


@posix
def test_a_fifo_is_never_opened_for_reading(root):
    os.mkfifo(os.path.join(root, b"fifo"))
    assert classify(os.path.join(root, b"fifo"), b"fifo") == "other"  # would block for ever


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_listed(root):
    touch(root, b"closed/a.jpg")
    touch(root, b"open/a.jpg")
    os.chmod(os.path.join(root, b"closed"), 0)
    errors = []
    try:
        assert paths(root, on_error=lambda path, error: errors.append((path, error.errno))) == [b"open/a.jpg"]
    finally:
        os.chmod(os.path.join(root, b"closed"), stat.S_IRWXU)
    assert errors == [(os.path.join(root, b"closed"), errno.EACCES)]


def test_a_folder_that_fails_to_list_is_reported_and_the_rest_walked(root, monkeypatch):
    """As above, simulated, so that it also runs as root."""
    touch(root, b"closed/a.jpg")
    touch(root, b"open/a.jpg")
    closed = os.path.join(root, b"closed")
    listing = os.scandir

    def scandir(path):
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listing(path)

    monkeypatch.setattr(scan_module.os, "scandir", scandir)
    errors = []
    assert paths(root, on_error=lambda path, error: errors.append((path, error.errno))) == [b"open/a.jpg"]
    assert errors == [(closed, errno.EACCES)]
    assert paths(root) == [b"open/a.jpg"]


def test_a_folder_that_vanishes_on_the_way(root):
    touch(root, b"a/1.jpg")
    touch(root, b"b/2.jpg")
    errors = []
    walk = scan(root, on_error=lambda path, error: errors.append(error.errno))
    assert next(walk).relpath == b"a/1.jpg"
    os.remove(os.path.join(root, b"b/2.jpg"))
    os.rmdir(os.path.join(root, b"b"))
    assert list(walk) == []
    assert errors == [errno.ENOENT]


@posix
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.sampled_from([b"a", b"B", b".h", b"c.jpg", b"\xff", b"d e"]), min_size=1, max_size=4), max_size=12
    ),
)
def test_agrees_with_os_walk(tmp_path_factory, tree):
    root = os.fsencode(tmp_path_factory.mktemp("tree"))
    for parts in tree:
        try:
            touch(root, os.path.join(*parts))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # the name is taken by the other kind
    found = paths(root)
    assert sorted(found) == walked(root)
    assert found == paths(root)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        (b"photo.jpg", b"\xff\xd8\xff\xe0", "image"),
        (b"photo", b"\xff\xd8\xff\xe0", "image"),
        (b"photo.txt", b"\x89PNG\r\n\x1a\n", "image"),
        (b"empty.jpg", b"", "image"),
        (b"words.jpg", b"these are words", "image"),
        (b"words.txt", b"these are words", "other"),
        (b"empty", b"", "other"),
        (b"movie.mp4", b"\0\0\0\x18ftypisom", "other"),
        (b"raw.nef", b"MM\0*", "image"),
        (b"renamed.bin", b"FUJIFILMCCD-RAW 0201", "image"),
    ],
)
def test_classify(root, name, content, kind):
    assert classify(touch(root, name, content), name) == kind


def test_classify_what_cannot_be_opened(root):
    assert classify(os.path.join(root, b"gone.jpg"), b"gone.jpg") == "image"
    assert classify(os.path.join(root, b"gone"), b"gone") == "other"
    assert classify(root, b"folder") == "other"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux shows itself as files")
def test_what_the_system_shows_of_itself_is_no_folder_of_pictures(tmp_path):
    asked = []

    def skips(folder):
        asked.append(folder)
        return folder != b"/"

    list(scan(b"/", skips=skips))
    assert b"/usr" in asked
    assert not {b"/proc", b"/sys", b"/dev"} & set(asked)
    (tmp_path / "link").symlink_to("/proc")
    assert not list(scan(os.fsencode(tmp_path)))
