"""What a run measures of itself: a reading of every step, and more between two lines of its log."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from retrieval.functional.batch import Batch
from retrieval.functional.diagnostics import SAMPLE, alignment, dimension_std, effective_rank, uniformity
from retrieval.methods.method import Method, StepOutput
from retrieval.training.alarms import Reading

RANK_EVERY = 10
"""Steps between two measurements of the rank for the alarms: two of them lie in every window of theirs."""

RANK_ROWS = 256
"""Embeddings that such a measurement takes, the latest ones: half of a report's, so that the singular values cost some
milliseconds."""


class Shown(NamedTuple):
    """What one batch of a step has shown.

    Attributes:
        logs: its scalars by name, the loss among them.
        embeddings: [n, D] normalised, float32, without gradient.
        labels: [n] which of them belong together.
        examples: of the batch.
        constants, chance: what the method declares of its terms for this batch; see ``Reading``.
    """

    logs: Mapping[str, float]
    embeddings: Tensor
    labels: Tensor
    examples: int
    constants: Mapping[str, float]
    chance: Mapping[str, float]


def shown(method: Method, batch: Batch, output: StepOutput) -> Shown:
    """What ``method`` made of ``batch``, right after it did."""
    logs = {"loss": float(output.loss.detach())} | {name: float(value) for name, value in output.logs.items()}
    embeddings = output.embeddings.detach().float()
    labels = batch.labels if output.labels is None else output.labels
    if embeddings.device.type == "mps":
        # It has no float64, in which the diagnostics compute.
        embeddings, labels = embeddings.cpu(), labels.cpu()
    return Shown(logs, embeddings, labels, len(batch.ids), method.collapse_constants(), method.chance_constants())


class Meter:
    """Means of the steps' scalars since the last report, the latest embeddings, and the pace."""

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}
        self.embeddings = torch.empty(0, 0)
        self.labels = torch.empty(0, dtype=torch.int64)
        self.started = self.reported = time.monotonic()
        self.examples = 0

    def read(self, step: int, group: Sequence[Shown], settled: bool = True) -> Reading:
        """The reading of a step (from 1) from its batches; the latest ``SAMPLE`` embeddings are kept. ``settled``: see
        ``Reading``."""
        logs = _means([one.logs for one in group])
        for name, value in logs.items():
            total = self.sums.setdefault(name, [0.0, 0])
            total[0] += value
            total[1] += 1
        for one in group:
            known = len(self.embeddings) > 0
            self.embeddings = (torch.cat([self.embeddings, one.embeddings]) if known else one.embeddings)[-SAMPLE:]
            self.labels = (torch.cat([self.labels, one.labels]) if known else one.labels)[-SAMPLE:]
            self.examples += one.examples
        spreads = [_spread(one.embeddings) for one in group if len(one.embeddings) > 1]
        return Reading(
            step=step,
            logs=logs,
            spread=math.fsum(spreads) / len(spreads) if spreads else None,
            constants=_means([one.constants for one in group]),
            chance=_means([one.chance for one in group]),
            rank_share=self.rank_share() if step % RANK_EVERY == 0 else None,
            settled=settled,
        )

    def rank_share(self) -> float | None:
        """Effective rank of the latest ``RANK_ROWS`` embeddings over the most it could be; None: not defined."""
        rows, labels = self.embeddings[-RANK_ROWS:], self.labels[-RANK_ROWS:]
        if not rows.numel():
            return None
        most = min(rows.shape)
        if bool((labels >= 0).all()):
            # What has been learned of C classes lies in about C dimensions, and should.
            most = min(most, len(torch.unique(labels)))
        share = float(effective_rank(rows)) / most
        return share if math.isfinite(share) else None

    def report(self) -> dict[str, float | None]:
        """Means since the last report, and the diagnostics of the latest embeddings; starts anew."""
        means: dict[str, float | None] = {name: total / count for name, (total, count) in self.sums.items()}
        self.sums = {}
        return means | self.diagnostics()

    def diagnostics(self) -> dict[str, float | None]:
        """Alignment, uniformity and effective rank (not centred) of the latest embeddings; None: not defined."""
        values = {
            "alignment": alignment(self.embeddings, self.labels),
            "uniformity": uniformity(self.embeddings),
            "effective_rank": effective_rank(self.embeddings),
        }
        return {name: float(v) if math.isfinite(float(v)) else None for name, v in values.items()}

    def silent(self) -> float:
        """Seconds since ``pace`` was last asked."""
        return time.monotonic() - self.reported

    def pace(self) -> float:
        """Examples a second since the last call, in this process."""
        now = time.monotonic()
        pace = self.examples / max(1e-9, now - self.reported)
        self.reported, self.examples = now, 0
        return pace

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run logs what an uninterrupted one would."""
        return {"sums": self.sums, "embeddings": self.embeddings, "labels": self.labels}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """The inverse of ``state_dict``."""
        self.sums = state["sums"]
        self.embeddings, self.labels = state["embeddings"].to(device), state["labels"].to(device)


def _means(each: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every scalar over those that have it: the active share is not measured in every batch."""
    values: dict[str, list[float]] = {}
    for one in each:
        for name, value in one.items():
            values.setdefault(name, []).append(value)
    return {name: math.fsum(some) / len(some) for name, some in values.items()}


def _spread(embeddings: Tensor) -> float:
    """See ``Reading.spread``."""
    return float(dimension_std(embeddings).mean()) * math.sqrt(embeddings.shape[1])
