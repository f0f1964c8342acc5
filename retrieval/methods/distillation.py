"""Distillation: the third stage of SimCLRv2. A student, as large or smaller, takes over a fine-tuned teacher's answers.

Chen, Kornblith, Swersky, Norouzi and Hinton, "Big Self-Supervised Models are Strong Semi-Supervised Learners", NeurIPS
2020, equations 2 and 3: https://arxiv.org/abs/2006.10029
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.distances import widened
from retrieval.losses.distillation import labelled_term, soft_term
from retrieval.methods.taught import FrozenTeacher
from retrieval.models.classifier import classifier_layer
from retrieval.models.encoder import Encoder, EncoderOutput


class Distillation(FrozenTeacher):
    """(1 - alpha) cross-entropy of the labelled rows + alpha cross-entropy with the teacher's answers for all rows.

    The teacher sees the same pixels. It is a part of the method, so that a checkpoint says whose answers a run learns;
    it stays in eval mode and gets no gradient. In the log, unweighted: ``labelled`` and ``soft``, the two terms (see
    ``losses.distillation``), ``teacher_entropy``, which is the least that ``soft`` can be, and ``agreement``, the share
    of rows for which both name the same class first.

    Args:
        encoder: the student's.
        classes: C, as many as the teacher's logits.
        teacher_classifier: images [B, 3, S, S] to logits [B, C], e.g. ``FineTuning.teacher``.
        alpha: in [0, 1], the weight of the teacher; 1 needs no labels.
        temperature: tau > 0 of teacher and student.
        seed: of the student's classifier.

    Raises:
        ValueError: values out of range, or fewer than two classes.
    """

    views = 1

    def __init__(
        self,
        encoder: Encoder,
        *,
        classes: int,
        teacher_classifier: nn.Module,
        alpha: float = 1.0,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.check_options({"alpha": alpha, "temperature": temperature})
        self.alpha, self.temperature = alpha, temperature
        self.classifier = classifier_layer(encoder.dimension, classes, seed=seed)
        self.teacher = teacher_classifier.eval().requires_grad_(False)

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The loss of the first view.

        Raises:
            ValueError: a label that is no class, or a teacher with another number of classes.
        """
        output = self.encoder(views[0])
        student = widened(self.classifier(output.raw))
        with torch.no_grad():
            teacher = widened(self.teacher(views[0]))
        labelled = labelled_term(student, batch.labels)
        soft = soft_term(student, teacher, self.temperature)
        loss = (1 - self.alpha) * labelled + self.alpha * soft
        logs = {
            "labelled": labelled.detach(),
            "soft": soft.detach(),
            "teacher_entropy": soft_term(teacher, teacher, self.temperature),
            "agreement": (student.argmax(dim=1) == teacher.argmax(dim=1)).float().mean(),
        }
        return loss, logs, [output]

    def belonging(self, batch: Batch) -> Tensor:
        """Images of a class belong together."""
        return batch.labels

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The student's classifier."""
        yield self.classifier, 1.0
