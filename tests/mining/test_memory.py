"""The estimate is a bound, and not an idle one; nothing of the size B^3 is ever held."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from retrieval.mining import MINERS, blocks, iter_triplets, memory_estimate

from .support import Held, batch

FACTOR = 2
"""The estimate is a bound, at most so many times what is really taken."""

SLACK = 24_000_000
"""Bytes that a process takes whatever it mines: buffers of the matrix product, and what the allocator keeps."""


def hard_batch(count, per_class, dimension=32):
    embeddings, _ = batch(0, count=count, dimension=dimension, dtype=torch.float32)
    return embeddings, torch.arange(count) // per_class


@pytest.mark.parametrize(("count", "per_class"), [(64, 4), (512, 2), (512, 4), (256, 64)])
@pytest.mark.parametrize("name", MINERS)
def test_the_estimate_is_a_bound(name, count, per_class):
    embeddings, labels = hard_batch(count, per_class)
    with Held() as held:
        mined = MINERS[name].function(embeddings, labels, generator=torch.Generator().manual_seed(0))
    assert len(mined[0]) > 0
    assert 0 < held.peak <= memory_estimate(name, count, per_class, 32)


def test_the_estimate_is_near_where_everything_is_chosen():
    for name in ("all", "all_pairs"):
        embeddings, labels = hard_batch(256, 16)
        with Held() as held:
            MINERS[name].function(embeddings, labels)
        assert held.peak > memory_estimate(name, 256, 16, 32) / 4


@pytest.mark.parametrize("name", [name for name in MINERS if name not in ("all", "easy", "semihard", "hard", "mixed")])
def test_no_cube(name, monkeypatch):
    """The cube would be 4 bytes * 160^3 = 16 MB."""
    monkeypatch.setattr(blocks, "BLOCK_VALUES", 8000)
    embeddings, labels = hard_batch(160, 16)
    with Held() as held:
        MINERS[name].function(embeddings, labels)
    assert held.largest <= 16 * 160 * 160


@pytest.mark.parametrize("rule", ["all", "semihard", "mixed"])
def test_blocks_are_bounded_and_let_go(rule):
    embeddings, labels = hard_batch(160, 16)
    total = 0
    with Held() as held:
        for block in iter_triplets(rule, embeddings, labels, most_values=8000):
            total += len(block.anchor)
            assert all(column.untyped_storage().nbytes() == 8 * len(column) for column in block)
    assert total > 50_000
    assert held.largest <= 16 * 160 * 160
    assert held.peak < 100 * 8000


def test_the_estimate_grows_with_the_square_and_stops_at_the_limit():
    assert memory_estimate("batch_hard", 8192, 4, 128) < 200e6
    assert memory_estimate("semihard", 1024, 4, 128) < 500e6
    assert memory_estimate("semihard", 16384, 64, 128) < 2 * memory_estimate("semihard", 8192, 64, 128)
    assert memory_estimate("all_pairs", 2048, 4, 128) == pytest.approx(
        4 * memory_estimate("all_pairs", 1024, 4, 128), rel=0.05
    )


def test_what_does_not_fit_is_refused():
    for arguments in (("hardest", 8, 4, 2), ("hard", 0, 4, 2), ("hard", 8, 9, 2), ("hard", 8, 4, 0)):
        with pytest.raises(ValueError, match=r"No miner|do not fit"):
            memory_estimate(*arguments)


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """What each miner took from the system in a process of its own: see ``child``."""
    path = tmp_path_factory.mktemp("taken") / "taken.json"
    command = [sys.executable, "-m", "tests.mining.child", str(path)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=Path(__file__).parents[2])
    assert child.returncode == 0, child.stderr
    return json.loads(path.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", MINERS)
def test_what_is_taken_from_the_system_is_what_was_said(name, taken):
    """At 4096 rows and more, where the heap shows what the tensors do not: holes between those that are kept."""
    grown, estimate, given = taken[name]
    assert given > 0
    assert grown <= estimate + SLACK
    assert estimate <= FACTOR * (grown + SLACK)
