"""How many processor threads torch computes with."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

THREADS_CAN_CHANGE = "backend: OpenMP" in torch.__config__.parallel_info()
"""Other backends than OpenMP warn when the number is changed after the first computation."""


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Torch computes with ``count`` threads inside the block, and with as many as before after it.

    For one block at a time: the number belongs to the process, and new threads start with whatever was set last.

    Args:
        count: at least 1.
    """
    if not THREADS_CAN_CHANGE:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
