"""Fine-tuning: the second stage of SimCLRv2. An encoder that learned without labels learns to classify with them.

Chen, Kornblith, Swersky, Norouzi and Hinton, "Big Self-Supervised Models are Strong Semi-Supervised Learners", NeurIPS
2020, section 2: https://arxiv.org/abs/2006.10029
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather, gather_with_gradient
from retrieval.losses.softmax import softmax
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.classifier import Classifier, classifier_layer
from retrieval.models.encoder import Encoder, EncoderOutput


class FineTuning(SelfSupervised):
    """Softmax over the classes, from the encoder's raw embedding, over the labelled rows of all processes together.

    To fine-tune from the projector's first hidden layer, as the paper does, give the encoder that layer as its head
    (``models.first_layer.with_first_layer``) before. In the log, beside the loss: ``accuracy``, the share of labelled
    rows that are classified rightly.

    Args:
        encoder: what is trained.
        classes: C; labels are 0 to C - 1, or -1.
        seed: of the classifier.

    Raises:
        ValueError: fewer than two classes.
    """

    views = 1

    def __init__(self, encoder: Encoder, *, classes: int, seed: int = 0) -> None:
        super().__init__(encoder, seed=seed)
        self.classifier = classifier_layer(encoder.dimension, classes, seed=seed)

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The loss of the first view.

        Raises:
            ValueError: a label that is no class.
        """
        output = self.encoder(views[0])
        embeddings, labels = gather_with_gradient(output.raw), gather(batch.labels)
        loss = softmax(embeddings, labels, weights=self.classifier.weight, bias=self.classifier.bias)
        with torch.no_grad():
            right = self.classifier(embeddings).argmax(dim=1) == labels
        logs = {"softmax": loss.detach(), "accuracy": right.sum() / (labels >= 0).sum().clamp_min(1)}
        return loss, logs, [output]

    def belonging(self, batch: Batch) -> Tensor:
        """Images of a class belong together."""
        return batch.labels

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """The classifier."""
        yield self.classifier, 1.0

    def collapse_constants(self) -> dict[str, float]:
        """ln C: every class is as likely as any other, whatever the image."""
        return {"softmax": math.log(self.classifier.out_features)}

    def teacher(self) -> Classifier:
        """Encoder and classifier as one, to distil a student from; they are shared, not copied."""
        return Classifier(self.encoder, self.classifier)
