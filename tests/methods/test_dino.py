"""DINO: its loss as loops, the courses of centre, temperature and teacher, and both ways of collapse."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from retrieval.functional.batch import Batch
from retrieval.methods.dino import DINO
from retrieval.training.loop import fit
from tests.losses import loops
from tests.methods.laboratory import ended
from tests.methods.views import BATCH, TinyViews, config, tiny_method


def method(**options: object) -> DINO:
    made = tiny_method("dino", **options).double().train()
    assert isinstance(made, DINO)
    return made


def batches(small: int = 2) -> list[Batch]:
    return [
        batch._replace(inputs=batch.inputs.double(), others=tuple(view.double() for view in batch.others))
        for batch in TinyViews(2, small).batches(0, 0)
    ]


def apart(made: DINO) -> None:
    """Move the student away from its teacher, and scores away from each other."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for group in made.groups():
            for parameter in group.parameters:
                parameter += 0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)


def teachers_of(made: DINO, batch: Batch) -> list[Tensor]:
    views = (batch.inputs, batch.others[0])
    return [made.teacher_head.copy(made.teacher_encoder.copy(view).raw).detach() for view in views]


def softmax(values: list[float]) -> list[float]:
    whole = loops.log_sum_exp(values)
    return [math.exp(value - whole) for value in values]


@pytest.mark.parametrize("small", [0, 1, 3])
def test_is_the_papers_loss(small: int) -> None:
    """Algorithm 1 as loops, with multi-crop. lightly's DINOLoss is the same number."""
    made, batch = method(warmup_epochs=0, teacher_temperature=0.06), batches(small)[0]
    apart(made)
    centre = torch.linspace(-0.3, 0.3, 10, dtype=torch.float64)
    made.centre.copy_(centre)
    teachers = [
        [softmax([(t - c) / 0.06 for t, c in zip(row, centre.tolist(), strict=True)]) for row in view.tolist()]
        for view in teachers_of(made, batch)
    ]
    students = [made.head(made.encoder(view).raw).tolist() for view in (batch.inputs, *batch.others)]
    terms = [loops.soft_cross_entropy(students[v], teachers[t]) for t in range(2) for v in range(2 + small) if t != v]
    entropy = loops.mean([-math.fsum(p * math.log(p) for p in row) for view in teachers for row in view])
    output = made.training_step(batch)
    assert output.loss.item() == pytest.approx(loops.mean(terms), rel=1e-9)
    assert output.logs["teacher_entropy"].item() == pytest.approx(entropy, rel=1e-9)
    assert output.logs["teacher_kl"].item() == pytest.approx(loops.mean(terms) - entropy, rel=1e-6)
    assert output.logs["teacher_kl"] > 0


def test_the_centre_moves_after_the_loss() -> None:
    """c ← 0.9 c + 0.1 mean of the teacher's scores, each step; the loss is that of the centre before."""
    made = method()
    apart(made)
    expected = np.zeros(10)
    for batch in batches():
        rows = torch.cat(teachers_of(made, batch)).numpy()
        before = made.centre.clone()
        made.training_step(batch)
        assert torch.equal(made.centre, before)
        made.after_step()
        expected = 0.9 * expected + 0.1 * rows.mean(axis=0)
        np.testing.assert_allclose(made.centre.numpy(), expected, rtol=1e-9, atol=1e-12)
    assert np.abs(expected).max() > 0.01


def test_a_step_of_several_batches_moves_the_centre_once() -> None:
    made = method()
    apart(made)
    two = batches()[:2]
    rows = torch.cat([scores for batch in two for scores in teachers_of(made, batch)])
    for batch in two:
        made.training_step(batch)
    made.after_step()
    torch.testing.assert_close(made.centre, 0.1 * rows.mean(dim=0))
    made.after_step()
    torch.testing.assert_close(made.centre, 0.1 * rows.mean(dim=0))


def test_the_teachers_temperature_warms_up() -> None:
    made = method(warmup_epochs=4, warmup_temperature=0.04, teacher_temperature=0.08)
    found = []
    for epoch in range(6):
        made.before_epoch(epoch, lambda: iter(()))
        found.append(made.teacher_temperature_now())
    assert found == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.08, 0.08])
    assert method(warmup_epochs=0, teacher_temperature=0.08).teacher_temperature_now() == 0.08


def test_the_teacher_follows_along_the_papers_schedule() -> None:
    """From 0.8 to 1 along half a cosine, as in BYOL."""
    made = method(momentum=0.8)
    made.begin(3, 3)
    parts = ((made.encoder, made.teacher_encoder), (made.head, made.teacher_head))
    expected = [[p.detach().clone() for p in part.parameters()] for part, _ in parts]
    for k, batch in enumerate(batches()):
        made.training_step(batch)
        apart(made)
        made.after_step()
        momentum = 1 - (1 - 0.8) * (math.cos(math.pi * k / 3) + 1) / 2
        for values, (part, twin) in zip(expected, parts, strict=True):
            for value, own, followed in zip(values, part.parameters(), twin.parameters(), strict=True):
                value.copy_(momentum * value + (1 - momentum) * own.detach())
                torch.testing.assert_close(followed.detach(), value)


def test_the_teacher_sees_the_full_size_views_alone_and_learns_nothing() -> None:
    made = method()
    shapes: list[tuple[int, ...]] = []
    made.teacher_encoder.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    made.training_step(batches()[0]).loss.backward()  # type: ignore[no-untyped-call]
    assert shapes == [(2 * BATCH, 3, 8, 8)]
    assert all(p.grad is None for part in (made.teacher_encoder, made.teacher_head) for p in part.parameters())


@pytest.mark.parametrize("freeze_epochs", [0, 1])
def test_the_last_layer_rests_at_first(tmp_path: Path, freeze_epochs: int) -> None:
    """Weight decay too leaves it alone while it rests; the rest of the head learns."""
    made = tiny_method("dino", freeze_epochs=freeze_epochs)
    assert isinstance(made, DINO)
    last, trunk = made.head.directions, next(made.head.trunk.parameters())
    before = last.detach().clone(), trunk.detach().clone()
    moved: list[tuple[bool, bool]] = []
    follow = made.after_step

    def watched() -> None:
        follow()
        moved.append((not torch.equal(last, before[0]), not torch.equal(trunk, before[1])))

    made.after_step = watched  # type: ignore[method-assign]
    fit(made, TinyViews(2, 2), config(weight_decay=0.1), folder=tmp_path)
    assert moved == [(freeze_epochs == 0, True)] * 3 + [(True, True)] * 3


SMALL_HEAD = {
    "bottleneck": 16, "prototypes": 16, "hidden": 32, "freeze_epochs": 0, "warmup_epochs": 0, "adam": True,
    "rate": 0.003, "epochs": 60,
}  # fmt: skip


@pytest.mark.slow
def test_centring_and_sharpening_together_keep_it_from_collapse() -> None:
    """The paper's figure 7: alone, either leads to a teacher that says the same of every image."""
    highest = math.log(16)
    healthy = ended("dino", teacher_temperature=0.04, **SMALL_HEAD)
    centred = ended("dino", teacher_temperature=0.1, **SMALL_HEAD)
    sharpened = ended("dino", teacher_temperature=0.04, centre_momentum=1.0, **SMALL_HEAD)
    assert 0.2 * highest < healthy.logs["teacher_entropy"] < 0.8 * highest
    assert healthy.logs["teacher_kl"] > 0.1
    assert healthy.spread > 0.4
    # 0.005 is the alarms' own measure of standing at a constant.
    assert centred.logs["teacher_entropy"] > highest * (1 - 0.005)
    assert centred.logs["teacher_kl"] < 0.01
    assert sharpened.logs["teacher_entropy"] < 0.005
    assert sharpened.logs["teacher_kl"] < 0.01
    assert max(centred.spread, sharpened.spread) < 0.2


def test_the_collapse_constant_is_a_uniform_teacher() -> None:
    made = method()
    with torch.no_grad():
        made.teacher_head.copy.directions.zero_()
    assert float(made.training_step(batches()[0]).logs["teacher_entropy"]) == pytest.approx(math.log(10))


def test_the_constant_counts_once_the_centre_has_found_its_place() -> None:
    """0.9 ** 44 is the first power below a hundredth; without centring, and where it is all at once, from the start."""
    made = method()
    for batches_seen, declared in ((0, False), (43, False), (44, True)):
        made.batches.fill_(batches_seen)
        assert made.chance_constants() == ({"teacher_entropy": math.log(10)} if declared else {})
    for momentum in (0.0, 1.0):
        assert method(centre_momentum=momentum).chance_constants() == {"teacher_entropy": math.log(10)}
