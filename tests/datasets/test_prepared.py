"""Prepared pictures: decoded once, whole or not there, and broken files cost only themselves."""

import io
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.core import errors
from retrieval.core.errors import BadValue, DiskFull, GalleryDamaged, Reason
from retrieval.core.labelled import UNLABELLED, Labelled, LabelledImage
from retrieval.core.preprocessing import Preprocessing
from retrieval.core.settings import Limits
from retrieval.datasets import picture_store
from retrieval.datasets.files_seen import FilesSeen
from retrieval.datasets.folder import from_folder
from retrieval.datasets.picture_store import RECORD, Picture, PictureStore
from retrieval.datasets.prepared import Prepared, kept_size, prepare, side_for
from retrieval.images.jobs import ReadFile
from retrieval.images.pool import DecodePool
from tests.conftest import REPOSITORY, draw
from tests.images.conftest import draw_photo

SIDE = 40


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    with DecodePool(2, Limits(seconds=10)) as pool:
        yield pool


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / f"pictures-v1-{SIDE}"


def ready(labelled: Labelled, pool: DecodePool, tmp_path: Path, side: int = SIDE) -> Prepared:
    return prepare(labelled, pool, tmp_path / "cache", side, workers=2)


class Counted:
    """A pool that counts what it is asked."""

    def __init__(self, pool: DecodePool) -> None:
        self._pool, self.asked = pool, 0

    def submit(self, job: ReadFile):
        self.asked += 1
        return self._pool.submit(job)


@pytest.mark.parametrize(
    ("size", "side", "kept"),
    [
        ((400, 300), 256, (341, 256)),
        ((300, 400), 256, (256, 341)),
        ((180, 240), 256, (180, 240)),
        ((2000, 500), 256, (512, 128)),
        ((100_000, 10), 256, (512, 1)),
        ((1, 1), 8, (1, 1)),
    ],
)
def test_pictures_are_never_enlarged_and_keep_their_proportions(
    size: tuple[int, int], side: int, kept: tuple[int, int]
) -> None:
    assert kept_size(*size, side) == kept


def test_the_side_follows_the_encoder() -> None:
    assert side_for(Preprocessing(input_size=224)) == 256
    assert side_for(Preprocessing(input_size=224, crop=0.8)) == 280
    assert side_for(Preprocessing(input_size=4096)) == 2048
    assert side_for(Preprocessing(input_size=2)) == 8


def test_what_is_kept_is_the_whole_picture_upright_and_nearly_lossless(pool: DecodePool, tmp_path: Path) -> None:
    photo = draw_photo(120, 80)
    paths = [tmp_path / name for name in ("small.png", "large.png", "turned.jpg", "clear.png")]
    photo.resize((60, 40), Image.Resampling.LANCZOS).save(paths[0])
    photo.save(paths[1])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    photo.transpose(Image.Transpose.ROTATE_90).save(paths[2], quality=95, exif=exif)
    clear = photo.convert("RGBA")
    clear.putalpha(0)
    clear.save(paths[3])
    images = [LabelledImage(os.fsencode(path), label) for path, label in zip(paths, "aabb", strict=True)]
    prepared = ready(Labelled(images, "photos"), pool, tmp_path)
    wanted = np.asarray(photo.resize((60, 40), Image.Resampling.LANCZOS), float)
    for i in range(3):
        got = prepared.picture(i)
        assert (got.mode, got.size) == ("RGB", (60, 40))
        # The photo has a few hard edges, where resampling twice shows most.
        assert np.abs(np.asarray(got, float) - wanted).mean() < 4
    assert np.asarray(prepared.picture(3)).min() >= 254
    assert prepared.labelled.images[0].group == prepared.labelled.images[1].group == prepared.labelled.images[2].group
    assert prepared.labelled.images[0].group is not None
    assert prepared.labelled.images[3].group is None


def test_the_second_time_nothing_is_read(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    labelled = from_folder(photos)
    first = ready(labelled, pool, tmp_path)
    counted = Counted(pool)
    second = ready(labelled, counted, tmp_path)  # type: ignore[arg-type]
    assert (first.made, second.made, counted.asked) == (12, 0, 0)
    assert [second.encoded(i) for i in range(12)] == [first.encoded(i) for i in range(12)]
    assert first.kept.tolist() == list(range(12))
    assert all(image.digest for image in first.labelled.images)


def test_only_what_is_new_or_changed_is_made(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    ready(from_folder(photos), pool, tmp_path)
    draw(photos / "apple" / "new.jpg", 99)
    draw(photos / "pear" / "0.jpg", 98)
    os.utime(photos / "pear" / "0.jpg", ns=(1, 1))
    (photos / "plum" / "0.jpg").rename(photos / "plum" / "moved.jpg")
    os.utime(photos / "plum" / "1.jpg", ns=(2, 2))
    counted = Counted(pool)
    labelled = from_folder(photos)
    again = ready(labelled, counted, tmp_path)  # type: ignore[arg-type]
    assert (again.made, counted.asked) == (2, 4)
    names = [os.path.basename(image.path) for image in labelled.images]
    fresh = prepare(labelled, pool, tmp_path / "fresh", SIDE, workers=2)
    assert [again.encoded(i) for i in range(len(names))] == [fresh.encoded(i) for i in range(len(names))]


def test_a_known_digest_needs_no_file(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    first = ready(from_folder(photos), pool, tmp_path)
    elsewhere = Labelled([replace(i, path=b"/gone" + i.path) for i in first.labelled.images], "gallery")
    assert ready(elsewhere, pool, tmp_path).made == 0


def test_sizes_live_beside_each_other(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    labelled = from_folder(photos)
    assert min(ready(labelled, pool, tmp_path).picture(0).size) == SIDE
    assert min(ready(labelled, pool, tmp_path, 16).picture(0).size) == 16
    assert ready(labelled, pool, tmp_path).made == 0


def test_the_same_content_is_kept_once_and_grouped(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    for n in range(5):
        (photos / "apple" / f"0copy{n}.jpg").write_bytes((photos / "apple" / "0.jpg").read_bytes())
    prepared = ready(from_folder(photos), pool, tmp_path)
    groups = [i.group for i in prepared.labelled.images if b"copy" in i.path or i.path.endswith(b"apple/0.jpg")]
    assert prepared.made == 12
    assert len(groups) == 6
    assert len(set(groups)) == 1
    assert groups[0] is not None


def test_copies_that_are_read_at_the_same_time_are_kept_once(
    pool: DecodePool, photos: Path, tmp_path: Path, store_folder: Path
) -> None:
    class Forgetful(Counted):
        def submit(self, job: ReadFile):
            return super().submit(replace(job, known=None))  # as if nobody had been quicker

    for n in range(5):
        (photos / "apple" / f"0copy{n}.jpg").write_bytes((photos / "apple" / "0.jpg").read_bytes())
    prepared = ready(from_folder(photos), Forgetful(pool), tmp_path)  # type: ignore[arg-type]
    assert (len(prepared), prepared.made) == (17, 12)
    assert (store_folder / "records.bin").stat().st_size == 12 * RECORD.itemsize


def test_unreadable_images_are_listed_and_left_out(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    (photos / "apple" / "0.jpg").write_bytes(b"")
    (photos / "pear" / "1.jpg").write_bytes((photos / "pear" / "1.jpg").read_bytes()[:300])
    labelled = from_folder(photos)
    gone = LabelledImage(b"/nowhere/a\nb\xff.jpg", "apple")
    labelled = Labelled([*labelled.images, gone], "photos")
    for _ in range(2):
        prepared = ready(labelled, pool, tmp_path)
        assert [(u.id, u.error.reason) for u in prepared.unreadable] == [
            (0, Reason.EMPTY),
            (5, Reason.TRUNCATED),
            (12, Reason.UNREADABLE),
        ]
        assert str(prepared.unreadable[2]).startswith("/nowhere/a\\nb\\xff.jpg: ")
        assert prepared.kept.tolist() == [i for i in range(12) if i not in (0, 5)]
        assert [i.path for i in prepared.labelled.images] == [labelled.images[i].path for i in prepared.kept]


def test_nothing_readable_or_one_class_left_is_refused(pool: DecodePool, tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(b"\xff\xd8\xff no picture")
    with pytest.raises(BadValue, match="None of the 3 images") as caught:
        ready(from_folder(tmp_path / "set"), pool, tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    draw(tmp_path / "set" / "a" / "1.jpg", 1)
    draw(tmp_path / "set" / "a" / "2.jpg", 2)
    with pytest.raises(BadValue, match="same label"):
        ready(from_folder(tmp_path / "set"), pool, tmp_path)


def test_without_labels_two_pictures_suffice(pool: DecodePool, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1)
    draw(tmp_path / "b.png", 2)
    (tmp_path / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    images = [LabelledImage(os.fsencode(tmp_path / name), UNLABELLED) for name in ("a.png", "b.png", "c.png")]
    found = prepare(Labelled(images, "photos"), pool, tmp_path / "cache", SIDE, workers=2, needs_labels=False)
    assert (len(found), found.kept.tolist(), [one.id for one in found.unreadable]) == (2, [0, 1], [2])
    assert found.labelled.numbers.tolist() == [-1, -1]
    with pytest.raises(BadValue, match="only one image"):
        prepare(Labelled(images[1:], "photos"), pool, tmp_path / "cache", SIDE, workers=2, needs_labels=False)


def test_progress_counts_to_the_end(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    (photos / "apple" / "0.jpg").write_bytes(b"")
    told: list[tuple[int, int]] = []
    prepare(from_folder(photos), pool, tmp_path / "c", SIDE, workers=2, progress=lambda *pair: told.append(pair))
    assert told == [(n, 12) for n in range(13)]


def test_subsets_keep_their_pictures(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    prepared = ready(from_folder(photos), pool, tmp_path)
    some = prepared.subset(np.array([7, 2]))
    assert [some.encoded(i) for i in range(2)] == [prepared.encoded(7), prepared.encoded(2)]
    assert [i.label for i in some.labelled.images] == ["pear", "apple"]
    assert len(some) == 2


def test_sides_out_of_range_are_refused(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    for side in (7, 2049):
        with pytest.raises(ValueError, match="side"):
            ready(from_folder(photos), pool, tmp_path, side)


# ------------------------------------------------------------------ damage


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)


def test_damaged_pictures_and_records_are_made_anew(
    pool: DecodePool, photos: Path, tmp_path: Path, store_folder: Path
) -> None:
    labelled = from_folder(photos)
    whole = ready(labelled, pool, tmp_path)
    wanted = [whole.encoded(i) for i in range(12)]
    flip(store_folder / "pictures.bin", 10)
    damaged = [i for i in range(12) if _is_damaged(whole, i)]
    assert len(damaged) == 1
    mended = ready(labelled, pool, tmp_path)
    assert mended.made == 1
    flip(store_folder / "records.bin", RECORD.itemsize + 3)
    again = ready(labelled, pool, tmp_path)
    assert again.made == 1
    assert [again.encoded(i) for i in range(12)] == wanted


def _is_damaged(prepared: Prepared, i: int) -> bool:
    try:
        prepared.encoded(i)
    except GalleryDamaged:
        return True
    return False


def test_a_damaged_picture_whose_file_is_gone_is_left_out(
    pool: DecodePool, photos: Path, tmp_path: Path, store_folder: Path
) -> None:
    whole = ready(from_folder(photos), pool, tmp_path)
    labelled = Labelled(whole.labelled.images, "gallery")
    flip(store_folder / "pictures.bin", 10)
    (bad,) = (i for i in range(12) if _is_damaged(whole, i))
    os.unlink(labelled.images[bad].path)
    prepared = ready(labelled, pool, tmp_path)
    assert [u.id for u in prepared.unreadable] == [bad]


def test_a_store_cut_anywhere_loses_only_what_was_cut(tmp_path: Path) -> None:
    def made(n: int) -> Picture:
        return Picture(bytes([n]) * 32, bytes([n]) * (5 + n), n - 3, np.full((12, 12, 3), n, np.uint8))

    def check(store: PictureStore, least: int) -> None:
        there = [n for n in range(8) if made(n).digest in store]
        assert len(there) >= least
        for n, row in zip(there, store.rows([made(n).digest for n in there]).tolist(), strict=True):
            rows = np.array([row])
            assert store.content(row) == made(n).content
            assert store.phashes(rows).tolist() == [n - 3]
            assert (store.thumbnails(rows) == n).all()

    source = PictureStore(tmp_path / "source")
    with source.writing() as writer:
        for n in range(4):
            writer.add(made(n))
    check(source, 4)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "source").glob("*.bin")}
    generator = np.random.default_rng(0)
    cuts = [(name, int(cut)) for name, size in sizes.items() for cut in generator.integers(0, size, 12)]
    for number, (name, cut) in enumerate([*cuts, ("records.bin", 0), ("pictures.bin", 0)]):
        folder = tmp_path / f"cut{number}"
        folder.mkdir()
        for path in (tmp_path / "source").glob("*.bin"):
            (folder / path.name).write_bytes(path.read_bytes()[: cut if path.name == name else None])
        store = PictureStore(folder)
        check(store, 0)
        with store.writing() as writer:
            for n in range(8):
                if made(n).digest not in store:
                    writer.add(made(n))
        check(store, 8)
        check(PictureStore(folder), 8)


def test_a_record_with_a_flipped_byte_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    picture = Picture(b"d" * 32, b"content", 7, np.zeros((12, 12, 3), np.uint8))
    with PictureStore(folder).writing() as writer:
        writer.add(picture)
    for offset in range(RECORD.itemsize):
        flip(folder / "records.bin", offset)
        assert not len(PictureStore(folder))
        flip(folder / "records.bin", offset)
    assert picture.digest in PictureStore(folder)


def test_a_picture_is_safe_before_its_record_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[tuple[str, int]] = []

    def synced(file) -> None:
        file.flush()
        sizes.append((Path(file.name).name, (tmp_path / "store" / "records.bin").stat().st_size))

    monkeypatch.setattr(picture_store, "_synced", synced)
    with PictureStore(tmp_path / "store").writing() as writer:
        writer.add(Picture(b"d" * 32, b"content", 7, np.zeros((12, 12, 3), np.uint8)))
    assert sizes == [("pictures.bin", 0), ("records.bin", RECORD.itemsize)]


def test_remembered_files_survive_torn_and_damaged_lines(tmp_path: Path) -> None:
    names = [b"plain", b"a\nb", b"caf\xe9", "🌵".encode(), b" x "]
    paths = [os.path.join(os.fsencode(tmp_path), name) for name in names]
    seen = FilesSeen(tmp_path / "files.txt")
    for n, path in enumerate(paths):
        Path(os.fsdecode(path)).write_bytes(b"x" * n)
        status = os.stat(path)
        seen.note(path, status.st_size, status.st_mtime_ns, bytes([n]) * 32)
    seen.save()
    assert [FilesSeen(tmp_path / "files.txt").digest_of(path) for path in paths] == [bytes([n]) * 32 for n in range(5)]
    content = (tmp_path / "files.txt").read_bytes()
    (tmp_path / "files.txt").write_bytes(content[:-9].replace(b"plain", b"plane"))
    again = FilesSeen(tmp_path / "files.txt")
    assert [again.digest_of(path) for path in paths] == [None, bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32, None]
    again.note(paths[4], 4, os.stat(paths[4]).st_mtime_ns, bytes(32))
    again.save()
    assert FilesSeen(tmp_path / "files.txt").digest_of(paths[4]) == bytes(32)
    Path(os.fsdecode(paths[1])).write_bytes(b"longer")
    assert again.digest_of(paths[1]) is None
    assert again.digest_of(b"/nowhere") is None


def test_a_full_disk_is_said_and_what_was_made_stays(
    pool: DecodePool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrieval.datasets import prepared as module

    monkeypatch.setattr(module, "_COMMIT_EVERY", 1)
    calls = iter(range(100))

    def synced(file) -> None:
        if next(calls) >= 8:
            raise OSError(28, "No space left on device")
        file.flush()
        os.fsync(file.fileno())

    monkeypatch.setattr(picture_store, "_synced", synced)
    labelled = from_folder(photos)
    with pytest.raises(DiskFull, match="cache"):
        ready(labelled, pool, tmp_path)
    monkeypatch.undo()
    assert errors.DiskFull.exit_code == 11
    resumed = ready(labelled, pool, tmp_path)
    assert 0 < resumed.made <= 8
    assert len(resumed) == 12


@pytest.mark.skipif(os.name != "posix", reason="uses POSIX signals")
def test_killed_in_the_middle_the_next_run_goes_on(
    pool: DecodePool, make_photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        make_photos(f"set/{name}", 90, start=0 if name == "a" else 90)
    program = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from retrieval.core.settings import Limits
        from retrieval.datasets.folder import from_folder
        from retrieval.datasets.prepared import prepare
        from retrieval.images.pool import DecodePool

        def progress(done, total):
            if done == 130:
                os.kill(os.getpid(), signal.SIGKILL)

        with DecodePool(2, Limits()) as pool:
            folder, cache = Path({str(tmp_path / "set")!r}), Path({str(tmp_path / "cache")!r})
            prepare(from_folder(folder), pool, cache, {SIDE}, workers=2, progress=progress)
        """
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False)
    assert ended.returncode == -signal.SIGKILL
    counted = Counted(pool)
    labelled = from_folder(tmp_path / "set")
    prepared = ready(labelled, counted, tmp_path)  # type: ignore[arg-type]
    assert 180 - 130 <= prepared.made <= 180 - 128
    fresh = prepare(labelled, pool, tmp_path / "fresh", SIDE, workers=2)
    assert [prepared.encoded(i) for i in range(180)] == [fresh.encoded(i) for i in range(180)]


def test_pictures_are_full_colour_jpegs(pool: DecodePool, photos: Path, tmp_path: Path) -> None:
    prepared = ready(from_folder(photos), pool, tmp_path)
    with Image.open(io.BytesIO(prepared.encoded(0))) as image:
        assert image.format == "JPEG"
        assert {(h, v) for _, h, v, _ in image.layer} == {(1, 1)}  # type: ignore[attr-defined]
