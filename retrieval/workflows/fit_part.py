"""One part of a run through the training loop: how it talks, how it stops, in which precision it computes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from retrieval.core.errors import Interrupted
from retrieval.core.settings import Settings
from retrieval.methods.method import Method
from retrieval.training.config import LoopConfig, Precision
from retrieval.training.hooks import TrainHooks
from retrieval.training.loop import Fitted, Source, fit
from retrieval.workflows.run_folder import RunFolder
from retrieval.workflows.train_request import TrainingHooks


def fit_part(
    title: str,
    method: Method,
    source: Source,
    loop: LoopConfig,
    *,
    run: RunFolder,
    folder: Path,
    resume: bool,
    hooks: TrainingHooks,
    validate: Callable[[Method], float] | None = None,
) -> Fitted:
    """Train ``method``; see ``training.fit``.

    Args:
        title: of the part, for people.
        method, source, loop, validate: as ``fit`` takes them.
        run: what the part belongs to.
        folder: of the part, in the run's or the run's own.
        resume: go on from the part's checkpoint, if there is one.
        hooks: of the whole run.

    Raises:
        Interrupted: ``hooks.stop`` said so; the checkpoint is written.
        BadValue, TrainingFailed, DiskFull, ModelDamaged: as ``fit``.
    """
    hooks.begin(title)
    own = TrainHooks(hooks.progress, hooks.validated, hooks.say, hooks.stop)
    fitted = fit(method, source, loop, folder=folder, resume=resume, validate=validate, hooks=own)
    if fitted.stopped == "interrupted":
        raise Interrupted(
            f"Stopped after {fitted.steps} steps; everything is kept in {run.folder}.",
            "The same command with --resume goes on from here.",
        )
    return fitted


LEAST_FOR_BF16 = 32
"""Pixels a side. Of smaller pictures the last strided convolutions see a map of one pixel, and on processors torch 2.15
then gives weight gradients in bf16 that are infinite or, worse, finite and wrong (3 x 3, stride 2, padding 1)."""


def in_precision(loop: LoopConfig, settings: Settings, smallest: int = LEAST_FOR_BF16) -> LoopConfig:
    """``loop`` with the precision that the user's settings fix, where the recipe leaves it open.

    Args:
        loop: of the recipe.
        settings: the user's.
        smallest: side of the smallest pictures that are learned from, in pixels; see ``LEAST_FOR_BF16``.
    """
    fixed: dict[str, Precision] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    precision = fixed.get(settings.precision, "auto")
    on_processor = loop.device == "cpu" or (loop.device == "auto" and not torch.cuda.is_available())
    if precision == "auto" and smallest < LEAST_FOR_BF16 and on_processor:
        precision = "32-true"
    return replace(loop, precision=precision) if loop.precision == "auto" else loop
