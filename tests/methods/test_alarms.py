"""Methods that are trained into collapse, without a guard or with their teachers or queues harmed, ring their alarms
within the first epoch; healthy twins do not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from retrieval.core.protocols import NearestRow
from retrieval.functional import spherical_kmeans as kmeans
from retrieval.functional.spherical_kmeans import Clusters
from retrieval.methods import deepcluster, swav
from retrieval.methods.answers import signs_of, variety
from retrieval.methods.method import TEACHER_UNCERTAINTY, TEACHER_VARIETY
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.queue import spread_of
from retrieval.training.alarms import WINDOW
from tests.methods.laboratory import STEPS, Unrelated, made, rings, rung

DINO: dict[str, Any] = {
    "bottleneck": 16, "prototypes": 16, "hidden": 32, "freeze_epochs": 0, "warmup_epochs": 0, "momentum": 0.9,
}  # fmt: skip
SWAV: dict[str, Any] = {"freeze_epochs": 0, "queue": 24, "queue_epoch": 0}
CRUSHED = 90.0
"""Weight decay that leaves a tenth of every weight after a step at the rate 0.01."""

COLLAPSES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "without sharpening": ("uniform teacher", "dino", DINO, {"rate": 0.005, "teacher_temperature": 0.2}),
    "without centring": (
        "one-hot teacher", "dino", DINO, {"rate": 0.05, "teacher_temperature": 0.04, "centre_momentum": 1.0},
    ),
    "prototypes that wither": ("uniform teacher", "swav", SWAV, {"rate": 0.01, "decay": CRUSHED}),
    "a queue that withers": ("dead queue", "swav", SWAV, {"rate": 0.01, "decay": CRUSHED}),
    "keys that wither": ("dead queue", "moco", {}, {"rate": 0.01, "decay": CRUSHED, "momentum": 0.5}),
    "without a predictor": ("loss = chance", "byol", {}, {"rate": 0.3, "predictor": False}),
    "without stop-gradient": ("loss = chance", "byol", {}, {"rate": 0.3, "stop_gradient": False}),
    "without the variance term": ("loss = chance", "vicreg", {}, {"rate": 0.1, "variance": 0.0}),
    "a rate far too high": ("exploding norm", "byol", {}, {"rate": 30.0}),
}  # fmt: skip
"""By what is done: the alarm, the method, its options, and what makes it collapse."""

HEALTHY: dict[str, dict[str, Any]] = {
    "dino": {**DINO, "rate": 0.005, "teacher_temperature": 0.04},
    "swav": {**SWAV, "rate": 0.01},
    "moco": {"rate": 0.01, "momentum": 0.5},
    "deepcluster": {"rate": 0.02},
    "byol": {"rate": 0.3},
    "vicreg": {"rate": 0.1},
    "barlow_twins": {"rate": 0.01},
    "w_mse": {"rate": 0.01},
    "simclr": {"rate": 0.01},
    "simsiam": {"rate": 0.01},
}


@pytest.mark.parametrize("done", COLLAPSES)
def test_a_method_that_is_trained_into_it_rings(done: str, tmp_path: Path) -> None:
    alarm, method, options, harm = COLLAPSES[done]
    assert alarm in dict(rung(method, tmp_path, **options, **harm))


@pytest.mark.parametrize("method", HEALTHY)
def test_its_healthy_twin_rings_nothing(method: str, tmp_path: Path) -> None:
    assert rung(method, tmp_path, **HEALTHY[method]) == []


@pytest.mark.parametrize("method", ["barlow_twins", "w_mse"])
def test_views_that_have_nothing_in_common_ring(method: str, tmp_path: Path) -> None:
    """Such as photos and masks that were paired wrongly: there is nothing to learn, which the loss says by standing."""
    rung = rings(made(method, dimension=4), tmp_path, rate=0.01, source=Unrelated())
    assert "loss = chance" in dict(rung)


def test_swav_without_equal_use_gives_all_images_one_prototype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its guard, Sinkhorn's algorithm, in exchange for a plain softmax of the same scores."""

    def softmax(scores: Tensor, *, epsilon: float, iterations: int) -> Tensor:
        return (scores.detach() / epsilon).softmax(dim=1)

    monkeypatch.setattr(swav, "sinkhorn", softmax)
    assert "one-hot teacher" in dict(rung("swav", tmp_path, **{**HEALTHY["swav"], "queue": 0}))


def lloyd(reassign: bool) -> Callable[..., Clusters]:
    """K-means that begins with one centroid in front of all rows and the others behind them, with or without the guard:
    a cluster that stands empty is given a row. From the second clustering on it begins with what it found."""
    found: list[Tensor] = []

    def clustered(
        rows: Tensor, clusters: int, nearest: NearestRow, generator: torch.Generator, *, iterations: int = 10
    ) -> Clusters:
        ahead = normalize(rows.mean(dim=0), dim=0)
        centroids = found[-1] if found else torch.stack([ahead] + [-ahead] * (clusters - 1))
        for _ in range(iterations):
            labels = torch.tensor(nearest(rows.numpy(), centroids.numpy()))
            if reassign:
                labels, _ = kmeans._assigned(rows, centroids, nearest)
            sums = torch.zeros_like(centroids).index_add_(0, labels, rows)
            centroids = torch.where(sums.norm(dim=1, keepdim=True) > 0, normalize(sums, dim=1), centroids)
        found.append(centroids)
        return Clusters(centroids, labels, int((torch.bincount(labels, minlength=clusters) == 0).sum()))

    return clustered


def in_a_cone(method: SelfSupervised) -> None:
    """Move all projections to one side of the sphere, where those of a poor start are."""
    assert isinstance(method, deepcluster.DeepCluster)
    with torch.no_grad():
        method.projector[-1].bias += 2.0


@pytest.mark.parametrize("reassign", [True, False])
def test_deepcluster_without_new_rows_for_empty_clusters_has_one(
    reassign: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepcluster, "spherical_kmeans", lloyd(reassign))
    method = made("deepcluster", heads=1)
    in_a_cone(method)
    alarms = dict(rings(method, tmp_path, rate=0.02))
    assert ("one-hot teacher" in alarms) is not reassign
    assert (spread_of(method.bank[0]) < 0.2) is not reassign


def warm(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Let the rate rise over so large a share of the epoch."""
    from tests.methods import laboratory

    plain = laboratory.config
    monkeypatch.setattr(laboratory, "config", lambda **changes: plain(warmup_share=share, **changes))


@pytest.mark.parametrize("method", ["dino", "moco", "byol", "vicreg"])
def test_a_long_warm_up_of_a_healthy_run_rings_nothing(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DINO's teacher and MoCo's queue come to their constants there, while centre and keys find their places."""
    warm(monkeypatch, 0.9)
    assert rung(method, tmp_path, **HEALTHY[method]) == []


@pytest.mark.parametrize("done", ["without a predictor", "without the variance term"])
def test_what_collapses_in_the_warm_up_rings_there(done: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up of several epochs would otherwise keep the alarm from the first."""
    warm(monkeypatch, 0.9)
    alarm, method, options, harm = COLLAPSES[done]
    assert dict(rung(method, tmp_path, **options, **harm))[alarm] < 0.9 * STEPS


def test_a_teacher_that_says_nothing_may_begin_to_speak_in_the_warm_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after the warm-up it counts."""
    options: dict[str, Any] = {**DINO, "rate": 0.01, "teacher_temperature": 50.0}
    (without,) = (step for name, step in rung("dino", tmp_path / "1", **options) if name == "uniform teacher")
    warm(monkeypatch, 0.5)
    (late,) = (step for name, step in rung("dino", tmp_path / "2", **options) if name == "uniform teacher")
    assert without < WINDOW + STEPS * 0.1
    assert late == STEPS // 2 + WINDOW


def test_the_signs_of_answers_by_hand() -> None:
    uniform, same = torch.full((4, 8), 1 / 8), torch.eye(8)[[3, 3, 3, 3]]
    apart, halves = torch.eye(8)[:4], torch.eye(8)[[0, 0, 5, 5]]
    expected = [(uniform, 1.0, 1.0), (same, 0.0, 0.0), (apart, 0.0, 1.0), (halves, 0.0, 0.5)]
    for answers, uncertainty, found in expected:
        signs = signs_of(answers)
        assert float(signs[TEACHER_UNCERTAINTY]) == pytest.approx(uncertainty)
        # Of 4 answers the most is ln 4.
        assert float(signs[TEACHER_VARIETY]) == pytest.approx(found)
    assert float(variety(torch.tensor([1.0]), 5)) == 1.0


def test_the_spread_of_a_queue_by_hand() -> None:
    even = torch.cat([torch.eye(4), -torch.eye(4)])
    # Every dimension has two of eight values that are not 0, +1 and -1: a variance of 2 / 7.
    assert float(spread_of(even)) == pytest.approx(2 * (2 / 7) ** 0.5)
    assert float(spread_of(even[:1].repeat(2000, 1))) == 0.0
    assert float(spread_of(even[:1])) == 1.0
