"""Centres over a frozen backbone: exact in every epoch, and the same after a stop."""

from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.core.types import Vectors
from retrieval.datasets.loader import FeatureSource
from retrieval.methods.metric_learning import MetricLearning, Term
from retrieval.mining.samplers import MPerClass
from retrieval.models.threads import torch_threads
from retrieval.training.hooks import TrainHooks
from retrieval.training.loop import fit
from retrieval.workflows.projecting import head_method, pca_projection, start_losses
from tests.training.tiny import StopAfter, config, same_state

N, FEATURES, CLASSES = 64, 8, 5
NUMBERS = np.arange(N, dtype=np.int64) % CLASSES
TERMS = (Term("triplet"), Term("center", 0.1))


def rows() -> Vectors:
    """Features of any length: a projection takes their directions."""
    return np.random.default_rng(0).standard_normal((N, FEATURES)).astype(np.float32)


class Watched:
    """A head's method, with its centres and the classes' means as they were after every ``before_epoch``."""

    def __init__(self, exact: bool) -> None:
        vectors = rows()
        self.projection = pca_projection(vectors, 4, 0)
        self.method = head_method(self.projection, TERMS, NUMBERS, 0, vectors=vectors if exact else None)
        start_losses(self.method, self.projection, vectors, NUMBERS)
        self.began: list[tuple[np.ndarray, np.ndarray]] = []
        before = self.method.before_epoch

        def watched(epoch: int, batches: object) -> None:
            before(epoch, batches)  # type: ignore[arg-type]
            self.began.append((self.centres(), self.means()))

        self.method.before_epoch = watched  # type: ignore[method-assign, assignment]

    def centres(self) -> np.ndarray:
        return self.method.state_dict()["states.1.centres"].numpy().copy()

    def means(self) -> np.ndarray:
        with torch.no_grad():
            raw = self.projection(torch.from_numpy(rows())).numpy()
        return np.stack([raw[j == NUMBERS].mean(axis=0) for j in range(CLASSES)])

    def fit(self, folder: Path, hooks: TrainHooks | None = None, resume: bool = False) -> MetricLearning:
        source = FeatureSource(rows(), NUMBERS, MPerClass(NUMBERS, 20, 4, 0))
        # Threads that wait for each other cost more than such a network.
        with torch_threads(1):
            fit(self.method, source, config(epochs=3), folder=folder, resume=resume, hooks=hooks)
        return self.method


def test_centres_are_the_means_in_every_epoch_and_rest_within_it(tmp_path: Path) -> None:
    watched = Watched(exact=True)
    watched.fit(tmp_path)
    assert len(watched.began) == 3
    for centres, means in watched.began:
        np.testing.assert_allclose(centres, means, atol=1e-6)
    assert np.array_equal(watched.centres(), watched.began[-1][0])
    assert np.abs(watched.began[0][1] - watched.began[-1][1]).max() > 1e-3


def test_by_the_rule_they_are_not(tmp_path: Path) -> None:
    watched = Watched(exact=False)
    watched.fit(tmp_path)
    assert np.abs(watched.began[-1][0] - watched.began[-1][1]).max() > 1e-3


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_a_run_that_is_stopped_goes_on_bit_for_bit(tmp_path: Path, steps: int) -> None:
    """Within an epoch of four steps, and at the end of one."""
    whole = Watched(exact=True).fit(tmp_path / "whole")
    Watched(exact=True).fit(tmp_path / "parts", TrainHooks(stop=StopAfter(steps)))
    same_state(whole, Watched(exact=True).fit(tmp_path / "parts", resume=True))
