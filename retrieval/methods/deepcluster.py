"""DeepCluster-v2: clusters of all images' features, made anew every epoch, are the classes of the next.

Caron, Bojanowski, Joulin and Douze, "Deep Clustering for Unsupervised Learning of Visual Features", ECCV 2018:
https://arxiv.org/abs/1807.05520; in its second form, with spherical k-means over remembered features and centroids as
the weights of the classifier: Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster
Assignments", NeurIPS 2020, appendix C (https://arxiv.org/abs/2006.09882) and its code
(https://github.com/facebookresearch/swav, main_deepclusterv2.py).
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from retrieval.core.errors import BadValue
from retrieval.core.protocols import NearestRow
from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather, gather_with_gradient
from retrieval.functional.labels import NO_LABEL
from retrieval.functional.latest import latest
from retrieval.functional.spherical_kmeans import spherical_kmeans
from retrieval.losses.cosine_softmax import cosine_softmax
from retrieval.methods.answers import variety
from retrieval.methods.crops import encoded
from retrieval.methods.method import TEACHER_VARIETY
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp, unit


class DeepCluster(SelfSupervised):
    """DeepCluster-v2 with multi-crop: the two full-size views are remembered, all views are classified.

    A bank remembers every image's projections as they were when it was last seen; the first epoch begins with a pass
    that fills it. Each epoch begins with k-means over it, once for each head from other random centroids, in turns
    over the first and the second views.

    Args:
        encoder: see ``SelfSupervised``; it takes images of every size that the views have.
        examples: n, images of the dataset, whose ids are below it.
        nearest: the search that k-means uses.
        hidden: width of the projector's hidden layer.
        dimension: D, width of its output.
        clusters: K of each head, at most n.
        heads: clusterings side by side.
        iterations: of k-means.
        temperature: tau > 0 of the classification.
        seed: see ``SelfSupervised``.

    Attributes:
        bank: [2, n, D] unit rows, of the first and the second full-size views; 0 where an image was never seen.
        centroids: [heads, K, D] unit rows.
        assignments: [heads, n] int64 clusters, or -1.
        variety: [heads] entropy of the epoch's clusters; see ``answers.variety``.
        largest, reseeded: [heads] of the epoch's clustering: the share of the images that its largest cluster has,
            and how many clusters stood empty at its end.

    Raises:
        BadValue: more clusters than images.
    """

    bank: Tensor
    centroids: Tensor
    assignments: Tensor
    variety: Tensor
    largest: Tensor
    reseeded: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        examples: int,
        nearest: NearestRow,
        hidden: int = 2048,
        dimension: int = 128,
        clusters: int = 3000,
        heads: int = 3,
        iterations: int = 10,
        temperature: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        if clusters > examples:
            raise BadValue(
                f"{examples} images cannot make {clusters} clusters.", f"Set clusters = {max(2, examples // 10)}."
            )
        self.nearest, self.iterations, self.temperature = nearest, iterations, temperature
        self.projector = mlp([encoder.dimension, hidden, dimension], seed=seed)
        self.register_buffer("bank", torch.zeros(self.views, examples, dimension))
        self.register_buffer("centroids", torch.zeros(heads, clusters, dimension))
        self.register_buffer("assignments", torch.full((heads, examples), NO_LABEL, dtype=torch.int64))
        self.register_buffer("variety", torch.ones(heads))
        self.register_buffer("largest", torch.zeros(heads))
        self.register_buffer("reseeded", torch.zeros(heads))
        self._waiting: list[tuple[Tensor, Tensor]] = []

    def before_epoch(self, epoch: int, batches: Callable[[], Iterator[Batch]]) -> None:
        """Fill the bank if it is empty, and cluster it.

        Raises:
            BadValue: the epochs show fewer images than there are clusters.
        """
        super().before_epoch(epoch, batches)
        if not bool(self.bank.any()):
            self._fill(batches())
        self._cluster()

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """Mean over heads of the classification of all views, over all processes."""
        seen = encoded(self.encoder, views)
        # In one pass, so that the projector's batch-norm sees all views together, as the authors' does.
        rows = unit(self.projector(torch.cat([one.raw for one in seen])))
        self._waiting.append((gather(batch.ids), self._remembered(rows, len(views))))
        everyone = gather_with_gradient(rows)
        labels = self.assignments[:, gather(batch.ids.repeat(len(views)))]
        scale = 1 / self.temperature
        losses = [
            cosine_softmax(everyone, own, weights=weights.to(everyone.dtype), scale=scale, kind="normface")
            for own, weights in zip(labels, self.centroids, strict=True)
        ]
        loss = torch.stack(losses).mean()
        signs = {
            "largest_cluster": self.largest.mean(),
            "reseeded": self.reseeded.sum(),
            TEACHER_VARIETY: self.variety.mean(),
        }
        return loss, {"deepcluster": loss.detach(), **signs}, seen[: self.views]

    def after_step(self) -> None:
        """The bank takes the step's rows."""
        for ids, rows in self._waiting:
            self._remember(ids, rows)
        self._waiting = []

    def skipped_step(self) -> None:
        """The bank keeps what it has."""
        self._waiting = []

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector; centroids are found, not learned."""
        yield self.projector, 1.0

    def chance_constants(self) -> dict[str, float]:
        """ln K: every centroid is as near as any other."""
        return {"deepcluster": math.log(self.centroids.shape[1])}

    @torch.no_grad()
    def _fill(self, batches: Iterator[Batch]) -> None:
        """A first pass over the epoch, in train mode like the steps whose features will replace these."""
        for batch in batches:
            views = (batch.inputs, *batch.others)[: self.views]
            rows = unit(self.projector(torch.cat([one.raw for one in encoded(self.encoder, views)])))
            self._remember(gather(batch.ids), self._remembered(rows, self.views))

    @torch.no_grad()
    def _remembered(self, rows: Tensor, views: int) -> Tensor:
        """[2, world * B, D] of this process's rows of all views: the full-size ones', of all processes."""
        return torch.stack([gather(part) for part in rows.chunk(views)[: self.views]])

    @torch.no_grad()
    def _remember(self, ids: Tensor, rows: Tensor) -> None:
        places = latest(ids)
        self.bank[:, ids[places]] = rows[:, places].to(self.bank.dtype)

    @torch.no_grad()
    def _cluster(self) -> None:
        """New centroids and assignments of all heads, the same in all processes; images never seen have none."""
        generator = self.draws()
        bank = self.bank.cpu()
        known = bank.any(dim=2).all(dim=0)
        if int(known.sum()) < self.centroids.shape[1]:
            raise BadValue(
                f"{self.centroids.shape[1]} clusters need as many images, and an epoch shows {int(known.sum())}.",
                "Use fewer clusters.",
            )
        for head in range(len(self.centroids)):
            rows = bank[head % self.views, known]
            found = spherical_kmeans(rows, self.centroids.shape[1], self.nearest, generator, iterations=self.iterations)
            self.centroids[head] = found.centroids.to(self.centroids.device)
            self.assignments[head, known.to(self.assignments.device)] = found.labels.to(self.assignments.device)
            shares = torch.bincount(found.labels, minlength=len(found.centroids)) / len(rows)
            self.variety[head] = variety(shares, len(rows))
            self.largest[head] = shares.max()
            self.reseeded[head] = found.reseeded
