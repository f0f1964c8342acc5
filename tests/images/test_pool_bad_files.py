"""Files that kill a decoder, and workers that were taken over: each costs its file and nothing else."""

import hashlib
import json
import os
import signal
import struct
import sys
import time

import psutil
import pytest
from PIL import Image

from retrieval.core.errors import Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images import process as process_module
from retrieval.images.jobs import DecodeBytes, MakeView, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.images.process import PoolError

from .conftest import encode
from .support import eventually, is_running

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

SPEC = Preprocessing(input_size=48)
QUICK = Limits(seconds=1.0)
posix = pytest.mark.skipif(os.name != "posix", reason="uses POSIX signals or files")


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
