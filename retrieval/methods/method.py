"""What every training method offers to the loop."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from retrieval.functional.batch import Batch

RAW_NORM = "raw_norm"
"""In the logs: mean length of the embeddings before normalisation, for the alarm "exploding norm"."""

TEACHER_UNCERTAINTY = "teacher_uncertainty"
"""In the logs: mean entropy of the answers that the method learns to give, over the most that it can be, ln K: 1 where
they say nothing of any image, 0 where each is of one class. For the alarm "uniform teacher"."""

TEACHER_VARIETY = "teacher_variety"
"""In the logs: entropy of their mean over the batch, over the most that it can be (the logarithm of K or of the number
of answers, the smaller of the two): 0 where all images get the same one-hot answer. For the alarm "one-hot teacher"."""

QUEUE_SPREAD = "queue_spread"
"""In the logs: mean standard deviation of the dimensions of a queue's unit rows, times the root of D: 1 where they are
spread evenly, 0 where all are one point. For the alarm "dead queue"."""


class StepOutput(NamedTuple):
    """What one step gives.

    Attributes:
        loss: scalar, to be minimised.
        logs: scalars without gradient, by name: the loss's terms, and whatever else the method has to report; all are
            logged and within reach of the alarms. ``"active"`` is the share of active pairs or triplets; see
            ``RAW_NORM``.
        embeddings: [n, D] normalised, without gradient: what the diagnostics look at.
        labels: [n] which of them belong together, for alignment; None: they are the batch's, with its labels.
    """

    loss: Tensor
    logs: dict[str, Tensor]
    embeddings: Tensor
    labels: Tensor | None = None


class ParameterGroup(NamedTuple):
    """Parameters that share a learning rate.

    Attributes:
        name: ``"backbone"``, ``"head"``, ``"loss"``, or a layer of the backbone.
        parameters: that are trained.
        rate: factor on the run's learning rate.
        decay: whether weight decay applies.
    """

    name: str
    parameters: list[nn.Parameter]
    rate: float
    decay: bool


class Method(nn.Module):
    """One way to train an encoder. All state is parameters or buffers, so that a checkpoint is the ``state_dict``.

    Attributes:
        encoder: what is trained and kept afterwards.
    """

    encoder: nn.Module

    def begin(self, steps: int, per_epoch: int) -> None:
        """Before the first step of this process, a resumed run's too: how many batches the run and its first epoch
        have, for what follows a schedule (a step of the optimiser may take several). Changes no state."""

    def before_epoch(self, epoch: int, batches: Callable[[], Iterator[Batch]]) -> None:
        """Before the first step of an epoch (from 0), in train mode; not when a run goes on in the middle of one.

        Args:
            epoch: from 0.
            batches: gives the epoch's batches anew, on the method's device: for what looks at all examples first.
        """

    def training_step(self, batch: Batch) -> StepOutput:
        """The loss of one batch."""
        raise NotImplementedError

    def embed(self, inputs: Tensor) -> Any:
        """What ``loss_of`` needs of [B, ...] inputs: an ``EncoderOutput``, or one a view. Used by gradient caching,
        which embeds a batch in pieces; nothing in it may mix the examples of a batch."""
        raise NotImplementedError

    def loss_of(self, output: Any, batch: Batch) -> StepOutput:
        """The loss of a whole batch from what ``embed`` gave; ``training_step`` is the two, one after the other."""
        raise NotImplementedError

    def after_step(self) -> None:
        """After the optimiser's step: moving averages, queues, centres that follow a rule."""

    def skipped_step(self) -> None:
        """In place of ``after_step`` where an overflow in fp16 left the weights as they were: what its batches have
        left behind for ``after_step`` is forgotten."""

    def collapse_constants(self) -> dict[str, float]:
        """For the alarm "loss = margin": where scalars in the logs stand when all embeddings are alike, by name. As of
        the last batch."""
        return {}

    def chance_constants(self) -> dict[str, float]:
        """For the alarm "loss = chance": where scalars in the logs stand when the embeddings tell nothing, all alike or
        all unrelated, by name. As of the last batch."""
        return {}

    def groups(self) -> Iterator[ParameterGroup]:
        """Every trained parameter once."""
        raise NotImplementedError


def split_by_decay(name: str, parameters: Sequence[nn.Parameter], rate: float) -> Iterator[ParameterGroup]:
    """Groups of one name and rate: matrices, which decay, apart from vectors (biases, normalisation), which do not."""
    matrices = [parameter for parameter in parameters if parameter.ndim > 1]
    vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
    for part, decay in ((matrices, True), (vectors, False)):
        if part:
            yield ParameterGroup(name, part, rate, decay)
