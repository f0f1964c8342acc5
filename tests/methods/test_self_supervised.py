"""What the methods without labels share: schedules that know where the run stands."""

from pathlib import Path

import pytest

from retrieval.training.hooks import TrainHooks
from retrieval.training.loop import fit
from tests.methods.views import TinyViews, config, tiny_method
from tests.training.tiny import StopAfter


@pytest.mark.parametrize("accumulate", [1, 2])
def test_progress_ends_at_one_with_the_run(tmp_path: Path, accumulate: int) -> None:
    """A step may take several batches; progress counts the same thing on both sides."""
    method = tiny_method("simclr")
    after: list[float] = []
    method.after_step = lambda: after.append(method.progress())  # type: ignore[method-assign]
    fit(method, TinyViews(), config(accumulate=accumulate), folder=tmp_path)
    expected = [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0] if accumulate == 1 else [2 / 6, 3 / 6, 5 / 6, 1.0]
    assert after == pytest.approx(expected)


def test_the_epoch_is_known_in_the_middle_of_a_resumed_one(tmp_path: Path) -> None:
    fit(tiny_method("simclr"), TinyViews(), config(), folder=tmp_path, hooks=TrainHooks(stop=StopAfter(4)))
    again = tiny_method("simclr")
    epochs: list[int] = []
    again.after_step = lambda: epochs.append(int(again.epoch))  # type: ignore[method-assign]
    fit(again, TinyViews(), config(), folder=tmp_path, resume=True)
    assert epochs == [1, 1]
