"""What a gallery says of itself: sound, damaged in every way we could think of, and mended."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from retrieval.core.errors import EmptyGallery, GalleryBusy, GalleryDamaged
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.searching import Searcher
from retrieval.workflows.spaces import rollback
from retrieval.workflows.status import status
from retrieval.workflows.switching import switch

from .support import DIMENSION, contents, counts, fill, flip, index

Damage = Callable[[Path], object]


def part(gallery: Path, pattern: str) -> Path:
    """The one file that fits the pattern."""
    (found,) = gallery.glob(pattern)
    return found


def answers(gallery: Path) -> dict[str, float]:
    """What a search gives, by path: comparable across galleries whose ids differ.

    Compare with `near`: an image that is embedded again shares its batch with fewer others.
    """
    said: list[str] = []
    with Gallery(gallery) as opened:
        space = opened.live_space()
        live = LiveIndex(opened, space, said.append)
        query = np.random.default_rng(3).standard_normal((1, space.dimension)).astype(np.float32)
        row = live.search(query, 100).row(0)
        records = opened.catalog.images.records([i for i, _ in row])
        return {path: score for i, score in row for path in records[i].paths}


def near(expected: dict[str, float]) -> object:
    """Equal to the same paths with the same scores, up to rounding."""
    return pytest.approx(expected, abs=1e-3)


def test_a_sound_gallery_is_described_and_agrees(six: tuple[Path, Path], tiny_model: Path) -> None:
    gallery, _ = six
    for check in (False, True):
        found = status(gallery, check=check)
        assert (found.images, found.files, found.failed, found.missing, found.offline_files) == (6, 6, 0, 0, 0)
        assert found.offline_roots == []
        assert found.agree
        assert found.problems == []
        assert found.checked == check
        assert found.gallery == str(gallery)
    (space,) = found.spaces
    assert (space.model, space.dimension, space.findable, space.live, space.trained) == (
        "tiny",
        DIMENSION,
        6,
        True,
        False,
    )
    assert len(space.fingerprint) == 64
    assert found.index is not None
    assert (found.index.kind, found.index.vectors, found.index.behind, found.index.recall) == ("faiss-flat", 6, 0, 1.0)
    assert found.index.reason
    on_disk = sum(p.stat().st_size for p in gallery.rglob("*") if p.is_file())
    assert found.bytes["total"] == sum(v for name, v in found.bytes.items() if name != "total")
    assert 0.99 * on_disk < found.bytes["total"] <= on_disk
    assert set(found.to_dict()) >= {"images", "files", "failed", "offline_roots", "spaces", "index", "bytes", "agree"}


def test_status_changes_nothing(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    before = contents(gallery)
    status(gallery)
    status(gallery, check=True)
    assert contents(gallery) == before


def test_the_numbers_follow_what_happens(gallery: Path, folder: Path) -> None:
    (folder / "bad.jpg").write_bytes(b"")
    index(gallery, folder)
    (folder / "red" / "0000.png").unlink()
    shutil.copy(folder / "blue" / "0003.png", folder / "copy.png")
    index(gallery, folder)
    found = status(gallery, check=True)
    assert (found.images, found.files, found.failed, found.missing) == (5, 8, 1, 1)
    # Forgotten images of the fixture leave rows in the store, not in the space.
    assert (found.spaces[0].vectors, found.spaces[0].findable) == (6, 5)
    assert found.agree


def test_a_gallery_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(EmptyGallery):
        status(tmp_path / "gallery")
    assert list(tmp_path.iterdir()) == []


LAST_ROW = -2 * DIMENSION
"""Offset of the newest vector in ``vectors.f16``; the oldest rows belong to forgotten images."""

VECTOR_DAMAGES: dict[str, tuple[Damage, int]] = {
    "flipped vector": (lambda g: flip(part(g, "spaces/*/vectors.f16"), LAST_ROW + 5), 1),
    "flipped id": (lambda g: flip(part(g, "spaces/*/rows.bin"), -16), 1),
    "flipped checksum": (lambda g: flip(part(g, "spaces/*/rows.bin"), -8), 1),
    "vectors cut inside a row": (lambda g: cut(part(g, "spaces/*/vectors.f16"), DIMENSION), 1),
    "vectors cut by two rows": (lambda g: cut(part(g, "spaces/*/vectors.f16"), 4 * DIMENSION), 2),
    "rows cut": (lambda g: cut(part(g, "spaces/*/rows.bin"), 20), 2),
    "vectors emptied": (lambda g: part(g, "spaces/*/vectors.f16").write_bytes(b""), 6),
    "rows deleted": (lambda g: part(g, "spaces/*/rows.bin").unlink(), 6),
    "store deleted": (lambda g: shutil.rmtree(g / "spaces"), 6),
}
"""What is done, and how many of the six vectors that costs."""

INDEX_DAMAGES: dict[str, tuple[Damage, str]] = {
    "flipped engine file": (lambda g: flip(max(g.glob("index/*/snapshot-*/*"), key=size), 30), "index: "),
    "flipped manifest": (lambda g: flip(part(g, "index/*/snapshot-*/manifest.json"), 40), "index: "),
    "cut manifest": (lambda g: cut(part(g, "index/*/snapshot-*/manifest.json"), 30), "index: "),
    "flipped CURRENT": (lambda g: flip(part(g, "index/*/CURRENT"), 15), "index: "),
    "empty CURRENT": (lambda g: part(g, "index/*/CURRENT").write_bytes(b""), "index: "),
    "snapshot deleted": (lambda g: shutil.rmtree(part(g, "index/*/snapshot-*")), "index: "),
}


def size(path: Path) -> int:
    return path.stat().st_size


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


@pytest.mark.parametrize("name", VECTOR_DAMAGES)
def test_damaged_vectors_are_named_and_embedded_again(six: tuple[Path, Path], name: str) -> None:
    gallery, photos = six
    before = answers(gallery)
    damage, lost = VECTOR_DAMAGES[name]
    damage(gallery)
    found = status(gallery, check=True)
    assert not found.agree
    assert any(line.startswith(f"vectors: {lost} ") for line in found.problems), found.problems
    # What is left can still be searched, and no answer is wrong.
    left = answers(gallery)
    assert left == near({path: before[path] for path in left})
    assert len(left) == 6 - lost
    mended = status(gallery, repair=True)
    assert any(line.startswith(f"vectors: {lost} ") for line in mended.repaired)
    assert mended.problems == []
    assert counts(index(gallery, photos)) == {"found": 6, "unchanged": 6, "embedded": lost}
    assert answers(gallery) == near(before)
    assert status(gallery, check=True).problems == []


@pytest.mark.parametrize("name", INDEX_DAMAGES)
def test_a_damaged_index_is_named_and_built_again_from_the_vectors(six: tuple[Path, Path], name: str) -> None:
    gallery, photos = six
    before = answers(gallery)
    damage, word = INDEX_DAMAGES[name]
    damage(gallery)
    found = status(gallery, check=True)
    assert not found.agree
    assert any(line.startswith(word) for line in found.problems), found.problems
    assert answers(gallery) == near(before)
    mended = status(gallery, repair=True)
    assert mended.repaired == ["index: built again from the stored vectors"]
    assert mended.problems == []
    assert counts(index(gallery, photos)) == {"found": 6, "unchanged": 6}
    assert answers(gallery) == near(before)


@pytest.mark.parametrize("gone", ["index", "index/*/CURRENT"])
def test_an_index_that_is_gone_is_no_damage_and_the_next_run_makes_it(six: tuple[Path, Path], gone: str) -> None:
    gallery, photos = six
    before = answers(gallery)
    path = part(gallery, gone)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = status(gallery, check=True)
    assert found.index is None
    assert found.agree
    assert answers(gallery) == near(before)
    index(gallery, photos)
    found = status(gallery, check=True)
    assert found.index is not None
    assert found.index.vectors == 6


def test_an_index_older_or_newer_than_the_catalog_is_told_apart(gallery: Path, folder: Path, tmp_path: Path) -> None:
    index(gallery, folder)
    old = tmp_path / "old catalog"
    shutil.copy(gallery / "catalog.sqlite3", old)
    fill(folder / "more", range(30, 33))
    index(gallery, folder)
    shutil.copytree(gallery / "index", tmp_path / "new index")
    shutil.copy(old, gallery / "catalog.sqlite3")
    found = status(gallery)
    assert any("has seen changes that the catalog does not know" in line for line in found.problems)
    assert status(gallery, repair=True).problems == []
    assert len(answers(gallery)) == 6


# --- two spaces -----------------------------------------------------------------------------------------------------


@pytest.fixture
def switched(six: tuple[Path, Path], other_model: Path) -> tuple[Path, Path, str]:
    """(gallery, photos, fingerprint of the space that was live before the gallery was switched)."""
    gallery, photos = six
    report = switch(gallery, str(other_model), workers=1)
    assert report.switched
    return gallery, photos, report.previous


def finds_itself(gallery: Path, photos: Path) -> int:
    """How many of the pictures are found as the nearest to themselves."""
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        best = {path: searcher.by_image(path.read_bytes(), 1).neighbours[0] for path in sorted(photos.rglob("*.png"))}
    return sum(hit.paths == (str(path),) and hit.score > 0.99 for path, hit in best.items())


OLD_INDEX_DAMAGES: dict[str, Callable[[Path, str], object]] = {
    "flipped engine file": lambda g, old: flip(max(g.glob(f"index/{old}/snapshot-*/*"), key=size), 30),
    "empty CURRENT": lambda g, old: part(g, f"index/{old}/CURRENT").write_bytes(b""),
}


@pytest.mark.parametrize("name", OLD_INDEX_DAMAGES)
def test_a_damaged_index_of_a_space_that_is_not_live_is_thrown_away(
    switched: tuple[Path, Path, str], name: str
) -> None:
    gallery, photos, old = switched
    now = answers(gallery)
    OLD_INDEX_DAMAGES[name](gallery, old[:16])
    (problem,) = status(gallery, check=True).problems
    assert re.fullmatch(rf"index: .* \(in the space {old[:16]}, tiny, which is not live\)", problem)
    mended = status(gallery, repair=True)
    (line,) = mended.repaired
    assert re.match(rf"index: thrown away \(in the space {old[:16]}", line)
    assert mended.problems == []
    # The live space was not touched, and keeps its index.
    assert mended.index is not None
    assert answers(gallery) == now
    assert rollback(gallery).lacking == 0
    assert finds_itself(gallery, photos) == 6
    assert counts(index(gallery, photos)) == {"found": 6, "unchanged": 6}
    found = status(gallery, check=True)
    assert found.agree
    assert found.index is not None
    assert found.index.vectors == 6


@pytest.mark.parametrize("back", ["rollback", "switch"])
@pytest.mark.parametrize(("name", "lost"), [("flipped vector", 1), ("vectors cut by two rows", 2)])
def test_damaged_vectors_of_a_space_that_is_not_live_are_given_up_and_made_anew_when_it_is(
    switched: tuple[Path, Path, str], name: str, lost: int, back: str
) -> None:
    gallery, photos, old = switched
    vectors = part(gallery, f"spaces/{old[:16]}/vectors.f16")
    flip(vectors, LAST_ROW + 5) if name == "flipped vector" else cut(vectors, 4 * DIMENSION)
    assert not status(gallery, check=True).agree
    mended = status(gallery, repair=True)
    assert mended.problems == []
    (given_up, thrown_away) = mended.repaired
    assert re.match(rf"vectors: {lost} given up .*`retrieval switch {old[:16]}`", given_up)
    assert old[:16] in thrown_away
    assert status(gallery, check=True).agree
    assert finds_itself(gallery, photos) == 6
    # As the line that was printed says.
    if back == "switch":
        report = switch(gallery, old[:16], workers=1)
        assert (report.switched, report.embedded) == (True, lost)
    else:
        assert rollback(gallery).lacking == lost
        assert len(answers(gallery)) == 6 - lost
        assert counts(index(gallery, photos)) == {"found": 6, "unchanged": 6, "embedded": lost}
    assert finds_itself(gallery, photos) == 6
    assert status(gallery, check=True).agree


def test_one_repair_mends_all_spaces(switched: tuple[Path, Path, str]) -> None:
    gallery, photos, _ = switched
    for snapshot in gallery.glob("index/*/snapshot-*"):
        flip(max(snapshot.iterdir(), key=size), 30)
    assert len(status(gallery, check=True).problems) == 2
    mended = status(gallery, repair=True)
    assert mended.agree
    assert sorted(line.split()[1] for line in mended.repaired) == ["built", "thrown"]
    assert finds_itself(gallery, photos) == 6
    rollback(gallery)
    assert finds_itself(gallery, photos) == 6


MODEL_DAMAGES: dict[str, Damage] = {
    "flipped weights": lambda g: flip(part(g, "models/*/model.safetensors"), -1000),
    "cut weights": lambda g: cut(part(g, "models/*/model.safetensors"), 10),
    "flipped card": lambda g: flip(part(g, "models/*/card.json"), 100),
    "weights deleted": lambda g: part(g, "models/*/model.safetensors").unlink(),
    "models deleted": lambda g: shutil.rmtree(g / "models"),
}


@pytest.mark.parametrize("name", MODEL_DAMAGES)
def test_a_damaged_encoder_is_named_and_replaced_by_the_original(
    six: tuple[Path, Path], name: str, tiny_model: Path
) -> None:
    gallery, photos = six
    MODEL_DAMAGES[name](gallery)
    found = status(gallery, check=True)
    assert any(line.startswith("model: ") for line in found.problems), found.problems
    assert len(found.problems) == 1
    # It cannot be made up from what is there: repairing says so and leaves the problem.
    assert not status(gallery, repair=True).agree
    assert counts(index(gallery, photos, model=str(tiny_model))) == {"found": 6, "unchanged": 6}
    assert status(gallery, check=True).agree


def is_noticed(gallery: Path) -> bool:
    """Whether the damage is named, or stops everything with an error that says what to do."""
    try:
        return not status(gallery, check=True).agree
    except GalleryDamaged as error:
        return bool(error.hint)


def test_damaged_pages_of_the_catalog_are_detected(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    catalog = gallery / "catalog.sqlite3"
    whole = catalog.read_bytes()
    random = np.random.default_rng(5)
    for offset in [0, 20, 100, *random.integers(100, len(whole), 40).tolist()]:
        flip(catalog, offset, bit=int(random.integers(8)))
        try:
            assert is_noticed(gallery), f"a flipped bit at {offset} was not noticed"
        finally:
            for path in gallery.glob("catalog.sqlite3-*"):
                path.unlink()
            catalog.write_bytes(whole)
    assert status(gallery, check=True).agree


def test_repairing_does_not_claim_what_it_cannot_mend(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    # A flipped letter in a value that no index holds: sound for SQLite, and not what was written.
    catalog = gallery / "catalog.sqlite3"
    flip(catalog, catalog.read_bytes().index(b"PNG") + 1)
    assert any("checksum" in line for line in status(gallery, check=True).problems)
    mended = status(gallery, repair=True)
    assert not mended.agree
    assert any("checksum" in line for line in mended.problems)
    assert not any(line.startswith("catalog") for line in mended.repaired)
    assert not status(gallery, check=True).agree


def test_an_index_inside_the_catalog_is_repaired(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    before = answers(gallery)
    catalog = gallery / "catalog.sqlite3"
    with sqlite3.connect(catalog) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        roots = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'images' AND sql IS NOT NULL "
            "OR name = 'sqlite_autoindex_images_1'"
        ).fetchall()
    connection.close()
    digest = Gallery(gallery)
    record = digest.catalog.images.records(range(1, 100))
    digest.close()
    wanted = bytes.fromhex(next(iter(record.values())).digest)
    content = catalog.read_bytes()
    for (page,) in roots:
        at = content.find(wanted, (page - 1) * page_size, page * page_size)
        if at >= 0:
            flip(catalog, at + 3)
            break
    else:
        pytest.fail("the digest was not found in an index of the catalog")
    assert not status(gallery, check=True).agree
    mended = status(gallery, repair=True)
    assert any(line.startswith("catalog: ") for line in mended.repaired)
    assert mended.agree
    assert status(gallery, check=True).agree
    assert answers(gallery) == near(before)


def test_repairing_a_sound_gallery_changes_nothing(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    before = contents(gallery)
    found = status(gallery, repair=True)
    assert found.agree
    assert found.repaired == []
    assert contents(gallery) == before


@pytest.mark.usefixtures("impatient")
def test_repairing_waits_for_nobody(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    flip(part(gallery, "spaces/*/vectors.f16"), LAST_ROW)
    with Gallery(gallery) as opened, opened.layout.writing():
        assert not status(gallery, check=True).agree
        with pytest.raises(GalleryBusy):
            status(gallery, repair=True)


def test_a_damaged_seal_is_named_and_written_again(six: tuple[Path, Path]) -> None:
    gallery, _ = six
    part(gallery, "catalog.sqlite3.seal").write_bytes(b"no seal")
    assert any("seal" in line for line in status(gallery, check=True).problems)
    mended = status(gallery, repair=True)
    assert mended.repaired == ["catalog: its checksum was written again"]
    assert mended.agree
    assert status(gallery, check=True).agree
