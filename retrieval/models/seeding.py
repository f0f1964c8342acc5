"""Random initialisation that neither uses nor disturbs the global random state."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The CPU generator starts from ``seed`` inside the block and is put back afterwards."""
    # devices=[]: weights are made on the CPU. torch.manual_seed would also reseed the accelerators, for good.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
