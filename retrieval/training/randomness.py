"""The state of all random generators, to be kept in a checkpoint and put back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


def random_states() -> dict[str, Any]:
    """The states of Python's, numpy's, torch's and, once CUDA is in use, its devices' generators; plain values and
    tensors only, so that they can be loaded with ``weights_only=True``."""
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    version, internal, next_gauss = random.getstate()
    return {
        "python": [version, list(internal), next_gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), place, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if _cuda_is_used() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Put back what ``random_states`` gave. CUDA's are put back where there are as many devices as there were."""
    version, internal, next_gauss = states["python"]
    random.setstate((version, tuple(internal), next_gauss))
    name, keys, place, has_gauss, gauss = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), place, has_gauss, gauss))
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def seed_everything(seed: int) -> None:
    """Start all generators from ``seed``."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Whatever is drawn or seeded inside the block is not noticed outside it."""
    states = random_states()
    try:
        yield
    finally:
        set_random_states(states)


def _cuda_is_used() -> bool:
    used: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return used


def torch_states(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Only what layers draw from: the states of torch's generators on the CPU and on ``device``."""
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def set_torch_states(states: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    """Put back what ``torch_states`` gave for the same device."""
    torch.set_rng_state(states[0])
    if states[1] is not None:
        torch.cuda.set_rng_state(states[1], device)


@contextmanager
def torch_states_kept(device: torch.device) -> Iterator[None]:
    """``random_states_kept`` for torch's generators alone."""
    states = torch_states(device)
    try:
        yield
    finally:
        set_torch_states(states, device)
