"""The runs that two processes must end like one: every loss, every miner, and the loop's own ways with a batch."""

from dataclasses import dataclass, field
from typing import Any

from retrieval.losses import LOSSES
from retrieval.methods.metric_learning import Term
from retrieval.mining import MINERS
from retrieval.models.encoder import Encoder
from retrieval.training.config import LoopConfig
from tests.training.tiny import Pictures, TinySource, config, convolutional_encoder, tiny_encoder


@dataclass(frozen=True)
class PairRun:
    """The terms of one run, what its configuration changes, and whether it is one of pictures and convolutions."""

    terms: tuple[Term, ...]
    changes: dict[str, Any] = field(default_factory=dict)
    convolutional: bool = False

    def encoder(self, dropout: float = 0.0) -> Encoder:
        """An untrained one with batch-norm."""
        return (convolutional_encoder if self.convolutional else tiny_encoder)(batch_norm=True, dropout=dropout)

    def source(self, per_epoch: int, part: slice = slice(None)) -> TinySource:
        """Batches of 12, or of the ``part`` of each that one of two processes sees."""
        return (Pictures if self.convolutional else TinySource)(per_epoch, part=part)


def _mined(miner: str) -> Term:
    return Term("triplet" if MINERS[miner].gives == "triplets" else "contrastive", miner=miner)


FLAT: dict[str, PairRun] = {
    **{f"loss-{name}": PairRun((Term(name),)) for name, spec in LOSSES.items() if spec.inputs != "distributions"},
    **{f"miner-{name}": PairRun((_mined(name),)) for name in MINERS},
    "sum": PairRun((Term("triplet"), Term("center", 0.01), Term("softmax", 0.5))),
    "chunk": PairRun((Term("proxy_anchor"),), {"chunk": 4}),
    "accumulate": PairRun((Term("proxy_anchor"), Term("center", 0.1)), {"accumulate": 2}),
    "average": PairRun((Term("contrastive"),), {"average": 0.9, "clip": 0.1}),
}

TWINS = ("loss-triplet", "sum", "chunk", "accumulate", "average")
"""Those that are run with convolutions too, whose pictures and weights lie with channels last, and whose batch-norm is
frozen: a loss does not see what its embeddings came from, the ways with a batch do."""

RUNS: dict[str, PairRun] = {
    **FLAT,
    **{
        f"convolutional-{name}": PairRun(FLAT[name].terms, {"batch_norm": "frozen", **FLAT[name].changes}, True)
        for name in TWINS
    },
}


def run_config(run: PairRun, devices: int) -> LoopConfig:
    """Plain gradient descent, so that a weight's change is the sum of its gradients; momentum is linear in them."""
    values = {"epochs": 1, "optimiser": "sgd", "warmup_share": 0.0, "schedule": "constant", **run.changes}
    return config(devices=devices, **values)
