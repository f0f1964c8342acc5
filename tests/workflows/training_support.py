"""What the tests of training share: small recipes, requests, and whether two runs made the same encoder."""

import shutil
from collections.abc import Callable
from pathlib import Path

from retrieval.models.folder import load_encoder
from retrieval.workflows.recipes import Recipe, load_recipe
from retrieval.workflows.training import Request

QUICK = {"epochs": "4", "validate_every": "2", "dimension": "16", "batch_size": "16", "log_every": "1"}
ONE_RATE = {"trials": "[1.0]"}
"""Where what the learning rates bring is not the subject, one is tried, not three."""


def request(dataset: object, out: Path, model: Path | None, recipe: str = "quick-head", **changes: str) -> Request:
    return Request(
        dataset=str(dataset),
        recipe=load_recipe(recipe, {**QUICK, **changes}),
        out=out,
        model=model and str(model),
        workers=1,
    )


def tiny_full(**changes: str) -> Recipe:
    values = {**QUICK, **ONE_RATE, "head_epochs": "2", "epochs": "2", "validate_every": "1", **changes}
    return load_recipe("triplet-center", values)


def from_the_same_features(out: Path, run: Path) -> Path:
    """A folder in which a run finds the embeddings that another one made: a bf16 encoder's last digits depend on which
    images happened to share a batch."""
    run.mkdir()
    shutil.copy(out / "start.npz", run)
    return run


def same_weights(one: Path, other: Path) -> bool:
    states = [load_encoder(folder / "encoder")[0].state_dict() for folder in (one, other)]
    return states[0].keys() == states[1].keys() and all(bool((states[0][n] == states[1][n]).all()) for n in states[0])


def growing() -> Callable[..., float]:
    """A validation that likes every look better than the one before."""
    values = iter(range(1, 1_000))
    return lambda *_: float(next(values))
