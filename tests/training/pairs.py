"""The runs that two processes must end like one: every loss, every miner, and the loop's own ways with a batch."""

from dataclasses import dataclass, field
from typing import Any

from retrieval.losses import LOSSES
from retrieval.methods.metric_learning import Term
from retrieval.mining import MINERS
from retrieval.training.config import LoopConfig
from tests.training.tiny import config


@dataclass(frozen=True)
class PairRun:
    """The terms of one run and what its configuration changes."""

    terms: tuple[Term, ...]
    changes: dict[str, Any] = field(default_factory=dict)


def _mined(miner: str) -> Term:
    return Term("triplet" if MINERS[miner].gives == "triplets" else "contrastive", miner=miner)


RUNS: dict[str, PairRun] = {
    **{f"loss-{name}": PairRun((Term(name),)) for name, spec in LOSSES.items() if spec.inputs != "distributions"},
    **{f"miner-{name}": PairRun((_mined(name),)) for name in MINERS},
    "sum": PairRun((Term("triplet"), Term("center", 0.01), Term("softmax", 0.5))),
    "chunk": PairRun((Term("proxy_anchor"),), {"chunk": 4}),
    "accumulate": PairRun((Term("proxy_anchor"), Term("center", 0.1)), {"accumulate": 2}),
    "average": PairRun((Term("contrastive"),), {"average": 0.9, "clip": 0.1}),
}


def run_config(run: PairRun, devices: int) -> LoopConfig:
    """Plain gradient descent, so that a weight's change is the sum of its gradients; momentum is linear in them."""
    values = {"epochs": 1, "optimiser": "sgd", "warmup_share": 0.0, "schedule": "constant", **run.changes}
    return config(devices=devices, **values)
