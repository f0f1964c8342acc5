from collections.abc import Iterator
from pathlib import Path

import pytest

from .support import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A catalog with one space, in a folder of its own."""
    made = World(tmp_path / "gallery")
    yield made
    made.close()
