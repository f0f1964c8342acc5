"""What a run measures of itself between two lines of its log."""

import math
import time
from typing import Any

import torch
from torch import Tensor

from retrieval.functional.diagnostics import SAMPLE, alignment, effective_rank, uniformity


class Meter:
    """Means of the step's scalars since the last report, the latest embeddings, and the pace."""

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}
        self.embeddings = torch.empty(0, 0)
        self.labels = torch.empty(0, dtype=torch.int64)
        self.started = self.reported = time.monotonic()
        self.examples = 0

    def add(self, logs: dict[str, float], embeddings: Tensor, labels: Tensor, examples: int) -> None:
        """One batch of so many examples: its scalars, [n, D] embeddings and [n] labels, of which the latest ``SAMPLE``
        are kept."""
        for name, value in logs.items():
            total = self.sums.setdefault(name, [0.0, 0])
            total[0] += value
            total[1] += 1
        known = len(self.embeddings) > 0
        self.embeddings = (torch.cat([self.embeddings, embeddings]) if known else embeddings)[-SAMPLE:]
        self.labels = (torch.cat([self.labels, labels]) if known else labels)[-SAMPLE:]
        self.examples += examples

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
