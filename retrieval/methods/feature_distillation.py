"""Distillation of features: a smaller encoder learns to lay out images as a frozen one does. Needs no labels.

Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015: https://arxiv.org/abs/1412.6550; Tung and Mori,
"Similarity-Preserving Knowledge Distillation", ICCV 2019: https://arxiv.org/abs/1907.09682
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather, gather_with_gradient
from retrieval.losses.feature_distillation import cosine_term, similarity_term
from retrieval.methods.taught import FrozenTeacher
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.projector import mlp


class FeatureDistillation(FrozenTeacher):
    """Two terms, each with its weight: the student's embedding, projected onto the teacher's width, points where the
    teacher's does (``cosine``); and the student's own embeddings are as similar to each other as the teacher's
    (``similarity``), over all processes together.

    The second looks at the student's embedding itself, before the projector, since that is what is kept and searched.
    The teacher sees the same pixels; it is a part of the method, so that a checkpoint says whose features a run learns,
    stays in eval mode and gets no gradient. In the log, unweighted: ``cosine`` and ``similarity``.

    Args:
        encoder: the student's.
        teacher: an encoder of the same pixels.
        cosine, similarity: weights >= 0 of the terms, not both 0.
        layers: of the projector from the student's width to the teacher's, 1 or more.
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
        layers: int = 1,
        hidden: int = 2048,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.check_options({"cosine": cosine, "similarity": similarity, "layers": layers})
        self.cosine, self.similarity = cosine, similarity
        self.projector = mlp([encoder.dimension, *[hidden] * (layers - 1), teacher.dimension], seed=seed)
        self.teacher = teacher.eval().requires_grad_(False)

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """See ``SelfSupervised.check_options``."""
        super().check_options(options)
        if not options["cosine"] and not options["similarity"]:
            raise ValueError("Of cosine and similarity one is above 0: else nothing is learned.")

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The loss of the first view."""
        output = self.encoder(views[0])
        with torch.no_grad():
            wanted = self.teacher(views[0]).normalised
        cosine = cosine_term(self.projector(output.raw), wanted)
        similarity = similarity_term(gather_with_gradient(output.raw), gather(wanted))
        loss = self.cosine * cosine + self.similarity * similarity
        return loss, {"cosine": cosine.detach(), "similarity": similarity.detach()}, [output]

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The projector, where a term uses it."""
        if self.cosine:
            yield self.projector, 1.0
