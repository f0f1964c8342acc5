"""What all methods that learn without labels share: several views of every image, and layers that are left behind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.methods.method import RAW_NORM, Method, ParameterGroup, StepOutput, split_by_decay
from retrieval.methods.ranges import refuse_out_of_range
from retrieval.models.encoder import Encoder, EncoderOutput


class SelfSupervised(Method):
    """An encoder that learns from views of images.

    What is kept afterwards, and what the diagnostics look at, is the encoder's embedding, before the projector. A
    method writes ``loss_of_views`` and says in ``learned`` which modules beside the encoder are optimised. What it
    draws depends on ``seed`` and on the number of batches seen, never on the global random state, so that all
    processes draw the same and a resumed run goes on as it would have.

    Args:
        encoder: what is trained; its raw embedding (width ``encoder.dimension``) is what projectors get.
        seed: of projectors and draws.

    Attributes:
        views: how many views of an image a batch must have at the least, or a multi-crop's full-size ones.
        steps, per_epoch: batches of the run and of its first epoch, once ``begin`` was called.
        batches: scalar int64, how many were seen.
        epoch: scalar int64, the one at hand, from 0; a buffer, so that it is known in the middle of a resumed one.
    """

    views = 2
    encoder: Encoder
    batches: Tensor
    epoch: Tensor

    def __init__(self, encoder: Encoder, *, seed: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.seed = seed
        self.steps, self.per_epoch = 1, 1
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))

    @classmethod
    def check_options(cls, options: Mapping[str, Any]) -> None:
        """Refuse what cannot be, before anything is built.

        Args:
            options: all that the signature has, given or by default, by name.

        Raises:
            ValueError, BadValue: a number out of its range, or two that do not fit together.
        """
        refuse_out_of_range(options)

    @classmethod
    def least_batch(cls, options: Mapping[str, Any]) -> int:
        """Fewest images that a batch must have with these options; of a single one nothing can be told apart."""
        return 2

    @classmethod
    def fitted_options(cls, options: Mapping[str, Any], examples: int) -> tuple[dict[str, Any], list[str]]:
        """What ``examples`` images need otherwise.

        Args:
            options: as in ``check_options``.
            examples: n, images of the dataset.

        Returns:
            The options that are to be other values, by name, and what to tell people about them, a line each.
        """
        return {}, []

    def begin(self, steps: int, per_epoch: int) -> None:
        """See ``Method.begin``."""
        self.steps, self.per_epoch = max(1, steps), max(1, per_epoch)

    def before_epoch(self, epoch: int, batches: Callable[[], Iterator[Batch]]) -> None:
        """See ``Method.before_epoch``."""
        self.epoch.fill_(epoch)

    def training_step(self, batch: Batch) -> StepOutput:
        """The loss of one batch of several views.

        Raises:
            ValueError: the batch has fewer views than the method learns from.
        """
        views = (batch.inputs, *batch.others)
        if len(views) < self.views:
            raise ValueError(f"{type(self).__name__} learns from {self.views} views of an image, not {len(views)}.")
        loss, logs, seen = self.loss_of_views(views, batch)
        self.batches += 1
        logs = {**logs, RAW_NORM: seen[0].raw.detach().norm(dim=1).mean()}
        embeddings = torch.cat([one.normalised.detach() for one in seen])
        return StepOutput(loss, logs, embeddings, self.belonging(batch).repeat(len(seen)))

    def belonging(self, batch: Batch) -> Tensor:
        """[B] which embeddings belong together, for the diagnostics: those of one image, if nothing else is known."""
        return batch.ids

    def loss_of_views(
        self, views: Sequence[Tensor], batch: Batch
    ) -> tuple[Tensor, dict[str, Tensor], Sequence[EncoderOutput]]:
        """The loss of a batch.

        Args:
            views: [B, 3, S, S] each, of the same B images.
            batch: they come from.

        Returns:
            The scalar loss, named scalars without gradient for the log, and what the encoder gave for the full-size
            views, [B, D] each.
        """
        raise NotImplementedError

    def learned(self) -> Iterator[tuple[nn.Module, float]]:
        """Modules beside the encoder that are optimised, each with its factor on the learning rate."""
        raise NotImplementedError

    def groups(self) -> Iterator[ParameterGroup]:
        """``"backbone"``, ``"head"`` (all else of the encoder) and ``"loss"`` (``learned``)."""
        backbone = list(self.encoder.backbone.parameters())
        inside = {id(parameter) for parameter in backbone}
        yield from split_by_decay("backbone", backbone, 1.0)
        yield from split_by_decay("head", [p for p in self.encoder.parameters() if id(p) not in inside], 1.0)
        for module, rate in self.learned():
            yield from split_by_decay("loss", [p for p in module.parameters() if p.requires_grad], rate)

    def draws(self) -> torch.Generator:
        """A generator on the CPU for this batch, the same in all processes."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.batches))

    def progress(self) -> float:
        """Share of the run's batches that were seen, in [0, 1]."""
        return min(1.0, int(self.batches) / self.steps)
