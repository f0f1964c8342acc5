"""Batch-hard and batch-semihard on a line where everything can be read off."""

import math

import torch

from retrieval.mining.batch_hard import batch_hard
from retrieval.mining.batch_semihard import batch_semihard

from .support import rows


def on_a_circle(*degrees):
    angles = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_batch_hard():
    embeddings = on_a_circle(0, 10, 30, 20, 90)
    assert rows(batch_hard(embeddings, torch.tensor([0, 0, 0, 1, 1]))) == [
        (0, 2, 3),
        (1, 2, 3),
        (2, 0, 3),
        (3, 4, 1),
        (4, 3, 2),
    ]


def test_batch_semihard_takes_the_nearest_beyond_the_positive():
    embeddings = on_a_circle(0, 30, 20, 40, 90)
    triplets = rows(batch_semihard(embeddings, torch.tensor([0, 0, 1, 1, 1])))
    # From row 0 the positive is at 30 degrees: 20 lies before it, 40 is the nearest beyond, 90 is farther.
    assert triplets[0] == (0, 1, 3)


def test_batch_semihard_falls_back_to_the_farthest_negative():
    embeddings = on_a_circle(0, 90, 20, 40, 60)
    triplets = rows(batch_semihard(embeddings, torch.tensor([0, 0, 1, 1, 1])))
    # No negative of row 0 lies beyond its positive at 90 degrees; the farthest is at 60.
    assert triplets[0] == (0, 1, 4)


def test_a_negative_as_far_as_the_positive_is_not_beyond_it():
    e = torch.eye(3, dtype=torch.float64)
    embeddings = torch.stack([e[0], e[1], e[2], -e[0]])
    # Rows 1 and 2 are equally far from row 0; its opposite, row 3, is farther.
    assert rows(batch_semihard(embeddings, torch.tensor([0, 0, 1, 2])))[0] == (0, 1, 3)
    # Nothing lies beyond, so the farthest is taken, of equal rows the lowest.
    assert rows(batch_semihard(torch.eye(4), torch.tensor([0, 0, 1, 1]))) == [
        (0, 1, 2),
        (1, 0, 2),
        (2, 3, 0),
        (3, 2, 0),
    ]
