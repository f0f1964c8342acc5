"""MoCo: a view of an image finds another one, encoded by a momentum twin, among a queue of earlier images.

He, Fan, Wu, Xie and Girshick, "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020,
algorithm 1: https://arxiv.org/abs/1911.05722. Version 2: Chen, Fan, Girshick and He, "Improved Baselines with Momentum
Contrastive Learning", 2020: https://arxiv.org/abs/2003.04297
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather
from retrieval.losses.info_nce_queries import info_nce_queries
from retrieval.methods.method import QUEUE_SPREAD
from retrieval.methods.queue_length import fitted_queue
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.momentum import MomentumTwin
from retrieval.models.projector import mlp, unit
from retrieval.models.queue import Queue, spread_of
from retrieval.models.split_norm import in_splits, trained_norms


class MoCo(SelfSupervised):
    """MoCo version 2; with ``layers`` 1 and ``temperature`` 0.07, version 1.

    The logits are those of the queue as it was before this batch, whose keys enter it after the step. Each process
    contrasts its own queries; the queue is the same in all and takes the keys of all.

    Batch-norm in the backbone, where it is trained: each process normalises ``splits`` parts of its batch apart, and
    the keys' batch in another order than the queries', so that no query shares its statistics with its key (see
    ``models.split_norm``). The twin's running statistics are its own (see ``models.momentum``).

    In the log, beside the loss: ``positive`` and ``negative``, the mean cosine of a query to its key and to the queue.

    Args:
        encoder: see ``SelfSupervised``.
        hidden: width of the projector's hidden layer, if it has one.
        dimension: width of its output.
        layers: of the projector: 2 as in version 2, 1 as in version 1. It has no batch-norm.
        temperature: tau > 0 (0.07 in version 1).
        queue: K, how many keys are remembered; need not be a multiple of the batch.
        momentum: m of the twin, in [0, 1].
        splits: of a batch, for trained batch-norm on each device; 1: none.
        symmetric: each of the two views is once query and once key; the loss is the mean, and both views' keys enter
            the queue.
        seed: see ``SelfSupervised``.

    Raises:
        ValueError: a queue of no rows.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 2048,
        dimension: int = 128,
        layers: int = 2,
        temperature: float = 0.2,
        queue: int = 65536,
        momentum: float = 0.999,
        splits: int = 8,
        symmetric: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.temperature, self.momentum, self.splits, self.symmetric = temperature, momentum, splits, symmetric
        self.projector = mlp([encoder.dimension, *[hidden] * (layers - 1), dimension], batch_norm=False, seed=seed)
        self.key_encoder = MomentumTwin(encoder)
        self.key_projector = MomentumTwin(self.projector)
        self.queue = Queue(queue, dimension, seed=seed)
        self._keys: list[Tensor] = []
        self._keys_a_batch = 0

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """See ``SelfSupervised.check_options``."""
        super().check_options(options)
        if options["queue"] < 1:
            raise ValueError("queue is at least 1: it holds what a query is told apart from.")

    @classmethod
    def fitted_options(cls, options: Mapping[str, Any], examples: int) -> tuple[dict[str, Any], list[str]]:
        """A queue that is far shorter than an epoch; see ``queue_length``."""
        return fitted_queue(options, examples)

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """InfoNCE of the first view's queries and the second view's keys; ``symmetric``: and the other way round."""
        draws = self.draws()
        pairs = [(views[0], views[1]), (views[1], views[0])][: 1 + self.symmetric]
        seen, losses, positives, negatives = [], [], [], []
        for query_view, key_view in pairs:
            output = self._encoded(query_view)
            queries, keys = unit(self.projector(output.raw)), self._keyed(key_view, draws)
            losses.append(
                info_nce_queries(queries, keys, self.queue.rows, temperature=self.temperature, in_batch=False)
            )
            still = queries.detach()
            positives.append((still * keys).sum(dim=1).mean())
            negatives.append(still.mean(dim=0) @ self.queue.rows.to(still).mean(dim=0))
            self._keys.append(gather(keys))
            seen.append(output)
        self._keys_a_batch = len(pairs) * len(self._keys[-1])
        loss = torch.stack(losses).mean()
        logs = {
            "moco": loss.detach(),
            "positive": torch.stack(positives).mean(),
            "negative": torch.stack(negatives).mean(),
            QUEUE_SPREAD: spread_of(self.queue.rows),
        }
        return loss, logs, seen

    def after_step(self) -> None:
        """The twin follows, and the step's keys enter the queue."""
        self.key_encoder.follow(self.momentum)
        self.key_projector.follow(self.momentum)
        for keys in self._keys:
            self.queue.enqueue(keys)
        self._keys = []

    def skipped_step(self) -> None:
        """The step's keys do not enter the queue."""
        self._keys = []

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector; the twin follows by itself."""
        yield self.projector, 1.0

    def chance_constants(self) -> dict[str, float]:
        """ln(K + 1): a query is as near to its key as to the whole queue.

        Once the queue holds keys alone: random rows are far from every key, and while keys that are still all alike
        take their place, the loss of a healthy run rises to this, too.
        """
        size = len(self.queue.rows)
        full = (int(self.batches) - 1) * self._keys_a_batch >= size
        return {"moco": math.log(size + 1)} if full else {}

    def _encoded(self, view: Tensor) -> EncoderOutput:
        return in_splits(self.encoder, trained_norms(self.encoder), view, self.splits)

    @torch.no_grad()
    def _keyed(self, view: Tensor, draws: torch.Generator) -> Tensor:
        """[B, D] keys of unit norm, without gradient, encoded in an order of their own."""
        norms = self._twin_norms()
        if norms and self.splits > 1:
            order = torch.randperm(len(view), generator=draws).to(view.device)
            raw = in_splits(self._twin, norms, view[order], self.splits).raw[order.argsort()]
        else:
            raw = self._twin(view).raw
        projected = self.key_projector(raw)
        assert isinstance(projected, Tensor)
        return unit(projected)

    def _twin(self, images: Tensor) -> EncoderOutput:
        output = self.key_encoder(images)
        assert isinstance(output, EncoderOutput)
        return output

    def _twin_norms(self) -> list[nn.modules.batchnorm._BatchNorm]:
        """Those of the twin's layers whose originals are trained: they are put into the same mode when it runs."""
        originals = {id(layer) for layer in trained_norms(self.encoder)}
        pairs = zip(self.encoder.modules(), self.key_encoder.copy.modules(), strict=True)
        return [
            twin
            for original, twin in pairs
            if id(original) in originals and isinstance(twin, nn.modules.batchnorm._BatchNorm)
        ]
