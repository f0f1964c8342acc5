"""Searches by several pictures, parts of them and judgements; pages; against rankings computed from the vectors."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval.catalog.judgements import Judgement
from retrieval.core.errors import BadValue, EmptyGallery, ImageError, NoSuchPath
from retrieval.core.types import Filters, Region
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.judging import judge, judged_pairs, undo_judging, unjudge
from retrieval.workflows.queries import Example, Query, digest_of
from retrieval.workflows.searching import Searcher

from .support import PLATT, copy_gallery, fill, index, picture


def as_png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def textured() -> Image.Image:
    """Without even areas, as photos are: its hash says something."""
    pixels = np.random.default_rng(3).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(pixels).resize((480, 360), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def herd(tmp_path_factory: pytest.TempPathFactory, _blank_once: Path) -> Path:
    """A gallery of thirty different pictures, and of one of them four copies that were saved again."""
    base = tmp_path_factory.mktemp("herd")
    fill(base / "photos" / "all", range(30))
    for n, quality in enumerate((95, 85, 75, 65)):
        (base / "photos" / "copies").mkdir(exist_ok=True)
        textured().save(base / "photos" / "copies" / f"{n}.jpg", quality=quality)
    copy_gallery(_blank_once, base / "gallery")
    index(base / "gallery", base / "photos")
    return base / "gallery"


@pytest.fixture(scope="module")
def searcher(herd: Path) -> Iterator[Searcher]:
    with Gallery(herd) as opened, Searcher(opened) as searcher:
        yield searcher


def vectors_of(searcher: Searcher) -> dict[int, np.ndarray]:
    ids, _ = searcher.gallery.catalog.spaces.findable(searcher.space.id)
    stored = searcher.gallery.store(searcher.space).read(ids).astype(np.float64)
    return dict(zip(ids.tolist(), stored / np.linalg.norm(stored, axis=1, keepdims=True), strict=True))


def ids_of(result) -> list[int]:  # type: ignore[no-untyped-def]
    return [n.id for n in result.neighbours]


def expected(vectors: dict[int, np.ndarray], direction: np.ndarray, out: set[int]) -> dict[int, float]:
    unit = direction / np.linalg.norm(direction)
    return {i: float(v @ unit) for i, v in vectors.items() if i not in out}


def test_one_picture_finds_what_searching_by_it_finds(searcher: Searcher) -> None:
    one = searcher.samples(3)[1]
    plain = searcher.by_id(one, 50)
    found = searcher.find(Query((Example(one),)), 50, together=False)
    assert ids_of(found) == ids_of(plain)
    assert [n.score for n in found.neighbours] == pytest.approx([n.score for n in plain.neighbours], abs=1e-3)
    assert found.searched == plain.searched == 33
    data = as_png(picture(500))
    assert ids_of(searcher.find(Query((Example(data=data),)), 9, together=False)) == ids_of(searcher.by_image(data, 9))


def test_several_examples_are_ranked_by_the_formula(searcher: Searcher) -> None:
    vectors = vectors_of(searcher)
    a, b, c = list(vectors)[2:5]
    found = searcher.find(Query((Example(a), Example(b)), (Example(c),)), 50, together=False)
    truth = expected(vectors, 0.75 * (vectors[a] + vectors[b]) / 2 - 0.15 * vectors[c], {a, b, c})
    assert {n.id: n.score for n in found.neighbours} == pytest.approx(truth, abs=1e-3)
    assert [n.score for n in found.neighbours] == sorted((n.score for n in found.neighbours), reverse=True)
    assert found.searched == 31


def test_an_upload_and_an_indexed_picture_go_together(searcher: Searcher, tmp_path: Path) -> None:
    vectors = vectors_of(searcher)
    a, b = list(vectors)[:2]
    path = searcher.record(b).paths[0]
    mixed = searcher.find(Query((Example(a), Example(data=Path(path).read_bytes()))), 50, together=False)
    truth = expected(vectors, vectors[a] + vectors[b], {a})
    assert {n.id: n.score for n in mixed.neighbours} == pytest.approx(truth, abs=5e-3)


def test_judgements_rank_by_the_model_they_teach(searcher: Searcher) -> None:
    vectors = vectors_of(searcher)
    query, good, bad = (list(vectors)[n] for n in (0, 5, 9))
    found = searcher.find(Query((Example(query),), judged=((good, True), (bad, False))), 50, together=False)
    q, seen = vectors[query], np.stack([vectors[good], vectors[bad]])
    weights = q + seen.T @ np.linalg.inv(seen @ seen.T + np.eye(2)) @ (np.array([1.0, 0.0]) - seen @ q)
    truth = expected(vectors, weights, {query})
    assert {n.id: n.score for n in found.neighbours} == pytest.approx(truth, abs=2e-3)
    before = ids_of(searcher.find(Query((Example(query),)), 50, together=False))
    after = ids_of(found)
    assert after.index(good) <= before.index(good)
    assert after.index(bad) >= before.index(bad)
    gone = searcher.find(Query((Example(query),), judged=((10**9, True),)), 50, together=False)
    assert ids_of(gone) == before


def test_only_one_picture_without_judgements_is_calibrated(herd: Path, tmp_path: Path) -> None:
    with Gallery(copy_gallery(herd, tmp_path / "gallery")) as opened, Searcher(opened) as searcher:
        opened.catalog.calibrations.add(searcher.space.id, {**PLATT, "threshold": 1.01})
        a, b = searcher.samples(2)
        one = searcher.find(Query((Example(a),)), 3)
        assert one.nothing_like_this is True
        assert all(n.probability is not None for n in one.neighbours)
        for query in (Query((Example(a), Example(b))), Query((Example(a),), judged=((b, True),))):
            found = searcher.find(query, 3)
            assert found.nothing_like_this is None
            assert all(n.probability is None for n in found.neighbours)


def test_a_part_is_what_is_searched_with(searcher: Searcher, herd: Path) -> None:
    one = searcher.samples(5)[2]
    part = Region(0.25, 0.25, 0.75, 0.75)
    whole = searcher.find(Query((Example(one, region=Region(0, 0, 1, 1)),)), 5)
    assert one not in ids_of(whole)
    data = Path(searcher.record(one).paths[0]).read_bytes()
    by_id = searcher.find(Query((Example(one, region=part),)), 8)
    uploaded = searcher.find(Query((Example(data=data, region=part),)), 9)
    assert [i for i in ids_of(uploaded) if i != one][:8] == ids_of(by_id)
    assert (uploaded.width, uploaded.height) == (48, 36)
    assert [n.score for n in by_id.neighbours] != [n.score for n in whole.neighbours][:8]


def test_copies_stand_below_the_first_and_pages_cover_all_once(searcher: Searcher) -> None:
    names = {i: Path(searcher.record(i).paths[0]) for i in vectors_of(searcher)}
    query = Query((Example(data=as_png(textured())),))
    first = searcher.find(query, 50).neighbours[0]
    family = {names[n.id].parent.name for n in (first, *first.copies)}
    assert family == {"copies"}
    assert len(first.copies) == 3
    assert {n.rank for n in first.copies} == {1}
    seen: list[int] = []
    for start in range(0, 60, 4):
        page = searcher.find(query, 4, start=start)
        assert [n.rank for n in page.neighbours] == list(range(start + 1, start + 1 + len(page.neighbours)))
        assert page == page
        seen += [one.id for n in page.neighbours for one in (n, *n.copies)]
        if not page.more:
            break
    assert sorted(seen) == sorted(names)
    alone = searcher.find(query, 50, together=False)
    assert len(alone.neighbours) == 34
    assert all(n.copies == () for n in alone.neighbours)


def test_filters_and_scores_hold(searcher: Searcher) -> None:
    one = searcher.samples(1)[0]
    found = searcher.find(Query((Example(one),)), 50, Filters(labels=("copies",)), together=False)
    assert {n.labels for n in found.neighbours} == {("copies",)}
    assert found.searched == 4
    large = searcher.find(Query((Example(one),)), 50, Filters(min_side=100), together=False)
    assert {n.id for n in large.neighbours} == {n.id for n in found.neighbours}
    best = searcher.find(Query((Example(one),)), 1).neighbours[0].score
    assert searcher.find(Query((Example(one),)), 50, Filters(min_score=min(1.0, best + 1e-4))).neighbours == ()


def test_what_cannot_be_searched_with_is_said(searcher: Searcher, gallery: Path) -> None:
    with pytest.raises(BadValue, match="picture"):
        Query(())
    with pytest.raises(BadValue, match="examples"):
        Query(tuple(Example(n) for n in range(1, 22)))
    with pytest.raises(ValueError, match="upload"):
        Example()
    with pytest.raises(NoSuchPath, match="no image"):
        searcher.find(Query((Example(10**9),)))
    with pytest.raises(ImageError):
        searcher.find(Query((Example(data=b"text"),)))
    with pytest.raises(BadValue, match="up to rank"):
        searcher.find(Query((Example(1),)), 10, start=10_000)
    with Gallery(gallery) as opened, Searcher(opened) as empty:
        with pytest.raises(EmptyGallery):
            empty.find(Query((Example(data=as_png(picture(1))),)))
        assert empty.browse(0, 10).total == 0


def test_an_example_whose_files_are_missing_is_said(gallery: Path, folder: Path) -> None:
    index(gallery, folder)
    with Gallery(gallery) as opened, Searcher(opened) as searcher:
        gone = searcher.by_image((folder / "red" / "0000.png").read_bytes(), 1).neighbours[0].id
        (folder / "red" / "0000.png").unlink()
        with pytest.raises(NoSuchPath, match="reached"):
            searcher.find(Query((Example(gone, region=Region(0, 0, 0.5, 0.5)),)))
        index(gallery, folder)
        with pytest.raises(NoSuchPath, match="no image"):
            searcher.find(Query((Example(gone),)))


def test_the_gallery_is_browsed_in_pages(searcher: Searcher) -> None:
    pages = [searcher.browse(start, 10) for start in range(0, 40, 10)]
    assert [len(page.ids) for page in pages] == [10, 10, 10, 4]
    assert {page.total for page in pages} == {34}
    shown = [i for page in pages for i in page.ids]
    assert shown == sorted(vectors_of(searcher), reverse=True)


def test_judgements_become_pairs_to_learn_from(six: tuple[Path, Path], tmp_path: Path) -> None:
    gallery, photos = six
    contents = [path.read_bytes() for path in sorted(photos.rglob("*.png"))]
    query, image, other = (digest_of(data) for data in contents[:3])
    first = judge(gallery, Judgement(query, image, True, judge="anna"))
    assert judge(gallery, Judgement(query, image, True)) is None
    judge(gallery, Judgement(query, other, False, Region(0, 0, 0.5, 0.5)))
    judge(gallery, Judgement(digest_of(b"an upload"), image, True))
    with Gallery(gallery) as opened:
        found = judged_pairs(opened)
        ids = opened.catalog.images.by_digests([query, image, other])
        assert [(p.query_id, p.image_id, p.relevant) for p in found.pairs] == [
            (ids[query], ids[image], True),
            (ids[query], ids[other], False),
        ]
        assert [p.region for p in found.pairs] == [None, Region(0, 0, 0.5, 0.5)]
        assert found.elsewhere == 1
    assert undo_judging(gallery, first or 0) is not None
    assert unjudge(gallery, Judgement(query, other, True, Region(0, 0, 0.5, 0.5))) is not None
    with Gallery(gallery) as opened:
        assert judged_pairs(opened).pairs == ()
        assert opened.catalog.check() == []


def test_a_kept_upload_is_searched_with_again_exactly(herd: Path, tmp_path: Path) -> None:
    with Gallery(copy_gallery(herd, tmp_path / "gallery")) as opened, Searcher(opened) as searcher:
        data = as_png(textured())
        before = searcher.find(Query((Example(data=data),)), 12)
        key = searcher.remember(data)
        assert key == digest_of(data).hex()
        again = searcher.find(Query((Example(kept=key),)), 12)
        assert ids_of(again) == ids_of(before)
        assert [n.score for n in again.neighbours] == pytest.approx([n.score for n in before.neighbours], abs=2e-3)
        part = Region(0, 0, 0.6, 0.6)
        close = searcher.find(Query((Example(kept=key, region=part),)), 1).neighbours[0]
        exact = searcher.find(Query((Example(data=data, region=part),)), 1).neighbours[0]
        assert close.score == pytest.approx(exact.score, abs=0.02)
        searcher.history.clear()
        with pytest.raises(NoSuchPath, match="not kept"):
            searcher.find(Query((Example(kept=key),)))
        with pytest.raises(ImageError):
            searcher.remember(b"no picture")
        assert opened.catalog.check() == []
