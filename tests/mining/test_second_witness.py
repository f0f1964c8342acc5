"""pytorch-metric-learning 2.9 where it means the same: generic embeddings without ties, every row labelled."""

import pytest
import torch
from pytorch_metric_learning.miners import BatchHardMiner, MultiSimilarityMiner, TripletMarginMiner

from retrieval.mining import MINERS

from .support import batch, rows

THEIRS = {
    "easy": TripletMarginMiner(margin=0.2, type_of_triplets="easy"),
    "semihard": TripletMarginMiner(margin=0.2, type_of_triplets="semihard"),
    "hard": TripletMarginMiner(margin=0.2, type_of_triplets="hard"),
    # Their "all" is all that violate the margin.
    "mixed": TripletMarginMiner(margin=0.2, type_of_triplets="all"),
    "batch_hard": BatchHardMiner(),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", THEIRS)
def test_triplets(name, seed):
    embeddings, labels = batch(seed, count=32, classes=8, dimension=16)
    theirs = THEIRS[name](embeddings, labels)
    ours = MINERS[name].function(embeddings, labels)
    assert len(ours.anchor) > 0
    assert set(rows(ours)) == set(zip(*(column.tolist() for column in theirs), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_multi_similarity(seed):
    embeddings, labels = batch(seed, count=32, classes=8, dimension=16)
    a1, p, a2, n = MultiSimilarityMiner(epsilon=0.1)(embeddings, labels)
    ours = MINERS["multi_similarity"].function(embeddings, labels)
    assert min(map(len, ours)) > 0
    assert set(rows(ours)[0]) == set(zip(a1.tolist(), p.tolist(), strict=True))
    assert set(rows(ours)[1]) == set(zip(a2.tolist(), n.tolist(), strict=True))


def test_multi_similarity_where_an_anchor_lacks_one_kind():
    embeddings, _ = batch(0, count=6)
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    a1, p, a2, n = MultiSimilarityMiner(epsilon=5.0)(embeddings, labels)
    ours = MINERS["multi_similarity"].function(embeddings, labels, epsilon=5.0)
    assert set(rows(ours)[0]) == set(zip(a1.tolist(), p.tolist(), strict=True))
    assert set(rows(ours)[1]) == set(zip(a2.tolist(), n.tolist(), strict=True))
    assert 3 not in ours.negatives[:, 0]
