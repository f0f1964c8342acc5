"""A gallery of sixty thousand vectors, where the index is approximate: its FAISS file is damaged in every way.

The vectors are synthetic; they enter through the catalog and the vector store as an index run's do. Nobody could embed
them again, so this gallery also shows what is left of a search when vectors are given up.
"""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from retrieval import index as engines
from retrieval.catalog import Indexed
from retrieval.core.types import ImageFacts
from retrieval.models.folder import read_card
from retrieval.workflows.gallery import Gallery
from retrieval.workflows.live_index import LiveIndex
from retrieval.workflows.status import status
from tests.crash.support import DIMENSION, LABELS
from tests.crash.test_damage import damaged_copies, flip, the_file
from tests.index.support import clustered

pytestmark = pytest.mark.slow

COUNT = 60_000
PART = 5_000


@pytest.fixture(scope="session")
def large(small_model, tmp_path_factory):
    """(gallery, vectors); image n has id n + 1."""
    base = tmp_path_factory.mktemp("large")
    vectors = clustered(COUNT, DIMENSION, seed=5)
    with Gallery(base / "gallery", create=True) as gallery:
        card = read_card(small_model)
        shutil.copytree(small_model, gallery.layout.model(card.fingerprint))
        space = gallery.catalog.spaces.create(
            card.fingerprint, card.name, DIMENSION, np.zeros((4, DIMENSION), np.float32)
        )
        (base / "photos").mkdir()
        root = gallery.catalog.roots.ensure(os.fsencode(base / "photos"), whole=True)
        operation, store = gallery.catalog.ingest.start(), gallery.store(space)
        for start in range(0, COUNT, PART):
            batch = [_indexed(root.id, n, vectors[n]) for n in range(start, start + PART)]
            gallery.catalog.ingest.commit(space.id, batch, store.append, operation)
            store.refresh(start + PART)
        LiveIndex(gallery, space).publish()
        gallery.catalog.seal()
    return base / "gallery", vectors.astype(np.float16).astype(np.float32)


def _indexed(root_id, n, vector):
    digest = hashlib.sha256(b"%d" % n).digest()
    facts = ImageFacts(digest, 1000, 40, 32, "JPEG", None, n)
    return Indexed(root_id, f"{LABELS[n % 8]}/{n}.jpg".encode(), 1000, n + 1, digest, facts, vector)


def answers(gallery, queries, k=10):
    """Matches, and what was said."""
    said = []
    with Gallery(gallery) as opened:
        index = LiveIndex(opened, opened.live_space(), said.append)
        return index.search(queries, k), index.kind, said


def test_the_gallery_is_what_it_should_be(large):
    gallery, vectors = large
    found = status(gallery, check=True)
    assert found.agree, found.problems
    assert found.index.kind == "faiss-ivf-sq8"
    assert found.index.vectors == COUNT
    matches, _, said = answers(gallery, vectors[:50])
    assert said == []
    assert (matches.ids[:, 0] == np.arange(1, 51)).all()


@pytest.mark.parametrize("name", ["lists", "engine", "manifest", "current"])
def test_every_damage_of_the_index_is_noticed(name, large, tmp_path):
    gallery, _ = large
    with Gallery(gallery) as opened:
        space, store = opened.live_space(), opened.store(opened.live_space())
        folder = opened.layout.index(space)
        for what, copy in damaged_copies(gallery, tmp_path, name, 40, 8, only="index"):
            try:
                engines.load(
                    copy / folder.relative_to(gallery), store, fingerprint=space.fingerprint, dimension=DIMENSION
                )
            except engines.SnapshotDamaged:
                continue
            pytest.fail(f"{what} was not noticed")


def test_a_damaged_index_is_built_again(large, tmp_path):
    gallery, vectors = large
    before, _, _ = answers(gallery, vectors[:50])
    for what, copy in damaged_copies(gallery, tmp_path, "lists", 1, 0):
        assert not status(copy, check=True).agree, what
        matches, kind, said = answers(copy, vectors[:50])
        assert kind == "faiss-ivf-sq8"
        assert said
        assert_as_good(matches, before)
        found = status(copy, repair=True)
        assert found.agree, found.problems
        matches, _, said = answers(copy, vectors[:50])
        assert said == []
        assert_as_good(matches, before)


def test_damaged_vectors_are_left_out_of_an_approximate_search(large, tmp_path):
    gallery, vectors = large
    copy = Path(shutil.copytree(gallery, tmp_path / "gallery"))
    flip(the_file(copy, "vectors"), 2 * DIMENSION * 7 + 5, 3)
    flip(the_file(copy, "rows"), 16 * 11 + 1, 6)
    matches, _, said = answers(copy, vectors[:50])
    assert said
    assert not np.isin(matches.ids, [8, 12]).any()
    assert status(copy, repair=True).agree
    matches, _, said = answers(copy, vectors[:50])
    assert said == []
    assert not np.isin(matches.ids, [8, 12]).any()
    assert (np.delete(matches.ids[:, 0], [7, 11]) == np.delete(np.arange(1, 51), [7, 11])).all()


def assert_as_good(matches, before):
    """The scores that both found are the same; an index that was built anew may see one neighbour more or less."""
    np.testing.assert_allclose(matches.scores[:, 0], before.scores[:, 0], atol=1e-6)
    shared = sum(len(set(a) & set(b)) for a, b in zip(matches.ids.tolist(), before.ids.tolist(), strict=True))
    assert shared >= 0.97 * matches.ids.size
