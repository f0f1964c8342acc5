"""Small encoders that are made in milliseconds, and the shared weights where they are there."""

from pathlib import Path
from typing import Any

import pytest
import torch

from retrieval.models.card import ModelCard
from retrieval.models.create import create_encoder
from retrieval.models.encoder import Encoder
from retrieval.models.folder import save_encoder

SHARED_WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "weights" / "mobilenetv2_100.safetensors"

TINY: dict[str, Any] = {"backbone": "test_resnet", "input_size": 64}
"""An architecture of timm's own for tests: 0.5M weights."""


def tiny(**changes: Any) -> tuple[Encoder, ModelCard]:
    """A tiny untrained encoder; the same arguments give the same one."""
    return create_encoder(**(TINY | changes))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Threads that wait for each other at every small operation take minutes where other programs run as well."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny encoder; not to be changed."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    save_encoder(*tiny(head="linear", dim=16), folder)
    return folder


@pytest.fixture(scope="session")
def mobilenet() -> tuple[Encoder, ModelCard]:
    """The shared MobileNetV2; skips where it is absent. Not to be changed."""
    if not SHARED_WEIGHTS.is_file():
        pytest.skip(f"{SHARED_WEIGHTS} is not here")
    return create_encoder(
        backbone="mobilenetv2_100",
        backbone_args={"pad_type": "same"},
        weights=SHARED_WEIGHTS,
        mean=[0.5],
        std=[0.5],
        input_size=224,
        interpolation="bicubic",
    )
