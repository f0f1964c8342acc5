"""The pool: right results, and each bad file costs that file and nothing else."""

import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pillow_heif
import psutil
import pytest
from PIL import Image

from retrieval.core.errors import BadValue, Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images import process as process_module
from retrieval.images.decode import decode
from retrieval.images.jobs import DecodeBytes, MakeView, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.images.process import PoolError
from retrieval.images.views import full, thumbnail

from .conftest import PLUGINS, draw_photo, encode

SPEC = Preprocessing(input_size=48)
QUICK = Limits(seconds=1.0)
posix = pytest.mark.skipif(os.name != "posix", reason="uses POSIX signals or files")


def eventually(condition, seconds=5.0):
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def is_running(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # an orphan is reaped when the system's first process likes
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(autouse=True)
def nothing_is_left_behind(shared):
    """No process, dead or alive, and no thread of a pool outlives its test."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    threads = set(threading.enumerate())
    yield
    # First the threads: a pool that was closed by one of its own cannot wait for that one.
    assert eventually(lambda: not set(threading.enumerate()) - threads)
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    assert left == []


@pytest.fixture(scope="module")
def shared():
    """One pool for all tests that do no harm to it; started on its first job."""
    with DecodePool(2, Limits(seconds=20, max_bytes=200_000, max_pixels=1_000_000)) as pool:
        pool.warm()
        assert eventually(lambda: len(pool.pids()) == 2)
        yield pool


# -------------------------------------------------------------------------------------------- right results


def test_a_file_gives_the_same_as_decoding_here(shared, write):
    data = encode(draw_photo(200, 150), "JPEG")
    path = write("a.jpg", data)
    result = shared.run(ReadFile(path, SPEC))
    known, pixels = decode(data, SPEC)
    status = os.stat(path)
    assert result.error is None
    assert (result.size, result.mtime_ns) == (len(data), status.st_mtime_ns)
    assert result.digest == hashlib.sha256(data).digest()
    assert result.facts == known
    assert np.array_equal(result.pixels, pixels)
    result.pixels[0] = 0  # may be written to


def test_known_contents_are_not_decoded(shared, write):
    data = encode(Image.new("RGB", (40, 30)), "PNG")
    path = write("a.png", data)
    digest = hashlib.sha256(data).digest()
    for job in (ReadFile(path, SPEC, frozenset({digest})), ReadFile(path, SPEC, decode=False)):
        result = shared.run(job)
        assert (result.digest, result.size, result.facts, result.pixels, result.error) == (
            digest,
            len(data),
            None,
            None,
            None,
        )
    assert shared.run(ReadFile(path, SPEC, frozenset({b"x" * 32}))).facts is not None
    assert shared.run(ReadFile(path, SPEC, frozenset())).facts is not None
    damaged = write("b.png", data[:50])
    assert shared.run(ReadFile(damaged, SPEC, decode=False)).error is None


def test_known_may_be_anything_with_in_and_its_errors_arrive(write):
    path = write("a.png", encode(Image.new("RGB", (40, 30)), "PNG"))
    asked = []

    class Known:
        def __contains__(self, digest):
            asked.append(digest)
            raise LookupError("the database is closed")

    with DecodePool(1, QUICK) as pool:
        with pytest.raises(LookupError, match="database"):
            pool.run(ReadFile(path, SPEC, Known()))
        assert len(asked[0]) == 32
        assert pool.run(ReadFile(path, SPEC)).error is None


def test_bytes(shared):
    data = encode(draw_photo(90, 60), "WEBP")
    result = shared.run(DecodeBytes(data, SPEC))
    known, pixels = decode(data, SPEC)
    assert (result.facts, result.error) == (known, None)
    assert np.array_equal(result.pixels, pixels)
    assert shared.run(DecodeBytes(b"", SPEC)).error.reason == Reason.EMPTY
    assert shared.run(DecodeBytes(encode(draw_photo(9, 9), "TIFF"), SPEC, b"a.nef")).error.reason == Reason.UNSUPPORTED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_every_format_in_a_worker(shared, kind):
    """Workers import a format's decoder when the first file of it comes."""
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
    result = shared.run(DecodeBytes(encode(draw_photo(60, 40), kind), SPEC))
    assert result.error is None
    assert result.facts.format == kind


def test_views(shared, write):
    data = encode(draw_photo(300, 200), "TIFF")
    path = write("a.tif", data)
    for job in (MakeView(path=path, side=90), MakeView(data=data, side=90)):
        result = shared.run(job)
        assert (result.content, result.mime, result.error) == (thumbnail(data, 90), "image/webp", None)
    result = shared.run(MakeView(data=data, side=250, kind="full"))
    assert (result.content, result.mime) == (full(data, 250), "image/jpeg")
    result = shared.run(MakeView(data=b"words"))
    assert (result.content, result.mime, result.error.reason) == (None, None, Reason.NOT_AN_IMAGE)
    assert shared.run(MakeView(path=path + b".gone")).error.reason == Reason.UNREADABLE


@pytest.mark.parametrize(
    "arguments", [{}, {"path": b"a", "data": b"b"}, {"data": b"b", "side": 0}, {"data": b"", "kind": "x"}]
)
def test_views_that_make_no_sense(arguments):
    with pytest.raises(ValueError):
        MakeView(**arguments)


def test_many_jobs_in_parallel_come_back_in_their_own_futures(shared, write):
    paths = [write(f"{i}.png", encode(Image.new("RGB", (20, 20), (i, 255 - i, 7)), "PNG")) for i in range(200)]
    futures = {}

    def submit(part):
        for i in part:
            futures[i] = shared.submit(ReadFile(paths[i], SPEC))

    threads = [threading.Thread(target=submit, args=(range(start, 200, 4),)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(200):
        result = futures[i].result(timeout=30)
        assert result.pixels[0, 0].tolist() == [i, 255 - i, 7]
        assert result.facts.bytes == os.path.getsize(paths[i])


@posix
def test_odd_names(shared, tmp_path):
    data = encode(Image.new("RGB", (9, 9)), "PNG")
    for name in (b"\xff\xfe.png", b"line\nbreak.png", b"x" * 251 + b".png"):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(data)
        assert shared.run(ReadFile(path, SPEC)).error is None


# -------------------------------------------------------------------------------------- files that cannot be


def test_files_that_cannot_be_read(shared, tmp_path, write):
    gone = shared.run(ReadFile(os.fsencode(tmp_path / "gone.jpg"), SPEC))
    assert gone.error.reason == Reason.UNREADABLE
    assert "No such file" in gone.error.message
    assert (gone.digest, gone.size) == (None, 0)
    assert shared.run(ReadFile(os.fsencode(tmp_path), SPEC)).error.reason == Reason.UNREADABLE
    assert shared.run(ReadFile(b"a\0b", SPEC)).error.reason == Reason.UNREADABLE
    assert shared.run(ReadFile(write("after.png", encode(Image.new("RGB", (9, 9)), "PNG")), SPEC)).error is None


@posix
def test_a_fifo_is_refused_at_once(shared, tmp_path):
    path = os.fsencode(tmp_path / "fifo.jpg")
    os.mkfifo(path)
    assert shared.run(ReadFile(path, SPEC)).error.reason == Reason.UNREADABLE
    assert shared.run(ReadFile(b"/dev/zero", SPEC)).error.reason == Reason.UNREADABLE


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(shared, write):
    path = write("a.jpg", b"x")
    os.chmod(path, 0)
    assert "ermission" in shared.run(ReadFile(path, SPEC)).error.message


def test_limits_of_size_and_pixels(shared, write):
    large = write("large.jpg", b"\xff\xd8\xff" + b"\0" * 200_000)
    error = shared.run(ReadFile(large, SPEC)).error
    assert error.reason == Reason.TOO_LARGE
    assert "RETRIEVAL_MAX_FILE_MB" in error.hint
    assert shared.run(MakeView(path=large)).error.reason == Reason.TOO_LARGE
    wide = encode(Image.new("1", (1001, 1000)), "PNG")
    result = shared.run(ReadFile(write("wide.png", wide), SPEC))
    assert result.error.reason == Reason.TOO_MANY_PIXELS
    assert result.digest == hashlib.sha256(wide).digest()  # it failed, and is known all the same
    assert shared.run(MakeView(data=wide)).error.reason == Reason.TOO_MANY_PIXELS


def test_failures_keep_what_is_known(shared, write):
    result = shared.run(ReadFile(write("words.jpg", b"words"), SPEC))
    assert (result.error.reason, result.size, result.digest) == (
        Reason.NOT_AN_IMAGE, 5, hashlib.sha256(b"words").digest(),
    )  # fmt: skip
    assert shared.run(ReadFile(write("empty.jpg", b""), SPEC)).error.reason == Reason.EMPTY


def test_a_file_that_is_being_written(monkeypatch, tmp_path):
    """The worker's reading, here in this process: the file grows, or is touched, between two looks at it."""
    from retrieval.core.errors import ImageError
    from retrieval.images import worker

    path = tmp_path / "a.jpg"
    reading = worker.read_exactly

    def growing(handle, size):
        with open(path, "ab") as file:
            file.write(b"more")
        return reading(handle, size)

    def touched(handle, size):
        data = reading(handle, size)
        os.utime(path, ns=(1, 1))
        return data

    def shrinking(handle, size):
        path.write_bytes(b"x")
        return reading(handle, size)

    for change in (growing, touched, shrinking):
        path.write_bytes(b"content")
        assert worker._read(os.fsencode(path), Limits()).data == b"content"
        with monkeypatch.context() as patch:
            patch.setattr(worker, "read_exactly", change)
            with pytest.raises(ImageError) as caught:
                worker._read(os.fsencode(path), Limits())
        assert caught.value.reason == Reason.CHANGED


# ------------------------------------------------------------------------------------------ files that kill

DEEDS = [
    ("SEGFAULT", Reason.CRASHED, "SIGSEGV"),
    ("EXIT", Reason.CRASHED, "exit status 3"),
    ("SPINC", Reason.TIMEOUT, "1 seconds"),
    ("SPINPY", Reason.TIMEOUT, "1 seconds"),
    ("PRINT", Reason.CORRUPT, "printed"),
    ("RAISE", Reason.CORRUPT, "no particular kind"),
]


@posix
def test_each_bad_file_costs_that_file_only(plugins, write):
    good = encode(Image.new("RGB", (20, 20), (9, 99, 199)), "PNG")
    files = []
    for number, deed in enumerate(DEEDS):
        for i in range(3):
            files.append((write(f"{number}-{i}.png", good), None))
        files.append((write(f"{number}-bad.jpg", f"EVIL-{deed[0]}".encode()), deed))
    with DecodePool(2, QUICK, ("evil_formats",)) as pool:
        futures = [pool.submit(ReadFile(path, SPEC)) for path, _ in files]
        results = [future.result(timeout=60) for future in futures]
    for (path, deed), result in zip(files, results, strict=True):
        if deed is None:
            assert result.error is None, path
            assert result.pixels[0, 0].tolist() == [9, 99, 199]
        else:
            name, reason, words = deed
            assert result.error.reason == reason, name
            assert words in result.error.message
            assert "\n" not in str(result.error)
            assert "\x1b" not in str(result.error)
            # What was read before the crash is not lost.
            assert result.digest == hashlib.sha256(f"EVIL-{name}".encode()).digest()


@posix
def test_the_time_limit_is_kept(plugins):
    with DecodePool(1, Limits(seconds=0.5), ("evil_formats",)) as pool:
        pool.run(DecodeBytes(b"", SPEC))  # the worker is ready
        for deed in (b"EVIL-SPINC", b"EVIL-SPINPY"):
            start = time.monotonic()
            assert pool.run(DecodeBytes(deed, SPEC)).error.reason == Reason.TIMEOUT
            assert 0.5 <= time.monotonic() - start < 2.5
            assert pool.run(MakeView(data=deed)).error.reason == Reason.TIMEOUT


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's data")
def test_a_decoder_that_eats_all_memory(plugins):
    with DecodePool(1, Limits(max_pixels=1_000_000, max_bytes=1_000_000, seconds=20), ("evil_formats",)) as pool:
        error = pool.run(DecodeBytes(b"EVIL-MEMORY", SPEC)).error
        assert error.reason == Reason.TOO_MANY_PIXELS
        assert "memory" in error.message
        assert pool.run(DecodeBytes(encode(Image.new("RGB", (9, 9)), "PNG"), SPEC)).error is None


@posix
def test_what_a_decoder_started_goes_with_it(plugins):
    def in_session(leader):
        found = []
        for pid in psutil.pids():
            try:
                if os.getsid(pid) == leader and is_running(psutil.Process(pid)):
                    found.append(pid)
            except (ProcessLookupError, psutil.NoSuchProcess):
                continue
        return found

    with DecodePool(1, Limits(seconds=1), ("evil_formats",)) as pool:
        pool.run(DecodeBytes(b"", SPEC))
        (worker,) = pool.pids()
        future = pool.submit(DecodeBytes(b"EVIL-CHILD", SPEC))
        assert eventually(lambda: len(in_session(worker)) == 2)
        assert future.result(timeout=30).error.reason == Reason.TIMEOUT
        assert eventually(lambda: in_session(worker) == [])


@posix
def test_a_job_is_not_blamed_for_a_worker_that_had_gone_before(plugins, monkeypatch):
    """The worker ends right after its answer; the pool cannot know yet when it sends the next job."""
    monkeypatch.setattr(process_module.WorkerProcess, "alive", True)
    good = DecodeBytes(encode(Image.new("RGB", (9, 9)), "PNG"), SPEC)
    with DecodePool(1, QUICK, ("lying_worker", "evil_formats")) as pool:
        for _ in range(3):
            assert pool.run(DecodeBytes(b"LYING" + frame({"facts": FACTS}, GOOD), SPEC)).error is None
            time.sleep(0.2)
            assert pool.run(good).error is None
        # A file that kills each worker it meets is still found out, on a used worker too.
        assert pool.run(DecodeBytes(b"EVIL-EXIT", SPEC)).error.reason == Reason.CRASHED
        assert pool.run(good).error is None


@posix
def test_a_worker_that_is_killed_from_outside(write):
    path = write("a.png", encode(Image.new("RGB", (9, 9)), "PNG"))
    with DecodePool(1, QUICK) as pool:
        assert pool.run(ReadFile(path, SPEC)).error is None
        (pid,) = pool.pids()
        os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: pool.pids() == [])
        assert pool.run(ReadFile(path, SPEC)).error is None
        assert pool.pids() != [pid]


# -------------------------------------------------------------------------------------------------- plugins


def test_plugins_may_read_further_formats(plugins, write):
    path = write("flat", b"FLAT\x05\x10\xff")
    with DecodePool(1, QUICK, ("flat_format",)) as pool:
        result = pool.run(ReadFile(path, SPEC))
    assert result.error is None
    assert result.facts.format == "FLAT"
    assert (result.facts.width, result.facts.height) == (40, 30)
    assert (result.pixels == (5, 16, 255)).all()
    with DecodePool(1, QUICK) as pool:
        assert pool.run(ReadFile(path, SPEC)).error.reason == Reason.NOT_AN_IMAGE


@pytest.mark.parametrize(("plugin", "words"), [("raises_at_import", "libfancy"), ("no_such_module", "no_such_module")])
def test_a_plugin_that_cannot_be_imported(plugins, plugin, words):
    with DecodePool(2, QUICK, (plugin,)) as pool:
        futures = [pool.submit(DecodeBytes(b"", SPEC)) for _ in range(5)]
        for future in futures:
            with pytest.raises(BadValue, match=words):
                future.result(timeout=30)
        with pytest.raises(BadValue, match="RETRIEVAL_PLUGINS"):
            pool.submit(DecodeBytes(b"", SPEC))


@posix
def test_a_worker_that_dies_at_every_start(plugins):
    with DecodePool(2, QUICK, ("dies_at_import",)) as pool:
        futures = [pool.submit(DecodeBytes(b"", SPEC)) for _ in range(5)]
        for future in futures:
            with pytest.raises(PoolError, match="a library is missing here"):
                future.result(timeout=30)
        with pytest.raises(PoolError, match="3 tries"):
            pool.run(DecodeBytes(b"", SPEC))


def test_a_python_that_cannot_be_started(monkeypatch):
    monkeypatch.setattr(process_module.sys, "executable", "/nowhere/python")
    with DecodePool(1, QUICK) as pool, pytest.raises(PoolError, match="/nowhere/python"):
        pool.run(DecodeBytes(b"", SPEC))


# --------------------------------------------------------------------------------- a worker that was taken over


def frame(header, payload=b"", lie=0):
    words = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">IQ", len(words), len(payload) + lie) + words + payload


FACTS = {"digest": "00" * 32, "bytes": 1, "width": 9, "height": 9, "format": "PNG", "captured": None, "phash": 1}
GOOD = b"\0" * (48 * 48 * 3)
LIES = {
    # What else a frame can hold is in test_wire.py.
    "a flood": frame({}, lie=2**60),
    "no json": frame(b"\x80\x04pickle"),
    "nothing": frame({}),
    "too few pixels": frame({"facts": FACTS}, GOOD[:-1]),
    "too many pixels": frame({"facts": FACTS}, GOOD + b"1"),
    "a huge width": frame({"facts": {**FACTS, "width": 10**30}}, GOOD),
    "half a frame": frame({"facts": FACTS}, GOOD)[:100],
}


def test_nonsense_from_a_worker_is_a_crash(plugins):
    with DecodePool(1, QUICK, ("lying_worker",)) as pool:
        for name, lie in LIES.items():
            result = pool.run(DecodeBytes(b"LYING" + lie, SPEC))
            assert result.error is not None, name
            assert result.error.reason == Reason.CRASHED, name
        # The same channel with an honest answer gets through: the test above could fail.
        assert pool.run(DecodeBytes(b"LYING" + frame({"facts": FACTS}, GOOD), SPEC)).error is None
        assert (
            pool.run(MakeView(data=b"LYING" + frame({"mime": "text/html"}, b"<script>"))).error.reason == Reason.CRASHED
        )
        assert pool.run(MakeView(data=b"LYING" + frame({"mime": "image/webp"}, b"RIFF"))).content == b"RIFF"


def test_facts_of_another_file_are_refused(plugins, write):
    with DecodePool(1, QUICK, ("lying_worker",)) as pool:
        result = pool.run(ReadFile(write("a", b"LYING" + frame({"facts": FACTS}, GOOD)), SPEC))
        assert result.error.reason == Reason.CRASHED


def test_a_bug_is_not_blamed_on_the_file(plugins):
    bug = frame({"bug": "Traceback: KeyError"})
    with DecodePool(1, QUICK, ("lying_worker",)) as pool, pytest.raises(PoolError, match="KeyError"):
        pool.run(DecodeBytes(b"LYING" + bug, SPEC))


# ----------------------------------------------------------------------------------------------- life and death


def test_an_unused_pool_has_no_processes_and_few_are_started_for_few_jobs(write):
    path = write("a.png", encode(Image.new("RGB", (9, 9)), "PNG"))
    with DecodePool(4, QUICK) as pool:
        assert pool.pids() == []
        for _ in range(5):
            pool.run(ReadFile(path, SPEC))
            time.sleep(0.02)
        assert len(pool.pids()) == 1


def test_a_pool_needs_workers():
    with pytest.raises(ValueError, match="at least 1"):
        DecodePool(0, QUICK)


@posix
def test_close_while_busy_is_quick_and_fails_what_is_left(plugins):
    pool = DecodePool(1, Limits(seconds=60), ("evil_formats",))
    pool.run(DecodeBytes(b"", SPEC))  # the worker is ready, and busy soon
    futures = [pool.submit(DecodeBytes(b"EVIL-SPINC", SPEC)) for _ in range(20)]
    time.sleep(0.3)
    start = time.monotonic()
    pool.close()
    assert time.monotonic() - start < 3
    for future in futures:
        with pytest.raises(PoolError, match="closed"):
            future.result(timeout=1)
    with pytest.raises(PoolError, match="closed"):
        pool.submit(DecodeBytes(b"", SPEC))
    pool.close()


@posix
def test_close_while_starting():
    for pause in (0.0, 0.01, 0.05, 0.1):
        pool = DecodePool(2, QUICK)
        pool.warm()
        time.sleep(pause)
        start = time.monotonic()
        pool.close()
        assert time.monotonic() - start < 3


def test_a_job_may_be_cancelled_while_it_waits(plugins):
    with DecodePool(1, Limits(seconds=1), ("evil_formats",)) as pool:
        busy = pool.submit(DecodeBytes(b"EVIL-SPINPY", SPEC))
        waiting = pool.submit(DecodeBytes(b"", SPEC))
        assert waiting.cancel()
        assert busy.result(timeout=30).error.reason == Reason.TIMEOUT
        with pytest.raises(CancelledError):
            waiting.result()


def test_a_callback_may_close_the_pool():
    pool = DecodePool(1, QUICK)
    done = threading.Event()

    def close(_):
        pool.close()
        done.set()

    pool.submit(DecodeBytes(b"", SPEC)).add_done_callback(close)
    assert done.wait(20)


@posix
def test_workers_are_polite_and_out_of_reach_of_ctrl_c():
    with DecodePool(1, QUICK, nice=7) as pool:
        pool.run(DecodeBytes(b"", SPEC))
        (pid,) = pool.pids()
        assert psutil.Process(pid).nice() == min(19, psutil.Process().nice() + 7)
        assert os.getpgid(pid) != os.getpgid(0)
        assert os.getsid(pid) == pid


def run_script(folder, body, *arguments, **options):
    script = folder / "program.py"
    script.write_text(textwrap.dedent(body))
    return subprocess.Popen(
        [sys.executable, str(script), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@posix
@pytest.mark.parametrize("deed", ["idle", "spinning"])
def test_a_killed_parent_leaves_no_workers(tmp_path, deed):
    """Idle workers see their stdin end; one that never comes back has its alarm, at 2 x seconds + 2."""
    program = run_script(
        tmp_path,
        """
        import sys, time
        sys.path.insert(0, sys.argv[1])
        from retrieval.core.preprocessing import Preprocessing
        from retrieval.core.settings import Limits
        from retrieval.images.jobs import DecodeBytes
        from retrieval.images.pool import DecodePool

        pool = DecodePool(2, Limits(seconds=0.8), ("evil_formats",))
        pool.warm()
        while len(pool.pids()) < 2:
            time.sleep(0.01)
        for _ in range(8):
            pool.submit(DecodeBytes(b"", Preprocessing()))
        time.sleep(0.5)
        if sys.argv[2] != "idle":
            for deed in (b"EVIL-SPINC", b"EVIL-SPINPY"):
                pool.submit(DecodeBytes(deed, Preprocessing()))
            time.sleep(0.2)
        print(*pool.pids(), flush=True)
        time.sleep(60)
        """,
        str(PLUGINS),
        deed,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    try:
        workers = [psutil.Process(int(pid)) for pid in program.stdout.readline().split()]
        assert len(workers) == 2
    finally:
        program.kill()
        program.communicate()
    assert eventually(lambda: not any(is_running(worker) for worker in workers), 2 if deed == "idle" else 8)


@posix
def test_a_program_that_forgets_to_close_ends(tmp_path):
    program = run_script(
        tmp_path,
        """
        from retrieval.core.preprocessing import Preprocessing
        from retrieval.core.settings import Limits
        from retrieval.images.jobs import DecodeBytes
        from retrieval.images.pool import DecodePool

        # No ``if __name__ == "__main__"``: the workers do not import this file.
        pool = DecodePool(2, Limits())
        print(pool.run(DecodeBytes(b"", Preprocessing())).error.reason, *pool.pids())
        """,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    out, err = program.communicate(timeout=30)
    assert (program.returncode, err) == (0, "")
    reason, pid = out.split()
    assert reason == "empty"
    assert eventually(lambda: not psutil.pid_exists(int(pid)))


# -------------------------------------------------------------------------------------------- what workers import

HEAVY = ("torch", "torchvision", "timm", "faiss", "sqlalchemy", "gradio", "fastapi", "lightning_fabric")


def test_workers_import_nothing_heavy(plugins, tmp_path, monkeypatch):
    """Seen from inside one, by a plugin, after it has decoded and made views."""
    (tmp_path / "tell_modules.py").write_text(
        textwrap.dedent(
            """
            import sys
            from PIL import Image, ImageFile

            class NamesFile(ImageFile.ImageFile):
                format = "NAMES"

                def _open(self):
                    name = self.fp.read()[5:].decode()
                    raise OSError("loaded" if name in sys.modules else "absent")

            Image.register_open("NAMES", NamesFile, lambda head: head.startswith(b"NAMES"))
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with DecodePool(1, QUICK, ("tell_modules",)) as pool:
        assert pool.run(DecodeBytes(encode(draw_photo(40, 30), "JPEG"), SPEC)).error is None
        assert pool.run(MakeView(data=encode(draw_photo(40, 30), "AVIF", speed=10))).error is None

        def state(name):
            return pool.run(DecodeBytes(b"NAMES" + name.encode(), SPEC)).error.message

        assert "loaded" in state("PIL.Image")
        assert "loaded" in state("retrieval.images.decode")
        for name in HEAVY:
            assert "absent" in state(name), name


def test_workers_find_the_package_however_the_parent_found_it(tmp_path):
    """By an entry of ``sys.path`` that no variable and no installation knows, from a folder full of traps."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(process_module.retrieval.__file__)))
    for trap in ("json.py", "random.py", "numpy.py", "retrieval.py", "struct.py"):
        (tmp_path / trap).write_text("raise SystemExit('a file of the current folder was imported')")
    program = subprocess.run(
        [
            sys.executable, "-P", "-c",
            f"import sys; sys.path.insert(0, {root!r}); sys.path.append('')\n"
            "from retrieval.core.preprocessing import Preprocessing\n"
            "from retrieval.core.settings import Limits\n"
            "from retrieval.images.jobs import DecodeBytes\n"
            "from retrieval.images.pool import DecodePool\n"
            "with DecodePool(1, Limits()) as pool: print(pool.run(DecodeBytes(b'', Preprocessing())).error.reason)",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )  # fmt: skip
    assert (program.stdout, program.returncode) == ("empty\n", 0), program.stderr


def test_importing_the_package_starts_nothing():
    """The pool's own side is as light as the workers."""
    code = "import sys, retrieval.images.pool, retrieval.images.scan; "
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=places)
    assert out.stdout == "[]\n"


def test_uploads_of_any_size_go_through(shared):
    data = encode(Image.new("RGB", (20, 20), (1, 2, 3)), "BMP") + b"\0" * 30_000_000
    assert shared.run(DecodeBytes(data, SPEC)).pixels[0, 0].tolist() == [1, 2, 3]


def test_views_are_readable_pictures(shared):
    result = shared.run(MakeView(data=encode(draw_photo(300, 200), "PNG"), side=100))
    assert Image.open(io.BytesIO(result.content)).size == (100, 67)
