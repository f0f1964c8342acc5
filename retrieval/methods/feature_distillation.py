"""Distillation of features: a smaller encoder learns to lay out images as a frozen one does. Needs no labels.

Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015: https://arxiv.org/abs/1412.6550; Tung and Mori,
"Similarity-Preserving Knowledge Distillation", ICCV 2019: https://arxiv.org/abs/1907.09682; with labels besides:
Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020: https://arxiv.org/abs/2004.11362
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather, gather_with_gradient
from retrieval.losses.feature_distillation import cosine_term, similarity_term
from retrieval.losses.supervised_contrastive import supervised_contrastive
from retrieval.methods.taught import FrozenTeacher
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp


class FeatureDistillation(FrozenTeacher):
    """Terms, each with its weight: the student's embedding, projected onto the teacher's width, points where the
    teacher's does (``cosine``); the student's own embeddings are as similar to each other as the teacher's
    (``similarity``); and, where it has a weight, images of one label find each other among all others
    (``supervised``, for what the teacher tells apart badly); the last two over all processes together.

    The latter two look at the student's embedding itself, before the projector, since that is what is kept and
    searched. The teacher sees the same view, unless the batch brings what it has said (``Batch.targets``); it is a part
    of the method, so that a checkpoint says whose features a run learns, stays in eval mode and gets no gradient. In
    the log, unweighted: the terms that have a weight.

    Args:
        encoder: the student's.
        teacher: an encoder of the same pixels.
        cosine, similarity: weights >= 0 of the terms, not both 0.
        supervised: weight >= 0 of the term that learns from the batch's labels (Khosla et al. 2020).
        temperature: of that term, above 0.
        layers: of the projector from the student's width to the teacher's; 0: none, the student's embedding itself lies
            as the teacher's does, and has its width.
        hidden: width of its hidden layers.
        seed: of the projector.

    Raises:
        ValueError: see ``check_options``.
    """

    views = 1

    def __init__(
        self,
        encoder: Encoder,
        *,
        teacher: Encoder,
        cosine: float = 1.0,
        similarity: float = 1.0,
        supervised: float = 0.0,
        temperature: float = 0.1,
        layers: int = 1,
        hidden: int = 2048,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.check_options(
            {"cosine": cosine, "similarity": similarity, "supervised": supervised, "temperature": temperature}
            | {"layers": layers, "hidden": hidden}
        )
        self.layers = layers
        self.cosine, self.similarity, self.supervised, self.temperature = cosine, similarity, supervised, temperature
        if layers == 0 and encoder.dimension != teacher.dimension:
            raise ValueError(
                f"Without a projector (layers = 0) the student's width is the teacher's, {teacher.dimension}, "
                f"and not {encoder.dimension}."
            )
        widths = [encoder.dimension, *[hidden] * (layers - 1), teacher.dimension]
        self.projector = mlp(widths, seed=seed) if layers else nn.Identity()
        self.teacher = teacher.eval().requires_grad_(False)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """See ``SelfSupervised.check_options``."""
        # Of projectors this one alone may have no layer.
        super().check_options({**options, "layers": options.get("layers") or 1})
        if not options["cosine"] and not options["similarity"]:
            raise ValueError("Of cosine and similarity one is above 0: else nothing is learned.")

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The loss of the first view."""
        output = self.encoder(views[0])
        wanted = batch.targets
        if wanted is None:
            with torch.no_grad():
                wanted = self.teacher(views[0]).normalised
        cosine = cosine_term(self.projector(output.raw), wanted)
        similarity = similarity_term(gather_with_gradient(output.raw), gather(wanted))
        loss = self.cosine * cosine + self.similarity * similarity
        logs = {"cosine": cosine.detach(), "similarity": similarity.detach()}
        if self.supervised:
            rows, labels = gather_with_gradient(output.normalised), gather(batch.labels)
            supervised = supervised_contrastive(rows, labels, temperature=self.temperature)
            loss, logs["supervised"] = loss + self.supervised * supervised, supervised.detach()
        return loss, logs, [output]

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector, where a term uses it."""
        if self.cosine and self.layers:
            yield self.projector, 1.0
