"""SwAV: its loss as loops over views, codes and queue, and the course of its prototypes."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.functional.batch import Batch
from retrieval.methods.swav import SwAV
from retrieval.training.loop import fit
from tests.functional.test_sinkhorn import by_the_paper
from tests.losses import loops
from tests.methods.views import BATCH, TinyViews, config, tiny_method


def method(**options: object) -> SwAV:
    made = tiny_method("swav", **options).double().train()
    assert isinstance(made, SwAV)
    return made


def batches(small: int = 2) -> list[Batch]:
    return [
        batch._replace(inputs=batch.inputs.double(), others=tuple(view.double() for view in batch.others))
        for batch in TinyViews(2, small).batches(0, 0)
    ]


def rows_of(made: SwAV, batch: Batch) -> list[Tensor]:
    """Unit projections of each view, all views through the projector at once."""
    raw = [made.encoder(view).raw for view in (batch.inputs, *batch.others)]
    return list(normalize(made.projector(torch.cat(raw)), dim=1).detach().split(BATCH))


def by_the_authors(views: list[Tensor], queues: list[Tensor], prototypes: Tensor) -> float:
    """Their main_swav.py: for each full-size view, codes from scores and queue, then the other views' predictions."""
    scores = [(view @ prototypes.T).tolist() for view in views]
    total = []
    for t in range(2):
        codes = by_the_paper((queues[t] @ prototypes.T).tolist() + scores[t], 0.05, 3)[-BATCH:]
        total.append(loops.mean([loops.soft_cross_entropy(scores[v], codes) for v in range(len(views)) if v != t]))
    return loops.mean(total)


@pytest.mark.parametrize("small", [0, 2, 3])
def test_is_the_papers_loss(small: int) -> None:
    """lightly's SwaVLoss is the same number, with and without a queue."""
    made, batch = method(), batches(small)[0]
    expected = by_the_authors(rows_of(made, batch), [torch.zeros(0, 6).double()] * 2, made.prototypes.weight.detach())
    assert made.training_step(batch).logs["swav"].item() == pytest.approx(expected, rel=1e-6)


def test_the_queue_counts_once_it_is_full_and_its_rows_are_of_before() -> None:
    made = method(queue=24)
    first, second, third = batches()
    seen: list[list[Tensor]] = []
    for batch in (first, second):
        seen.append(rows_of(made, batch))
        made.training_step(batch)
        made.after_step()
    assert int(made.queued) == 24
    for t in range(2):
        torch.testing.assert_close(made.queue[t], torch.cat([seen[1][t], seen[0][t]])[:24])
    expected = by_the_authors(rows_of(made, third), list(made.queue), made.prototypes.weight.detach())
    alone = by_the_authors(rows_of(made, third), [torch.zeros(0, 6).double()] * 2, made.prototypes.weight.detach())
    loss = made.training_step(third).logs["swav"].item()
    assert loss == pytest.approx(expected, rel=1e-6)
    assert abs(loss - alone) > 1e-3


def test_a_queue_that_is_not_full_does_not_count() -> None:
    one, other = method(queue=100), method(queue=0)
    for batch in batches():
        torch.testing.assert_close(one.training_step(batch).loss, other.training_step(batch).loss)
        one.after_step()
        other.after_step()
    assert int(one.queued) == 48
    assert int(other.queued) == 0


def test_the_queue_waits_for_its_epoch() -> None:
    made = method(queue=8, queue_epoch=1)
    for epoch, queued in ((0, 0), (1, 8)):
        made.before_epoch(epoch, lambda: iter(()))
        made.training_step(batches()[0])
        made.after_step()
        assert int(made.queued) == queued


@pytest.mark.parametrize("freeze_epochs", [0, 1, 2])
def test_prototypes_rest_at_first_and_stay_on_the_sphere(tmp_path: Path, freeze_epochs: int) -> None:
    """Weight decay too leaves them alone while they rest."""
    made = tiny_method("swav", freeze_epochs=freeze_epochs)
    assert isinstance(made, SwAV)
    before = made.prototypes.weight.detach().clone()
    moved: list[float] = []
    follow = made.after_step

    def watched() -> None:
        follow()
        moved.append(float((made.prototypes.weight.detach() - before).abs().max()))
        torch.testing.assert_close(made.prototypes.weight.detach().norm(dim=1), torch.ones(10))

    made.after_step = watched  # type: ignore[method-assign]
    fit(made, TinyViews(2, 2), config(epochs=3, weight_decay=0.1), folder=tmp_path)
    resting = 3 * freeze_epochs
    assert all(value < 1e-6 for value in moved[:resting])
    assert all(value > 1e-4 for value in moved[resting:])


def test_no_gradient_goes_through_the_codes() -> None:
    """The gradient is that of the cross-entropy with codes that are numbers."""
    made, batch = method(freeze_epochs=0), batches(0)[0]
    raw = [made.encoder(view).raw for view in (batch.inputs, *batch.others)]
    scores = (normalize(made.projector(torch.cat(raw)), dim=1) @ made.prototypes.weight.T).split(BATCH)
    codes = [torch.tensor(by_the_paper(one.tolist(), 0.05, 3), dtype=torch.float64) for one in scores]
    expected = sum(-(codes[t] * (scores[1 - t] / 0.1).log_softmax(dim=1)).sum(dim=1).mean() / 2 for t in range(2))
    assert isinstance(expected, Tensor)
    parameters = [p for group in made.groups() for p in group.parameters]
    got = torch.autograd.grad(made.training_step(batch).loss, parameters)
    torch.testing.assert_close(got, torch.autograd.grad(expected, parameters), rtol=1e-6, atol=1e-9)


def test_the_collapse_constant_is_where_no_prototype_is_nearer() -> None:
    made = method()
    with torch.no_grad():
        made.prototypes.weight.zero_()
    logs = made.training_step(batches()[0]).logs
    assert made.collapse_constants() == {"swav": math.log(10)}
    assert float(logs["swav"]) == pytest.approx(math.log(10))
    assert float(logs["assignment_entropy"]) == pytest.approx(math.log(10))
