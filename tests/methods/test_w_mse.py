"""W-MSE as a method: its views, its slices, and what happens where nothing can be whitened."""

import pytest
import torch

from retrieval.core.errors import BadValue, TrainingFailed
from retrieval.functional.batch import Batch
from retrieval.losses.w_mse import w_mse
from retrieval.methods.w_mse import WMSE
from tests.methods.views import BATCH, TinyViews, tiny_encoder, tiny_method


def batch(views: int = 2) -> Batch:
    return next(TinyViews(views).batches(0, 0))


def projections(method: WMSE, given: Batch) -> torch.Tensor:
    views = (given.inputs, *given.others)
    return torch.stack([method.projector(method.encoder(view).raw) for view in views[: method.views]])


@pytest.mark.parametrize("views", [2, 4])
def test_is_the_mean_over_pairs_and_draws(views: int) -> None:
    method = tiny_method("w_mse", views=views, iterations=3)
    assert isinstance(method, WMSE)
    draws = method.draws()
    orders = [torch.randperm(BATCH, generator=draws) for _ in range(3)]
    rows = projections(method, batch(views))
    expected = torch.stack([w_mse(rows, order, size=method.slice_size) for order in orders]).mean()
    torch.testing.assert_close(method.training_step(batch(views)).loss, expected)


def test_four_views_need_four() -> None:
    with pytest.raises(ValueError, match="learns from 4 views of an image, not 2"):
        tiny_method("w_mse", views=4).training_step(batch(2))


def test_the_slices_are_drawn_anew() -> None:
    method = tiny_method("w_mse")
    assert method.training_step(batch()).loss != method.training_step(batch()).loss


def test_rows_that_fill_no_slice_sit_out_and_are_counted() -> None:
    logs = tiny_method("w_mse", slice_size=10).training_step(batch()).logs
    assert float(logs["left_out"]) == pytest.approx(6 / 16)
    assert float(tiny_method("w_mse").training_step(batch()).logs["left_out"]) == 0


def test_a_singular_step_is_rescued_and_said() -> None:
    """Few different pictures: more dimensions than directions."""
    few = batch()
    copies = torch.arange(BATCH) % 3
    few = few._replace(inputs=few.inputs[copies], others=(few.others[0][copies],))
    step = tiny_method("w_mse").training_step(few)
    assert step.logs["rescued"] == 1
    assert torch.isfinite(step.loss)
    assert tiny_method("w_mse").training_step(batch()).logs["rescued"] == 0


def test_what_cannot_be_rescued_fails_with_advice() -> None:
    broken = batch()
    broken = broken._replace(inputs=torch.full_like(broken.inputs, torch.nan))
    with pytest.raises(TrainingFailed, match="without a Cholesky factor") as caught:
        tiny_method("w_mse").training_step(broken)
    assert "learning rate" in str(caught.value.hint)


def test_values_that_cannot_be() -> None:
    with pytest.raises(BadValue, match="too small for 64"):
        WMSE(tiny_encoder(), slice_size=127)
    with pytest.raises(ValueError, match="views is at least 2"):
        WMSE(tiny_encoder(), views=1)
    with pytest.raises(BadValue, match="slices of 128 images, and a batch has 16"):
        WMSE(tiny_encoder(), hidden=8).training_step(batch())


def test_autocast_leaves_the_projector_in_float32() -> None:
    seen: list[torch.dtype] = []
    method = tiny_method("w_mse")
    assert isinstance(method, WMSE)
    method.projector[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        method.training_step(batch())
    assert set(seen) == {torch.float32}
