"""Tiny tensors on one thread: on shared cores, threads that wait for each other cost more than they save."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def children(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the runs of ``tests.training.child`` have ended."""
    folder = tmp_path_factory.mktemp("children")
    command = [sys.executable, "-m", "tests.training.child", str(folder)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=Path(__file__).parents[2])
    assert child.returncode == 0, child.stderr
    return folder
