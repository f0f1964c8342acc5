"""How a run talks to whoever started it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        epoch: from 1, and ``epochs`` there are.
        step: optimiser steps done, of ``steps``.
        loss: mean since the last report.
        active: share of active pairs or triplets in [0, 1]; None where the losses know none.
        alignment, uniformity, effective_rank: of the last ``sample`` training embeddings (see
            ``functional.diagnostics``; the rank is not centred); None where they are not defined.
        sample: N, how many embeddings those are computed from.
        rate: learning rate of the head.
        images_per_second: since the last report, over all processes.
        eta_seconds: to the end of the last epoch, at the pace since this start.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    active: float | None
    alignment: float | None
    uniformity: float | None
    effective_rank: float | None
    sample: int
    rate: float
    images_per_second: float
    eta_seconds: float


@dataclass(frozen=True, slots=True)
class Validated:
    """One validation.

    Attributes:
        epoch: after how many epochs.
        value: what ``validate`` gave; higher is better.
        best: the best value so far, with this one.
        best_epoch: after how many epochs it was reached.
    """

    epoch: int
    value: float
    best: float
    best_epoch: int


@dataclass(frozen=True)
class TrainHooks:
    """Called by the loop on the first process, in its own thread; all but ``stop`` must not raise.

    Attributes:
        progress: every ``log_every`` steps, and after ten seconds without.
        validated: after each validation.
        say: one line about anything unusual, alarms included.
        stop: asked after every step; True saves and ends the run.
    """

    progress: Callable[[Progress], None] = lambda _: None
    validated: Callable[[Validated], None] = lambda _: None
    say: Callable[[str], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False
