"""Life and death of a pool: started when needed, closed at any time, killed with its parent."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import CancelledError

import psutil
import pytest
from PIL import Image

from retrieval.core.errors import Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images.jobs import DecodeBytes, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.images.process import PoolError

from .conftest import PLUGINS, encode
from .support import eventually, is_running

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

SPEC = Preprocessing(input_size=48)
QUICK = Limits(seconds=1.0)
posix = pytest.mark.skipif(os.name != "posix", reason="uses POSIX signals or files")


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
