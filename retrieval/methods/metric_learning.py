"""Supervised metric learning: a weighted sum of losses over labelled batches."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.functional.batch import Batch
from retrieval.functional.gather import gather, gather_with_gradient
from retrieval.losses import estimated_log_z, exact_centres
from retrieval.methods.inputs import arguments
from retrieval.methods.loss_state import LossState
from retrieval.methods.method import RAW_NORM, Method, ParameterGroup, StepOutput, split_by_decay
from retrieval.methods.terms import Resolved, Term, resolve
from retrieval.models.encoder import Encoder, EncoderOutput

__all__ = ["MetricLearning", "Term"]


class MetricLearning(Method):
    """An encoder that learns from labels.

    Each term sees the embeddings of all processes together, so that a batch spread over several is one batch. A miner
    looks at the same embeddings as its loss. What a loss draws (noise, a miner's negatives) depends on ``seed`` and on
    the number of batches seen, not on the global random state, so that all processes draw the same.

    Args:
        encoder: what is trained.
        terms: of the sum.
        classes: C; labels are 0 to C - 1, or -1.
        examples: n, images of the dataset, whose ids are below it; only the NCE losses need it.
        normalise: False hands the raw embeddings to every loss and miner, to show what the unit sphere does.
        centre_rate: alpha of the centres' rule (Wen et al. 2016), in [0, 1].
        exact: gives [N, D] raw embeddings by the weights of now and [N] labels whose means are the classes': where that
            is cheap, as with a frozen backbone, centres are put there before every epoch and do not follow the rule.
        measure_every: batches between two measurements of the share of active pairs or triplets, which costs about as
            much as the loss.
        seed: of loss parameters and of draws; the global random state is neither used nor changed.

    Raises:
        BadValue: terms that cannot be; see ``resolve``.
        ValueError: a loss needs ``examples``.
    """

    encoder: Encoder
    batches: Tensor

    def __init__(
        self,
        encoder: Encoder,
        terms: Sequence[Term],
        classes: int,
        *,
        examples: int = 0,
        normalise: bool = True,
        centre_rate: float = 0.5,
        exact: Callable[[], tuple[Tensor, Tensor]] | None = None,
        measure_every: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.terms = resolve(terms)
        self.classes, self.examples, self.normalise = classes, examples, normalise
        self.centre_rate, self.measure_every, self.seed = centre_rate, measure_every, seed
        self.exact = exact
        generator = torch.Generator().manual_seed(seed)
        self.states = nn.ModuleList(
            LossState(term.spec, classes, encoder.dimension, examples, generator) for term in self.terms
        )
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))
        self._seen: list[tuple[EncoderOutput, Batch]] = []
        self._chance: dict[str, float] = {}

    @torch.no_grad()
    def before_epoch(self, epoch: int, batches: Callable[[], Iterator[Batch]]) -> None:
        """Centres become exact, where that is cheap."""
        if self.exact is not None:
            self.set_exact_centres(*self.exact())

    def training_step(self, batch: Batch) -> StepOutput:
        """The weighted sum of the terms for one batch of B examples."""
        return self.loss_of(self.embed(batch.inputs), batch)

    def embed(self, inputs: Tensor) -> EncoderOutput:
        """The encoder's output for [B, ...] inputs."""
        output: EncoderOutput = self.encoder(inputs)
        return output

    def loss_of(self, output: EncoderOutput, batch: Batch) -> StepOutput:
        """The weighted sum from the embeddings of this process; the same in all processes."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + int(self.batches))
        labels, ids = gather(batch.labels), gather(batch.ids)
        spaces = {name: gather_with_gradient(self._in_space(output, name)) for name in self._spaces()}
        total = output.raw.new_zeros(())
        logs: dict[str, Tensor] = {}
        for term, state in zip(self.terms, self._states(), strict=True):
            embeddings = spaces[self._space(term)]
            loss, active = self._one(term, state, embeddings, labels, ids, generator)
            total = total + term.weight * loss
            logs[term.name] = loss.detach()
            if active is not None:
                logs.setdefault("active", active)
        logs[RAW_NORM] = output.raw.detach().norm(dim=1).mean()
        self._seen.append((EncoderOutput(output.raw.detach(), output.normalised.detach()), batch))
        self.batches += 1
        return StepOutput(total, logs, output.normalised.detach())

    def after_step(self) -> None:
        """Centres and banks follow the embeddings of all batches of the step, over all processes."""
        if not self._seen:
            return
        labels = torch.cat([batch.labels for _, batch in self._seen])
        ids = torch.cat([batch.ids for _, batch in self._seen])
        for term, state in zip(self.terms, self._states(), strict=True):
            space = self._space(term)
            embeddings = torch.cat([self._in_space(output, space) for output, _ in self._seen])
            state.follow(embeddings, labels, ids, self.centre_rate if self.exact is None else 0.0)
        self._seen = []

    def skipped_step(self) -> None:
        """The step's batches move nothing."""
        self._seen = []

    def groups(self) -> Iterator[ParameterGroup]:
        """``"backbone"``, ``"head"`` (all else of the encoder), and ``"loss"`` with each state's own rate; vectors
        (biases, normalisation) apart from matrices, since they do not decay."""
        backbone = list(self.encoder.backbone.parameters())
        inside = {id(parameter) for parameter in backbone}
        yield from split_by_decay("backbone", backbone, 1.0)
        yield from split_by_decay("head", [p for p in self.encoder.parameters() if id(p) not in inside], 1.0)
        for state in self._states():
            for name, spec in state.specs.items():
                if spec.kind == "parameter":
                    yield from split_by_decay("loss", [state.get_parameter(name)], spec.rate)

    def collapse_constants(self) -> dict[str, float]:
        """For the alarm "loss = margin": where a term stands when all embeddings are alike, by its name in the logs."""
        return {
            term.name: math.log(2) if term.option("soft") else float(term.option("margin"))
            for term in self.terms
            if {"soft", "margin"} <= term.spec.options.keys()
        }

    def chance_constants(self) -> dict[str, float]:
        """For the alarm "loss = chance", of the terms whose loss declares it; see ``LossSpec.chance``."""
        return dict(self._chance)

    @torch.no_grad()
    def set_exact_centres(self, embeddings: Tensor, labels: Tensor) -> None:
        """Put every term's centres at the means of their classes: cheap where the whole set's embeddings are at hand,
        as with a frozen backbone.

        Args:
            embeddings: [N, D], raw.
            labels: [N] in 0 to C - 1, or -1.
        """
        for state in self._states():
            if "centres" in state.specs:
                centres = state.get_buffer("centres")
                centres.copy_(exact_centres(embeddings.to(centres), labels.to(centres.device), self.classes))

    def _one(
        self, term: Resolved, state: LossState, embeddings: Tensor, labels: Tensor, ids: Tensor, draws: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """A term's loss, and its active share where that is measured."""
        inputs, extra = arguments(term.spec, embeddings, labels, ids, self.examples, draws)
        states = state.tensors()
        if "log_z" in states and int(self.batches) == 0:
            states["log_z"].copy_(self._first_log_z(term, inputs, extra, states))
        mined = {} if term.mine is None else {"mined": term.mine(embeddings.detach(), labels, draws)}
        keywords = {**states, **extra, **mined, **term.options}
        if term.spec.chance is not None:
            self._chance[term.name] = term.spec.chance(*inputs)
        active = None
        if term.spec.active is not None and int(self.batches) % self.measure_every == 0:
            with torch.no_grad():
                active = term.spec.active(*inputs, **keywords)
        return term.spec.function(*inputs, **keywords), active

    @torch.no_grad()
    def _first_log_z(
        self, term: Resolved, inputs: tuple[Tensor, ...], extra: dict[str, Any], states: dict[str, Tensor]
    ) -> Tensor:
        """log Z from the similarities of the first batch to its noise (Wu et al. 2018, equation 8)."""
        with torch.autocast(inputs[0].device.type, enabled=False):
            if "noise" in extra:
                similarities = inputs[0] @ states["bank"][extra["noise"]].T
            else:
                similarities = torch.einsum("nd,nmd->nm", inputs[0], inputs[2])
        return estimated_log_z(similarities, self.examples, term.option("temperature"))

    def _states(self) -> Iterator[LossState]:
        for state in self.states:
            assert isinstance(state, LossState)
            yield state

    def _space(self, term: Resolved) -> str:
        return term.spec.space if self.normalise else "raw"

    def _spaces(self) -> list[str]:
        """Each space once, in an order that is the same in all processes, which exchange them one by one."""
        return sorted({self._space(term) for term in self.terms})

    def _in_space(self, output: EncoderOutput, space: str) -> Tensor:
        return output.normalised if space == "normalised" else output.raw
