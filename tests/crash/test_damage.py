"""Flipped bits and cut files: noticed in every file of a gallery, never answered wrongly, repaired where possible.

Of every file forty bits are flipped, spread over it at random, and eight lengths are tried. A check of everything must
report each, or refuse with a clear error. Until then a search gives the right neighbours, or fewer of them and says
so, or refuses; what it cannot notice on the way is a changed label or path in the catalog. A repair and an index run
bring back the index (always), vectors (their images are embedded again), the encoder (when it is given again) and
SQLite's own indexes; of anything else in the catalog the repair says that only a backup helps, and leaves the evidence.
"""

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from retrieval.core.errors import GalleryDamaged, GalleryTooNew, ModelDamaged, ModelUnsafe, RetrievalError
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.searching import Searcher
from retrieval.workflows.status import status
from tests.crash.support import assert_brought_back, ids_by_digest, read_truth, search_by_digest

pytestmark = pytest.mark.slow

FLIPS = 40
LENGTHS = 8
REPAIRED_FLIPS = 4
REPAIRED_LENGTHS = 2

FILES = {
    "catalog": "catalog.sqlite3",
    "seal": "catalog.sqlite3.seal",
    "vectors": "spaces/*/vectors.f16",
    "rows": "spaces/*/rows.bin",
    "current": "index/*/CURRENT",
    "manifest": "index/*/snapshot-*/manifest.json",
    "engine": "index/*/snapshot-*/engine.json",
    "ids": "index/*/snapshot-*/ids.npy",
    "weights": "models/*/model.safetensors",
    "card": "models/*/card.json",
}

LISTS = "index/*/snapshot-*/lists.faiss"
"""Only a large gallery has it; see ``test_large_index``."""


# ------------------------------------------------------------------------------------------------------- damaging


def the_file(gallery, name):
    (path,) = gallery.glob(FILES.get(name, LISTS))
    return path


def flips(path, count, seed):
    """(byte, bit), spread evenly over a file, at random within each part of it."""
    generator, size = random.Random(f"{path.name} {seed}"), path.stat().st_size
    for n in range(count):
        yield generator.randrange(n * size // count, max((n + 1) * size // count, n * size // count + 1)), n % 8


def lengths(path, count, seed):
    """Nothing, all but a byte, and random lengths between."""
    generator, size = random.Random(f"{path.name} {seed}"), path.stat().st_size
    return [0, size - 1, *(generator.randrange(1, size) for _ in range(count - 2))][:count]


def flip(path, byte, bit):
    with open(path, "r+b") as file:
        file.seek(byte)
        (before,) = file.read(1)
        file.seek(byte)
        file.write(bytes([before ^ (1 << bit)]))


def damaged_copies(original, scratch, name, flip_count, length_count, only=""):
    """(what was done, gallery): a copy for each flip and each length; ``only`` a part of it is copied."""
    path = the_file(original, name)
    damages = [(f"{name}: bit {bit} of byte {byte}", (byte, bit)) for byte, bit in flips(path, flip_count, 1)]
    damages += [(f"{name}: cut to {length}", length) for length in lengths(path, length_count, 2)]
    for what, damage in damages:
        gallery = scratch / "gallery"
        shutil.rmtree(gallery, ignore_errors=True)
        shutil.copytree(original / only, gallery / only)
        victim = the_file(gallery, name)
        if isinstance(damage, int):
            with open(victim, "r+b") as file:
                file.truncate(damage)
        else:
            flip(victim, *damage)
        yield what, gallery


# -------------------------------------------------------------------------------------------------------- detected


def looked_at(gallery, **how):
    """What ``status`` complains of, be it in its report or by refusing with a clear error."""
    try:
        found = status(gallery, **how)
    except (GalleryDamaged, GalleryTooNew, ModelDamaged) as error:
        return [str(error)] if error.message and error.hint else []
    return found.problems


@pytest.mark.parametrize("name", FILES)
def test_a_check_notices(name, finished, tmp_path):
    unnoticed = []
    for what, gallery in damaged_copies(finished, tmp_path, name, FLIPS, LENGTHS):
        try:
            if not looked_at(gallery, check=True):
                unnoticed.append(what)
        except Exception as error:
            unnoticed.append(f"{what}: {type(error).__name__}: {error}")
    assert unnoticed == []


@pytest.mark.parametrize("name", FILES)
def test_a_quick_look_does_not_crash(name, finished, tmp_path):
    for _, gallery in damaged_copies(finished, tmp_path, name, 10, LENGTHS):
        looked_at(gallery)


@pytest.mark.parametrize("name", [name for name in FILES if name != "catalog"])
def test_search_is_right_or_says_so(name, finished, tmp_path):
    names = ids_by_digest(finished)
    digests = sorted(read_truth(finished).findable)[::25]
    everything = {d: dict(row) for d, row in search_by_digest(finished, digests, k=10**6).items()}
    expected = search_by_digest(finished, digests)
    for what, gallery in damaged_copies(finished, tmp_path, name, FLIPS // 2, LENGTHS):
        said = []
        for digest in digests:
            with suppress(RetrievalError):
                row = search_by_digest(gallery, [digest], say=said.append, names=names)[digest]
                if said:
                    assert all(everything[digest][other] == score for other, score in row), what
                else:
                    assert row == expected[digest], what


def test_search_in_a_damaged_catalog_does_not_crash(finished, tmp_path):
    names = ids_by_digest(finished)
    digests = sorted(names)[::25]
    crashed = []
    for what, gallery in damaged_copies(finished, tmp_path, "catalog", FLIPS, LENGTHS):
        try:
            with suppress(RetrievalError), Gallery(gallery) as opened, Searcher(opened) as searcher:
                searcher.summary()
                searcher.labels()
                for digest in digests:
                    searcher.by_id(names[digest])
        except Exception as error:
            crashed.append(f"{what}: {type(error).__name__}: {error}")
    assert crashed == []


@pytest.mark.parametrize("name", ["weights", "card"])
def test_a_damaged_encoder_embeds_nothing(name, finished, small, tmp_path):
    photo = next(small.photos.rglob("*.jpg")).read_bytes()
    for _, gallery in damaged_copies(finished, tmp_path, name, 3, 3):
        with Gallery(gallery) as opened, Searcher(opened) as searcher, pytest.raises((ModelDamaged, ModelUnsafe)):
            searcher.by_image(photo)


# -------------------------------------------------------------------------------------------------------- repaired


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("catalog", "seal")])
def test_a_repair_and_a_run_bring_all_back(name, index, finished, small, tmp_path):
    for _, gallery in damaged_copies(finished, tmp_path, name, REPAIRED_FLIPS, REPAIRED_LENGTHS):
        status(gallery, repair=True)
        index(gallery, small.photos)
        assert_brought_back(gallery, finished)


def test_a_damaged_seal_is_made_again(finished, tmp_path):
    """Where SQLite finds nothing wrong, a seal that is itself damaged says nothing against the catalog."""
    for what, gallery in damaged_copies(finished, tmp_path, "seal", REPAIRED_FLIPS, LENGTHS):
        found = status(gallery, repair=True)
        assert found.repaired, what
        assert_brought_back(gallery, finished)
        assert the_file(gallery, "seal").read_bytes() == the_file(finished, "seal").read_bytes()


def test_a_damaged_catalog_is_mended_wholly_or_refused(finished, tmp_path):
    """Mended where the damage is in SQLite's own indexes; else the repair names the backup and changes nothing."""
    refused = mended = 0
    for what, gallery in damaged_copies(finished, tmp_path, "catalog", 2 * FLIPS, LENGTHS):
        problems = looked_at(gallery, repair=True)
        if problems:
            refused += 1
            assert any("retrieval restore" in problem or "newer version" in problem for problem in problems), what
            assert looked_at(gallery, check=True), f"{what}: the repair hid it"
        else:
            mended += 1
            assert_brought_back(gallery, finished)
    assert refused >= FLIPS // 2
    assert mended >= 3


def test_an_index_run_never_seals_damage(launcher, finished, small_model, small, tmp_path):
    """Damage would pass for a later change once the catalog is written to: a run refuses to, and nothing is hidden."""
    photos = Path(shutil.copytree(small.photos, tmp_path / "photos"))
    for what, gallery in damaged_copies(finished, tmp_path, "catalog", FLIPS // 2, 3):
        ended = launcher.run("index", gallery=gallery, photos=photos, model=small_model)
        assert ended.code in (GalleryDamaged.exit_code, GalleryTooNew.exit_code), (what, ended.words)
        assert looked_at(gallery, check=True), f"{what}: the run hid it"
