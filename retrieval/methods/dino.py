"""DINO: a student predicts its own slow average, which centring and sharpening keep from collapse.

Caron, Touvron, Misra, Jégou, Mairal, Bojanowski and Joulin, "Emerging Properties in Self-Supervised Vision
Transformers", ICCV 2021, equations 1 to 4 and algorithm 1: https://arxiv.org/abs/2104.14294
"""

import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather, mean_over_processes
from retrieval.functional.multi_crop import mean_over_pairs
from retrieval.losses.soft_cross_entropy import soft_cross_entropy
from retrieval.methods.answers import signs_of
from retrieval.methods.crops import encoded
from retrieval.methods.method import TEACHER_UNCERTAINTY
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.dino_head import DinoHead
from retrieval.models.encoder import Encoder, EncoderOutput
from retrieval.models.momentum import MomentumTwin, rising

_FOUND = 0.01
"""Share of the way to the mean answer that a centre may have left to go."""


class DINO(SelfSupervised):
    """DINO with multi-crop: the teacher sees the two full-size views, the student all, and no pair is of one view.

    The teacher's mean entropy h and its mean divergence KL from the student are in the log; the loss is their sum.
    Centring alone leads to h = ln K, sharpening alone to h = 0, and both to KL = 0 (section 5.3).

    Args:
        encoder: see ``SelfSupervised``; it takes images of every size that the views have.
        hidden: width of the head's hidden layers.
        bottleneck: width of what the prototypes are compared with.
        prototypes: K.
        layers: of the head, before its prototypes.
        temperature: tau_s > 0 of the student.
        teacher_temperature: tau_t > 0 after the warm-up; the nearer to the student's, the less the teacher sharpens.
        warmup_temperature: of the teacher in the first epoch.
        warmup_epochs: after so many epochs it is ``teacher_temperature``, along a line until then; 0: from the start.
        centre_momentum: of the centre, in [0, 1]; 1 leaves it at 0: no centring.
        momentum: of the teacher at the start, in [0, 1]; it rises to 1 by the end of the run.
        freeze_epochs: so many epochs from the start the prototypes stay as they are.
        seed: see ``SelfSupervised``.
    """

    centre: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden: int = 2048,
        bottleneck: int = 256,
        prototypes: int = 65536,
        layers: int = 3,
        temperature: float = 0.1,
        teacher_temperature: float = 0.07,
        warmup_temperature: float = 0.04,
        warmup_epochs: int = 30,
        centre_momentum: float = 0.9,
        momentum: float = 0.996,
        freeze_epochs: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.temperature, self.teacher_temperature = temperature, teacher_temperature
        self.warmup_temperature, self.warmup_epochs = warmup_temperature, warmup_epochs
        self.centre_momentum, self.momentum, self.freeze_epochs = centre_momentum, momentum, freeze_epochs
        self.head = DinoHead(encoder.dimension, hidden, bottleneck, prototypes, layers, seed)
        self.teacher_encoder = MomentumTwin(encoder)
        self.teacher_head = MomentumTwin(self.head)
        self.register_buffer("centre", torch.zeros(prototypes))
        self._waiting: list[Tensor] = []

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The cross-entropy of the students of all views with the teachers of other ones, over all processes."""
        seen = encoded(self.encoder, views)
        learn = int(self.epoch) >= self.freeze_epochs
        students = self.head(torch.cat([one.raw for one in seen]), learn).chunk(len(views))
        scores = self._teachers(views[: self.views])
        teachers = ((scores - self.centre) / self.teacher_temperature_now()).softmax(dim=1)
        # Kept for ``after_step``: this loss is still that of the centre before.
        self._waiting.append(scores.mean(dim=0, keepdim=True))
        loss = mean_over_pairs(
            teachers.chunk(self.views),
            students,
            lambda student, teacher: soft_cross_entropy(student, teacher, temperature=self.temperature),
        )
        loss = mean_over_processes(loss)
        signs = signs_of(teachers)
        entropy = signs[TEACHER_UNCERTAINTY] * math.log(len(self.centre))
        logs = {"dino": loss.detach(), "teacher_entropy": entropy, "teacher_kl": loss.detach() - entropy, **signs}
        return loss, logs, seen[: self.views]

    def after_step(self) -> None:
        """The centre and the teacher follow."""
        if self._waiting:
            # Batches have as many rows in every process, so that the mean of their means is the mean.
            mean = gather(torch.cat(self._waiting)).mean(dim=0)
            self.centre.lerp_(mean.to(self.centre.dtype), 1 - self.centre_momentum)
            self._waiting = []
        # Less the one just seen, so that the first step has the momentum of the start.
        momentum = rising(self.momentum, int(self.batches) - 1, self.steps)
        self.teacher_encoder.follow(momentum)
        self.teacher_head.follow(momentum)

    def skipped_step(self) -> None:
        """The step's answers do not move the centre."""
        self._waiting = []

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The head."""
        yield self.head, 1.0

    def chance_constants(self) -> dict[str, float]:
        """ln K: the teacher says nothing about any image. (A teacher that says the same of all stands at 0.)

        Once the centre has come to within a hundredth of where it goes: it takes away what random weights say of every
        image alike, and with that a healthy run's teacher says nothing at first.
        """
        m = self.centre_momentum
        found = m in (0, 1) or m ** int(self.batches) < _FOUND
        return {"teacher_entropy": math.log(len(self.centre))} if found else {}

    def teacher_temperature_now(self) -> float:
        """tau_t of the epoch at hand."""
        start, end = self.warmup_temperature, self.teacher_temperature
        share = min(1.0, int(self.epoch) / self.warmup_epochs) if self.warmup_epochs else 1.0
        return start + (end - start) * share

    def _teachers(self, views: Sequence[Tensor]) -> Tensor:
        """[views * B, K] scores of the teacher, without gradient."""
        seen = encoded(self.teacher_encoder, views)
        return cast(Tensor, self.teacher_head(torch.cat([one.raw for one in seen])))
