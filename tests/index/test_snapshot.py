"""Snapshots: whole or refused, whatever bit flips and whenever the process dies."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.core.errors import DiskFull, RetrievalError
from retrieval.index import FaissIndex, Manifest, SnapshotDamaged, SnapshotMissing, build, load, publish, snapshot

from .support import KINDS, BigSource, MemorySource, clustered

D = 8
COUNT = 400


def make(kind="faiss-flat", count=COUNT):
    source = BigSource(clustered(count, D))
    return build(np.arange(count), source, kind=kind), source


def reload(folder, source, fingerprint="space", dimension=D):
    return load(folder, source, fingerprint=fingerprint, dimension=dimension)


@pytest.fixture(scope="module", params=KINDS)
def published(request, tmp_path_factory):
    """(folder, source) of a snapshot of each kind; tests put back what they break."""
    folder = tmp_path_factory.mktemp(request.param) / "索引"
    index, source = make(request.param)
    publish(index, folder, fingerprint="space", last_change=17)
    return folder, source


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_round_trip(published):
    folder, source = published
    index, manifest = reload(folder, source)
    assert (manifest.count, manifest.dimension, manifest.last_change) == (COUNT, D, 17)
    assert manifest.kind == index.kind
    assert manifest.fingerprint == "space"
    assert index.ids().tolist() == list(range(COUNT))
    if isinstance(index, FaissIndex):
        assert manifest.parameters == index.parameters.to_json()
        assert (manifest.recall, manifest.reason) == (index.parameters.recall, index.parameters.reason)
    assert index.search(source.read(np.array([33])), 1).row(0) == [(33, 1.0)]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_flipped_bit_is_seen(published, data):
    folder, source = published
    path = data.draw(st.sampled_from(files_of(folder)))
    content = path.read_bytes()
    offset = data.draw(st.integers(0, len(content) - 1))
    broken = bytearray(content)
    broken[offset] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(broken)
    try:
        with pytest.raises(SnapshotDamaged):
            reload(folder, source)
    finally:
        path.write_bytes(content)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_length_but_the_right_one_is_seen(published, data):
    folder, source = published
    path = data.draw(st.sampled_from(files_of(folder)))
    content = path.read_bytes()
    length = data.draw(st.integers(0, len(content) + 2).filter(lambda n: n != len(content)))
    path.write_bytes((content + b"\n\0")[:length])
    try:
        with pytest.raises(SnapshotDamaged):
            reload(folder, source)
    finally:
        path.write_bytes(content)


def test_every_missing_file_is_seen(published):
    folder, source = published
    for path in files_of(folder):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(SnapshotMissing if path.name == "CURRENT" else SnapshotDamaged):
            reload(folder, source)
        path.write_bytes(content)
    reload(folder, source)


def test_another_space_is_refused(published):
    folder, source = published
    with pytest.raises(SnapshotDamaged, match="another embedding space"):
        reload(folder, source, fingerprint="other")
    with pytest.raises(SnapshotDamaged, match="dimensions"):
        reload(folder, source, dimension=D + 1)
    with pytest.raises(SnapshotDamaged, match="dimensions"):
        reload(folder, BigSource(clustered(COUNT, D + 1)))


def test_ids_that_the_source_lacks_are_refused(published):
    """Both where the source can say what it lacks and where it has to be read."""
    folder, _ = published
    with pytest.raises(SnapshotDamaged, match="vector store"):
        reload(folder, BigSource(clustered(COUNT - 1, D)))
    silent = MemorySource(D)
    silent.put(range(COUNT), clustered(COUNT, D))
    reload(folder, silent)
    del silent.rows[COUNT // 2]
    with pytest.raises(SnapshotDamaged, match="vector store"):
        reload(folder, silent)


def rewrite_manifest(folder, **changes):
    """Change the manifest the way a program would: with right checksums throughout."""
    inside = folder / (folder / "CURRENT").read_text().split()[0]
    fields = json.loads((inside / "manifest.json").read_bytes())
    fields.pop("checksum")
    fields.update(changes)
    content = snapshot._written({**fields, "checksum": snapshot._checksum(fields)})
    (inside / "manifest.json").write_bytes(content)
    (folder / "CURRENT").write_text(f"{inside.name} {snapshot.hashlib.sha256(content).hexdigest()}\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"format": 2, "something": "new"}, "format 2"),
        ({"format": "1"}, "not one of ours"),
        ({"something": "new"}, "one too many"),
        ({"kind": "faiss-hnsw"}, "unknown to this version"),
        ({"kind": "faiss-ivf-sq8"}, "not what its manifest says"),
        ({"count": COUNT + 1}, "not what its manifest says"),
        ({"dimension": D + 1}, "dimensions"),
    ],
)
def test_a_manifest_that_is_whole_but_not_ours(tmp_path, changes, message):
    index, source = make()
    publish(index, tmp_path, fingerprint="space", last_change=1)
    rewrite_manifest(tmp_path)
    reload(tmp_path, source)
    rewrite_manifest(tmp_path, **changes)
    with pytest.raises(SnapshotDamaged, match=message):
        reload(tmp_path, source)


def test_a_manifest_checks_itself_byte_by_byte(tmp_path):
    """Also what JSON would forgive: white space, and another way to write the same text."""
    index, _ = make()
    manifest = publish(index, tmp_path, fingerprint="space", last_change=1)
    content = manifest.to_bytes()
    assert Manifest.from_bytes(content) == manifest
    for other in (content + b"\n", content.replace(b"  ", b"\t\t", 1), content.replace(b"space", b"sp\\u0061ce")):
        assert other != content
        assert json.loads(other) == json.loads(content)
        with pytest.raises(SnapshotDamaged, match="checksum"):
            Manifest.from_bytes(other)


def test_nothing_published(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SnapshotMissing):
            reload(folder, MemorySource(D))


def test_errors_are_for_people_and_travel_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(SnapshotDamaged("it is torn.")))
    assert isinstance(error, RetrievalError)
    assert error.reason == "it is torn."
    assert "rebuilt from the stored vectors" in str(error)


def test_the_newest_is_live_and_the_old_ones_and_leftovers_are_gone(tmp_path):
    index, source = make()
    (tmp_path / ".snapshot-9.tmp").mkdir()
    (tmp_path / ".snapshot-9.tmp" / "ids.npy").write_bytes(b"half")
    (tmp_path / ".CURRENT.123.tmp").write_bytes(b"half")
    (tmp_path / "snapshot-4").mkdir()
    (tmp_path / "notes.txt").write_text("not ours")
    for change in (1, 2, 3):
        publish(index, tmp_path, fingerprint="space", last_change=change)
        index.remove(np.array([change]))
    assert reload(tmp_path, source)[1].last_change == 3
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3
    assert names[:2] == ["CURRENT", "notes.txt"]


def test_a_flat_snapshot_holds_ids_only(tmp_path):
    index, _ = make(count=5000)
    publish(index, tmp_path, fingerprint="space", last_change=1)
    assert sum(path.stat().st_size for path in files_of(tmp_path)) < 5000 * 8 + 4000


def test_an_empty_index_can_be_published(tmp_path):
    source = MemorySource(D)
    for kind in ("exact", "faiss-flat"):
        publish(build(np.empty(0, dtype=np.int64), source, kind=kind), tmp_path, fingerprint="space", last_change=0)
        assert len(reload(tmp_path, source)[0]) == 0


def test_a_full_disk_leaves_the_old_one(tmp_path, monkeypatch):
    index, source = make()
    publish(index, tmp_path, fingerprint="space", last_change=1)
    before = files_of(tmp_path)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="No space is left"):
        publish(index, tmp_path, fingerprint="space", last_change=2)
    monkeypatch.undo()
    assert files_of(tmp_path) == before
    assert reload(tmp_path, source)[1].last_change == 1


def test_a_reader_that_is_overtaken_by_a_publisher_reads_the_new_one(tmp_path, monkeypatch):
    index, source = make()
    publish(index, tmp_path, fingerprint="space", last_change=1)
    inner, overtaken = snapshot._read_current, []

    def read_and_be_overtaken(folder):
        live = inner(folder)
        if not overtaken:
            overtaken.append(live)
            publish(index, folder, fingerprint="space", last_change=2)
        return live

    monkeypatch.setattr(snapshot, "_read_current", read_and_be_overtaken)
    assert reload(tmp_path, source)[1].last_change == 2
    assert overtaken


def test_a_reader_finds_damage_and_not_a_loop_when_nothing_newer_is_there(tmp_path):
    index, source = make()
    publish(index, tmp_path, fingerprint="space", last_change=1)
    shutil.rmtree(tmp_path / "snapshot-1")
    with pytest.raises(SnapshotDamaged, match="cannot be read"):
        reload(tmp_path, source)
    publish(index, tmp_path, fingerprint="space", last_change=2)
    assert reload(tmp_path, source)[1].last_change == 2


DIE_AT_EVERY_STEP = """
import os, pathlib, sys, builtins
import numpy as np
sys.path.insert(0, sys.argv[2])
from index.support import BigSource, clustered
from retrieval.index import build, load, publish
folder = pathlib.Path(sys.argv[1])
source = BigSource(clustered(300, 8))
old, new = build(np.arange(200), source, kind="exact"), build(np.arange(300), source, kind="exact")
seen, step = [], 0
while True:
    step += 1
    publish(old, folder, fingerprint="space", last_change=200)
    child = os.fork()
    if child == 0:
        left = [step]
        def mortal(inner):
            def call(*args, **kwargs):
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)
                return inner(*args, **kwargs)
            return call
        for name in ("replace", "fsync", "open", "unlink", "rmdir", "mkdir", "scandir", "listdir"):
            setattr(os, name, mortal(getattr(os, name)))
        builtins.open = mortal(builtins.open)
        publish(new, folder, fingerprint="space", last_change=300)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    index, manifest = load(folder, source, fingerprint="space", dimension=8)
    assert len(index) == manifest.last_change
    seen.append(len(index))
    if code == 0:
        break
    assert code == 9, code
print(seen)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_death_at_every_step_leaves_the_old_one_or_the_new_one(tmp_path):
    """The child dies at its 1st, 2nd, 3rd ... call to the system, until it lives to the end."""
    done = subprocess.run(
        [sys.executable, "-c", DIE_AT_EVERY_STEP, tmp_path / "index", Path(__file__).parents[1]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) > 15
    assert set(seen) == {200, 300}
    assert seen == sorted(seen)


PUBLISH_FOR_EVER = """
import pathlib, sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from index.support import BigSource, clustered
from retrieval.index import build, publish
source = BigSource(clustered(2000, 8))
index = build(np.arange(600), source, kind=sys.argv[3])
for change in range(600, 2000):
    publish(index, pathlib.Path(sys.argv[1]), fingerprint="space", last_change=change)
    print(change, flush=True)
    index.add(np.array([change]), source.read(np.array([change])))
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("kind", ["faiss-flat", "faiss-ivf-sq8"])
def test_sigkill_while_publishing(tmp_path, kind):
    source = BigSource(clustered(2000, D))
    random = np.random.default_rng(0)
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", PUBLISH_FOR_EVER, tmp_path, Path(__file__).parents[1], kind],
            stdout=subprocess.PIPE,
            text=True,
        )
        process.stdout.readline()
        time.sleep(random.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        published_last = [600, *(int(line) for line in process.stdout.read().split())][-1]
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        index, manifest = reload(tmp_path, source)
        assert manifest.last_change in (published_last, published_last + 1)
        assert index.ids().tolist() == list(range(manifest.last_change))
    publish(index, tmp_path, fingerprint="space", last_change=1)
    assert len(list(tmp_path.iterdir())) == 2
