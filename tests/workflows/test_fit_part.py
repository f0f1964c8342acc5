"""The precision that a run is trained in."""

from dataclasses import replace

import pytest
import torch

from retrieval.core.settings import load_settings
from retrieval.training.config import LoopConfig
from retrieval.workflows.fit_part import LEAST_FOR_BF16, in_precision


@pytest.mark.parametrize(
    ("recipe", "wanted", "smallest", "expected"),
    [
        ("auto", "auto", LEAST_FOR_BF16, "auto"),
        ("auto", "auto", LEAST_FOR_BF16 - 1, "32-true"),
        ("auto", "bf16", 14, "bf16-mixed"),
        ("bf16-mixed", "auto", 14, "bf16-mixed"),
        ("auto", "fp32", 224, "32-true"),
    ],
)
def test_the_smallest_pictures_are_not_learned_from_in_bf16_unless_told_to(
    recipe: str, wanted: str, smallest: int, expected: str
) -> None:
    loop = LoopConfig(precision=recipe, device="cpu")  # type: ignore[arg-type]
    settings = replace(load_settings(), precision=wanted)  # type: ignore[arg-type]
    assert in_precision(loop, settings, smallest).precision == expected


def test_on_another_device_small_pictures_may_be_learned_from_in_less(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(load_settings(), precision="auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert in_precision(LoopConfig(), settings, 14).precision == "auto"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert in_precision(LoopConfig(), settings, 14).precision == "32-true"
