"""SwAV: what one view is assigned to, the other ones predict; the assignments use all prototypes equally.

Caron, Misra, Mairal, Goyal, Bojanowski and Joulin, "Unsupervised Learning of Visual Features by Contrasting Cluster
Assignments", NeurIPS 2020, equations 1 to 5 and algorithm 1: https://arxiv.org/abs/2006.09882
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.distances import similarities
from retrieval.functional.gather import gather, mean_over_processes, own_rows
from retrieval.functional.multi_crop import mean_over_pairs
from retrieval.functional.sinkhorn import sinkhorn
from retrieval.losses.soft_cross_entropy import soft_cross_entropy
from retrieval.methods.answers import signs_of
from retrieval.methods.crops import encoded
from retrieval.methods.method import QUEUE_SPREAD, TEACHER_UNCERTAINTY
from retrieval.methods.queue_length import fitted_queue
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp, unit
from retrieval.models.prototypes import Prototypes
from retrieval.models.queue import spread_of


class SwAV(SelfSupervised):
    """SwAV with multi-crop: two full-size views are assigned, and every view but a view itself predicts.

    Args:
        encoder: see ``SelfSupervised``; it takes images of every size that the views have.
        hidden: width of the projector's hidden layer.
        dimension: D, width of its output.
        prototypes: K.
        temperature: tau > 0 of the predictions.
        epsilon: of Sinkhorn's algorithm, > 0; the smaller, the harder the assignments.
        iterations: of Sinkhorn's algorithm.
        freeze_epochs: so many epochs from the start the prototypes stay as they are.
        queue: rows of earlier batches, over all processes, that are assigned beside each view's, for batches that are
            small beside K; 0: none. It has a part once it is full.
        queue_epoch: the epoch (from 0) from which on it is filled.
        seed: see ``SelfSupervised``.
    """

    queued: Tensor
    queue: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 2048,
        dimension: int = 128,
        prototypes: int = 3000,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        freeze_epochs: int = 1,
        queue: int = 0,
        queue_epoch: int = 15,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.temperature, self.epsilon, self.iterations = temperature, epsilon, iterations
        self.freeze_epochs, self.queue_epoch = freeze_epochs, queue_epoch
        self.projector = mlp([encoder.dimension, hidden, dimension], seed=seed)
        self.prototypes = Prototypes(prototypes, dimension, seed=seed + 1)
        self.register_buffer("queue", torch.zeros(self.views, queue, dimension))
        self.register_buffer("queued", torch.zeros((), dtype=torch.int64))
        self._waiting: list[Tensor] = []

    @classmethod
    def fitted_options(cls, options: Mapping[str, Any], examples: int) -> tuple[dict[str, Any], list[str]]:
        """A queue that is far shorter than an epoch; see ``queue_length``."""
        return fitted_queue(options, examples)

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The swapped prediction of all views, over all processes."""
        seen = encoded(self.encoder, views)
        # In one pass, so that the projector's batch-norm sees all views together, as the authors' does.
        rows = unit(self.projector(torch.cat([one.raw for one in seen])))
        learn = int(self.epoch) >= self.freeze_epochs
        scores = self.prototypes(rows, learn).chunk(len(views))
        everyone = torch.stack([gather(part) for part in rows.chunk(len(views))[: self.views]])
        codes = [self._codes(view, everyone[view]) for view in range(self.views)]
        self._waiting.append(everyone)
        loss = mean_over_pairs(
            codes,
            scores,
            lambda predicted, code: soft_cross_entropy(predicted, code, temperature=self.temperature),
        )
        loss = mean_over_processes(loss)
        return loss, {"swav": loss.detach(), **self._signs(torch.cat(codes))}, seen[: self.views]

    def after_step(self) -> None:
        """The prototypes go back onto the sphere, and the queue takes the step's rows."""
        self.prototypes.renormalise()
        if int(self.epoch) >= self.queue_epoch:
            for everyone in self._waiting:
                self._enqueue(everyone)
        self._waiting = []

    def skipped_step(self) -> None:
        """The step's rows do not enter the queue."""
        self._waiting = []

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector and the prototypes."""
        yield self.projector, 1.0
        yield self.prototypes, 1.0

    def chance_constants(self) -> dict[str, float]:
        """ln K: every prototype is as near as any other."""
        return {"swav": math.log(len(self.prototypes.weight))}

    @torch.no_grad()
    def _codes(self, view: int, everyone: Tensor) -> Tensor:
        """[B, K] assignments of this process's rows of a view, found for all processes' and the queue's together."""
        rows = torch.cat([self.queue[view].to(everyone.dtype), everyone]) if self._full() else everyone
        scores = similarities(rows, self.prototypes.weight)
        codes = sinkhorn(scores, epsilon=self.epsilon, iterations=self.iterations)
        return own_rows(codes[len(rows) - len(everyone) :])

    @torch.no_grad()
    def _enqueue(self, everyone: Tensor) -> None:
        """[views, world * B, D] to the front; the oldest rows fall off the end."""
        length = self.queue.shape[1]
        self.queue.copy_(torch.cat([everyone.to(self.queue.dtype), self.queue], dim=1)[:, :length])
        self.queued.add_(everyone.shape[1]).clamp_(max=length)

    @torch.no_grad()
    def _signs(self, codes: Tensor) -> dict[str, Tensor]:
        """How hard the assignments are, from 0 to ln K, the share of the prototypes that are somebody's first, and what
        the alarms look at."""
        signs = signs_of(codes)
        entropy = signs[TEACHER_UNCERTAINTY] * math.log(codes.shape[1])
        first = torch.bincount(gather(codes.argmax(dim=1)), minlength=codes.shape[1])
        used = {"assignment_entropy": entropy, "prototypes_used": (first > 0).to(codes.dtype).mean()}
        return used | signs | ({QUEUE_SPREAD: spread_of(self.queue.flatten(0, 1))} if self._full() else {})

    def _full(self) -> bool:
        """Whether the queue has a part: only once it is full."""
        return 0 < self.queue.shape[1] <= int(self.queued)
