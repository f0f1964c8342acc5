"""The best point on the line between two states."""

import pytest
import torch
from torch import nn

from retrieval.workflows.blending import best_blend, blended


@pytest.mark.parametrize("best", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_share_that_validation_likes_best_is_kept(best: float) -> None:
    layer = nn.Linear(1, 1, bias=False)
    before = {"weight": torch.zeros(1, 1)}
    layer.weight.data.fill_(4.0)
    said: list[str] = []
    share = best_blend(layer, before, lambda: -abs(layer.weight.item() / 4 - best), said.append)
    assert share == best
    assert layer.weight.item() == pytest.approx(4 * best)
    assert f"{best:.0%}" in said[0]


def test_of_equal_scores_the_trained_weights_win() -> None:
    layer = nn.Linear(1, 1)
    assert best_blend(layer, {n: t.clone() for n, t in layer.state_dict().items()}, lambda: 0.5, lambda _: None) == 1.0


def test_counters_are_not_averaged() -> None:
    before, after = {"n": torch.tensor(3)}, {"n": torch.tensor(8)}
    assert [int(blended(before, after, share)["n"]) for share in (0.0, 0.25, 0.5, 1.0)] == [3, 3, 8, 8]
