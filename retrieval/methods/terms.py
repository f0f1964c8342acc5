"""The terms of a weighted sum of losses: what a recipe names, looked up in the tables and checked."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from torch import Tensor

from retrieval.core.errors import BadValue
from retrieval.losses import LOSSES, LossSpec
from retrieval.mining import MINERS

SHARED = ("margin", "squared")
"""Options that mean the same to a loss and to its miner: a miner takes the loss's unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Term:
    """One loss in a weighted sum.

    Attributes:
        loss: its name in ``LOSSES``.
        weight: factor, >= 0.
        miner: a name in ``MINERS`` of what this loss can take; None: the loss takes what it takes by itself.
        options: of the loss; see ``LossSpec.options``.
        miner_options: of the miner; ``margin`` and ``squared`` default to the loss's.
    """

    loss: str
    weight: float = 1.0
    miner: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    miner_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A term with everything looked up.

    Attributes:
        name: unique in the sum: the loss's, with a number behind it from the second of the same on.
        weight: factor.
        spec: of the loss.
        options: of the loss, those given.
        mine: ``(embeddings, labels, generator)`` to what the loss takes as ``mined``; None without a miner.
    """

    name: str
    weight: float
    spec: LossSpec
    options: Mapping[str, Any]
    mine: Callable[..., Any] | None

    def option(self, name: str) -> Any:
        """The value of an option of the loss, given or by default."""
        return {**self.spec.options, **self.options}[name]


def resolve(terms: Iterable[Term]) -> list[Resolved]:
    """Look the terms up.

    Raises:
        BadValue: no terms, an unknown loss, miner or option (the nearest one is named), a miner whose result the loss
            cannot take, or a negative weight.
    """
    resolved: list[Resolved] = []
    for term in terms:
        count = sum(one.name.partition("#")[0] == term.loss for one in resolved)
        resolved.append(_resolve(term, f"{term.loss}#{count + 1}" if count else term.loss))
    if not resolved:
        raise BadValue("A sum of losses needs at least one.", f"Use one of: {', '.join(sorted(_of_labels()))}.")
    return resolved


def _resolve(term: Term, name: str) -> Resolved:
    spec = LOSSES[_known("loss", term.loss, _of_labels())]
    if not 0 <= term.weight < float("inf"):
        raise BadValue(f"The weight of {term.loss} is 0 or more, not {term.weight}.")
    settable = [key for key, default in spec.options.items() if default is not inspect.Parameter.empty]
    for option in term.options:
        _known(f"option of {term.loss}", option, settable)
    return Resolved(name, term.weight, spec, dict(term.options), _miner(term, spec))


def _of_labels() -> list[str]:
    """Losses that a labelled batch can be brought to; see ``inputs``."""
    return [name for name, spec in LOSSES.items() if spec.inputs != "distributions"]


def _miner(term: Term, spec: LossSpec) -> Callable[..., Any] | None:
    if term.miner is None:
        return None
    miner = MINERS[_known("miner", term.miner, MINERS)]
    if spec.mined is None:
        raise BadValue(f"{term.loss} takes no miner.", f"Set {term.loss}.miner = none.")
    if miner.gives != spec.mined:
        fitting = ", ".join(name for name, other in MINERS.items() if other.gives == spec.mined)
        raise BadValue(f"{term.loss} takes {spec.mined}, but {term.miner} gives {miner.gives}.", f"Use: {fitting}.")
    for option in term.miner_options:
        _known(f"option of {term.miner}", option, miner.options)
    loss_options = {**spec.options, **term.options}
    shared = {name: loss_options[name] for name in SHARED if name in miner.options and name in loss_options}
    options = {**shared, **term.miner_options}

    def mine(embeddings: Tensor, labels: Tensor, generator: Any) -> Any:
        return miner.function(embeddings, labels, generator=generator, **options)

    return mine


def _known(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if name in names:
        return name
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names) or 'none'}."
    raise BadValue(f"There is no {what} called {name!r}.", hint)
