"""One decoding process: takes jobs from stdin, answers on stdout, and may be killed at any time.

Started by ``retrieval.images.pool`` as ``python -m retrieval.images.worker``. It never imports torch, and it ends when
the pool does: stdin ends, or, should a decoder hang without ever coming back, an alarm goes off.
"""

import faulthandler
import hashlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from retrieval.core.errors import ImageError, Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images import wire
from retrieval.images.decode import decode
from retrieval.images.opening import load_plugins, out_of_memory, use_one_thread
from retrieval.images.reading import open_regular, read_exactly, unreadable
from retrieval.images.region import decode_region
from retrieval.images.views import FULL_MIME, THUMBNAIL_MIME, full, thumbnail

# What a job may take beyond its limits: decoded pixels, copies in another mode, the decoder's own tables.
_MEMORY_BASE = 1024 * 1024 * 1024
_BYTES_PER_PIXEL = 24


@dataclass(frozen=True, slots=True)
class _Pool:
    """The other side, and what it asked to respect."""

    inlet: Any
    outlet: Any
    limits: Limits

    def send(self, header: wire.Header, payload: Any = b"") -> None:
        wire.write_frame(self.outlet, header, payload)

    def receive(self) -> tuple[dict[str, Any], bytearray]:
        return wire.read_frame(self.inlet, sys.maxsize)


@dataclass(frozen=True, slots=True)
class _Content:
    data: bytes
    size: int
    mtime_ns: int
    digest: bytes


def main() -> None:
    """Serve jobs until the pool is gone."""
    inlet, outlet = _take_streams()
    try:
        setup, _ = wire.read_frame(inlet, 0)
        limits = Limits(setup["max_pixels"], setup["max_bytes"], setup["seconds"])
        pool = _Pool(inlet, outlet, limits)
        _settle_in(setup["nice"], limits)
        failure = _load(tuple(setup["plugins"]))
        pool.send({"failed": failure} if failure else {"ready": True})
        _silence()
        while True:
            _serve(pool)
    except wire.ConnectionEnded:
        # Nothing is left to tidy up, and a plugin's exit handler should not keep the process alive.
        os._exit(0)


def _take_streams() -> tuple[Any, Any]:
    """Keep the pipes for frames only: what a library prints must not land between them."""
    inlet = os.fdopen(os.dup(0), "rb", buffering=0)
    outlet = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return inlet, outlet


def _silence() -> None:
    """From here on stderr is only C libraries' noise about bad files."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 2)
    os.close(nothing)


def _settle_in(nice: int, limits: Limits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which then closes the pool
    use_one_thread()
    with suppress(AttributeError, OSError):
        os.nice(nice)
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        bound = _MEMORY_BASE + _BYTES_PER_PIXEL * limits.max_pixels + 2 * limits.max_bytes
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or bound < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected here and leaves no core file


def _load(plugins: tuple[str, ...]) -> str:
    """Import the plugins one by one; what went wrong, or nothing."""
    for name in plugins:
        try:
            load_plugins((name,))
        except Exception as error:
            return f"{name}: {type(error).__name__}: {error}"[:1000]
    return ""


def _serve(pool: _Pool) -> None:
    job, payload = pool.receive()
    with _alarm(pool.limits.seconds * 2 + 2):
        try:
            _JOBS[job["job"]](pool, job, bytes(payload))
        except ImageError as error:
            pool.send({"error": wire.pack_error(error)})
        except MemoryError:
            pool.send({"error": wire.pack_error(out_of_memory())})
        except (wire.ConnectionEnded, wire.BadFrame):
            raise
        except Exception:  # a mistake of ours: it must be seen, not look like a bad file
            pool.send({"bug": traceback.format_exc()[-4000:]})


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer, also when a C function never returns.

    The pool kills a worker long before; this is for when the pool itself is gone.
    """
    if hasattr(signal, "setitimer"):
        # The signal's default action needs nothing from the interpreter, and arming it costs no thread.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    else:
        with open(os.devnull, "w") as nothing:
            faulthandler.dump_traceback_later(seconds, exit=True, file=nothing)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()


def _read_file(pool: _Pool, job: dict[str, Any], path: bytes) -> None:
    content = _read(path, pool.limits)
    pool.send({"size": content.size, "mtime_ns": content.mtime_ns, "digest": content.digest.hex()})
    wanted = bool(job["decode"])
    if job["ask"]:
        answer, _ = pool.receive()
        wanted = bool(answer["decode"])
    if wanted:
        _decode(pool, job, content.data, os.path.basename(path), content.digest)
    else:
        pool.send({})


def _decode_bytes(pool: _Pool, job: dict[str, Any], data: bytes) -> None:
    _decode(pool, job, data, bytes.fromhex(job["name"]), None)


def _make_view(pool: _Pool, job: dict[str, Any], payload: bytes) -> None:
    data, name = payload, b""
    if job["file"]:
        data, name = _read(payload, pool.limits).data, os.path.basename(payload)
    if job["kind"] == "thumbnail":
        pool.send({"mime": THUMBNAIL_MIME}, thumbnail(data, job["side"], pool.limits, name=name))
    else:
        pool.send({"mime": FULL_MIME}, full(data, job["side"], pool.limits, name=name))


def _decode(pool: _Pool, job: dict[str, Any], data: bytes, name: bytes, digest: bytes | None) -> None:
    spec = Preprocessing.from_dict(job["spec"])
    facts, pixels = decode(data, spec, pool.limits, name=name, digest=digest)
    region = wire.unpack_region(job["region"])
    if region is not None:
        pixels = decode_region(data, region, spec, pool.limits, name=name)
    pool.send({"facts": wire.pack_facts(facts)}, pixels)


def _read(path: bytes, limits: Limits) -> _Content:
    """The whole file, if it is not too large and nobody is writing to it. Raises ImageError."""
    try:
        handle, before = open_regular(path)
        try:
            if before.st_size > limits.max_bytes:
                raise _too_large(before.st_size, limits)
            data = read_exactly(handle, before.st_size)
            after = os.fstat(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise unreadable(error) from error
    if not len(data) == before.st_size == after.st_size or before.st_mtime_ns != after.st_mtime_ns:
        raise ImageError(
            Reason.CHANGED, "The file changed while it was read: it is still being written.", "The next run takes it."
        )
    return _Content(data, after.st_size, after.st_mtime_ns, hashlib.sha256(data).digest())


def _too_large(size: int, limits: Limits) -> ImageError:
    megabyte = 1024 * 1024
    return ImageError(
        Reason.TOO_LARGE,
        f"The file has {_short(size / megabyte)} MB, the limit is {_short(limits.max_bytes / megabyte)}.",
        "Set RETRIEVAL_MAX_FILE_MB higher if you trust it and have the memory.",
    )


def _short(megabytes: float) -> str:
    return f"{megabytes:,.0f}" if megabytes >= 100 else f"{megabytes:.3g}"


_JOBS: dict[str, Callable[[_Pool, dict[str, Any], bytes], None]] = {
    "read_file": _read_file,
    "decode_bytes": _decode_bytes,
    "make_view": _make_view,
}

if __name__ == "__main__":
    main()
