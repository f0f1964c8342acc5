"""The pool: right results, and what it says of files that cannot be read."""

import hashlib
import io
import os
import threading

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from retrieval.core.errors import Reason
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.images.decode import decode
from retrieval.images.jobs import DecodeBytes, MakeView, ReadFile
from retrieval.images.pool import DecodePool
from retrieval.images.views import full, thumbnail

from .conftest import draw_photo, encode

pytestmark = pytest.mark.usefixtures("nothing_is_left_behind")

SPEC = Preprocessing(input_size=48)
QUICK = Limits(seconds=1.0)
posix = pytest.mark.skipif(os.name != "posix", reason="uses POSIX signals or files")


def test_a_file_gives_the_same_as_decoding_here(shared_pool, write):
    data = encode(draw_photo(200, 150), "JPEG")
    path = write("a.jpg", data)
    result = shared_pool.run(ReadFile(path, SPEC))
    known, pixels = decode(data, SPEC)
    status = os.stat(path)
    assert result.error is None
    assert (result.size, result.mtime_ns) == (len(data), status.st_mtime_ns)
    assert result.digest == hashlib.sha256(data).digest()
    assert result.facts == known
    assert np.array_equal(result.pixels, pixels)
    result.pixels[0] = 0  # may be written to


def test_known_contents_are_not_decoded(shared_pool, write):
    data = encode(Image.new("RGB", (40, 30)), "PNG")
    path = write("a.png", data)
    digest = hashlib.sha256(data).digest()
    for job in (ReadFile(path, SPEC, frozenset({digest})), ReadFile(path, SPEC, decode=False)):
        result = shared_pool.run(job)
        assert (result.digest, result.size, result.facts, result.pixels, result.error) == (
            digest,
            len(data),
            None,
            None,
            None,
        )
    assert shared_pool.run(ReadFile(path, SPEC, frozenset({b"x" * 32}))).facts is not None
    assert shared_pool.run(ReadFile(path, SPEC, frozenset())).facts is not None
    damaged = write("b.png", data[:50])
    assert shared_pool.run(ReadFile(damaged, SPEC, decode=False)).error is None


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


def test_bytes(shared_pool):
    data = encode(draw_photo(90, 60), "WEBP")
    result = shared_pool.run(DecodeBytes(data, SPEC))
    known, pixels = decode(data, SPEC)
    assert (result.facts, result.error) == (known, None)
    assert np.array_equal(result.pixels, pixels)
    assert shared_pool.run(DecodeBytes(b"", SPEC)).error.reason == Reason.EMPTY
    camera = DecodeBytes(encode(draw_photo(9, 9), "TIFF"), SPEC, b"a.nef")
    assert shared_pool.run(camera).error.reason == Reason.UNSUPPORTED


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_every_format_in_a_worker(shared_pool, kind):
    """Workers import a format's decoder when the first file of it comes."""
    if kind == "HEIF":
        pillow_heif.register_heif_opener()
    result = shared_pool.run(DecodeBytes(encode(draw_photo(60, 40), kind), SPEC))
    assert result.error is None
    assert result.facts.format == kind


def test_views(shared_pool, write):
    data = encode(draw_photo(300, 200), "TIFF")
    path = write("a.tif", data)
    for job in (MakeView(path=path, side=90), MakeView(data=data, side=90)):
        result = shared_pool.run(job)
        assert (result.content, result.mime, result.error) == (thumbnail(data, 90), "image/webp", None)
    result = shared_pool.run(MakeView(data=data, side=250, kind="full"))
    assert (result.content, result.mime) == (full(data, 250), "image/jpeg")
    result = shared_pool.run(MakeView(data=b"words"))
    assert (result.content, result.mime, result.error.reason) == (None, None, Reason.NOT_AN_IMAGE)
    assert shared_pool.run(MakeView(path=path + b".gone")).error.reason == Reason.UNREADABLE


@pytest.mark.parametrize(
    "arguments", [{}, {"path": b"a", "data": b"b"}, {"data": b"b", "side": 0}, {"data": b"", "kind": "x"}]
)
def test_views_that_make_no_sense(arguments):
    with pytest.raises(ValueError):
        MakeView(**arguments)


def test_many_jobs_in_parallel_come_back_in_their_own_futures(shared_pool, write):
    paths = [write(f"{i}.png", encode(Image.new("RGB", (20, 20), (i, 255 - i, 7)), "PNG")) for i in range(200)]
    futures = {}

    def submit(part):
        for i in part:
            futures[i] = shared_pool.submit(ReadFile(paths[i], SPEC))

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
def test_odd_names(shared_pool, tmp_path):
    data = encode(Image.new("RGB", (9, 9)), "PNG")
    for name in (b"\xff\xfe.png", b"line\nbreak.png", b"x" * 251 + b".png"):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(data)
        assert shared_pool.run(ReadFile(path, SPEC)).error is None


def test_files_that_cannot_be_read(shared_pool, tmp_path, write):
    gone = shared_pool.run(ReadFile(os.fsencode(tmp_path / "gone.jpg"), SPEC))
    assert gone.error.reason == Reason.UNREADABLE
    assert "No such file" in gone.error.message
    assert (gone.digest, gone.size) == (None, 0)
    assert shared_pool.run(ReadFile(os.fsencode(tmp_path), SPEC)).error.reason == Reason.UNREADABLE
    assert shared_pool.run(ReadFile(b"a\0b", SPEC)).error.reason == Reason.UNREADABLE
    assert shared_pool.run(ReadFile(write("after.png", encode(Image.new("RGB", (9, 9)), "PNG")), SPEC)).error is None


@posix
def test_a_fifo_is_refused_at_once(shared_pool, tmp_path):
    path = os.fsencode(tmp_path / "fifo.jpg")
    os.mkfifo(path)
    assert shared_pool.run(ReadFile(path, SPEC)).error.reason == Reason.UNREADABLE
    assert shared_pool.run(ReadFile(b"/dev/zero", SPEC)).error.reason == Reason.UNREADABLE


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(shared_pool, write):
    path = write("a.jpg", b"x")
    os.chmod(path, 0)
    assert "ermission" in shared_pool.run(ReadFile(path, SPEC)).error.message


def test_limits_of_size_and_pixels(shared_pool, write):
    large = write("large.jpg", b"\xff\xd8\xff" + b"\0" * 200_000)
    error = shared_pool.run(ReadFile(large, SPEC)).error
    assert error.reason == Reason.TOO_LARGE
    assert "RETRIEVAL_MAX_FILE_MB" in error.hint
    assert shared_pool.run(MakeView(path=large)).error.reason == Reason.TOO_LARGE
    wide = encode(Image.new("1", (1001, 1000)), "PNG")
    result = shared_pool.run(ReadFile(write("wide.png", wide), SPEC))
    assert result.error.reason == Reason.TOO_MANY_PIXELS
    assert result.digest == hashlib.sha256(wide).digest()  # it failed, and is known all the same
    assert shared_pool.run(MakeView(data=wide)).error.reason == Reason.TOO_MANY_PIXELS


def test_failures_keep_what_is_known(shared_pool, write):
    result = shared_pool.run(ReadFile(write("words.jpg", b"words"), SPEC))
    assert (result.error.reason, result.size, result.digest) == (
        Reason.NOT_AN_IMAGE, 5, hashlib.sha256(b"words").digest(),
    )  # fmt: skip
    assert shared_pool.run(ReadFile(write("empty.jpg", b""), SPEC)).error.reason == Reason.EMPTY


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


def test_uploads_of_any_size_go_through(shared_pool):
    data = encode(Image.new("RGB", (20, 20), (1, 2, 3)), "BMP") + b"\0" * 30_000_000
    assert shared_pool.run(DecodeBytes(data, SPEC)).pixels[0, 0].tolist() == [1, 2, 3]


def test_views_are_readable_pictures(shared_pool):
    result = shared_pool.run(MakeView(data=encode(draw_photo(300, 200), "PNG"), side=100))
    assert Image.open(io.BytesIO(result.content)).size == (100, 67)
