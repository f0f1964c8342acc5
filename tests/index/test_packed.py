"""Vectors that come after a removal are encoded as if nothing had been removed."""

import numpy as np
import pytest

from retrieval.index import FaissIndex, build
from retrieval.index.library import faiss

from .support import BigSource, clustered

D = 32
COUNT = 4000


def codes(structure):
    """{id: its code}, as FAISS itself unpacks them."""
    packer, lists, found = structure.get_CodePacker(), structure.invlists, {}
    for number in range(structure.nlist):
        size = lists.list_size(number)
        if not size:
            continue
        ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
        blocks = -(-size // packer.nvec)
        data = faiss.rev_swig_ptr(lists.get_codes(number), blocks * packer.block_size).reshape(blocks, -1)
        found.update({int(ids[place]): bytes(packer.unpack_1(data, place)) for place in range(size)})
    return found


@pytest.fixture
def index():
    source = BigSource(clustered(COUNT, D))
    return build(np.arange(COUNT), source, kind="faiss-ivf-pq")


@pytest.mark.parametrize("saved", ["stays", "saved", "saved by an older version"])
@pytest.mark.parametrize("share", [0.001, 0.2, 0.9, 1.0])
def test_what_comes_back_after_a_removal_has_the_code_it_had(index, share, saved, tmp_path, monkeypatch):
    before = codes(index._structure)
    assert len(before) == COUNT
    gone = np.random.default_rng(0).permutation(COUNT)[: int(share * COUNT)]
    if saved == "saved by an older version":
        monkeypatch.setattr(FaissIndex, "_clear_unused", lambda _: None)
    index.remove(gone)
    assert codes(index._structure) == {id: code for id, code in before.items() if id not in set(gone.tolist())}
    monkeypatch.undo()
    if saved != "stays":
        index.save(tmp_path / "saved")
        index = FaissIndex.load(tmp_path / "saved", index._source)
    index.add(gone, index._source.read(gone))
    assert codes(index._structure) == before


def test_replaced_vectors_have_the_codes_of_the_new_ones(index):
    other = BigSource(clustered(COUNT, D, seed=1))
    index.add(np.arange(COUNT), other.read(np.arange(COUNT)))
    fresh = FaissIndex(other, index.parameters, faiss.clone_index(index._structure))
    fresh._structure.reset()
    fresh._structure.add_with_ids(index._fed(other.read(np.arange(COUNT))), np.arange(COUNT))
    assert codes(index._structure) == codes(fresh._structure)
