"""``Recipe``: a typed training configuration, and the keys by which a file or a command line changes it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from retrieval.core.errors import BadValue
from retrieval.methods.metric_learning import Term
from retrieval.training.config import LoopConfig
from retrieval.workflows.recipes.keys import refuse_unknown, require_one_device, typed, typed_fields

Scope = Literal["head", "full"]

_HEAD = "head."
"""Before the keys of ``head_terms``."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides how an encoder is trained on labelled images.

    Attributes:
        name: by which ``--recipe`` finds it.
        summary: what it is for, in one line.
        cost: what it takes, in words.
        expected: what it has been seen to bring, in words.
        scope: ``"head"`` trains a projection on embeddings of the start encoder, which are computed once;
            ``"full"`` first does the same, then trains the whole encoder on augmented images.
        terms: the losses, weighted and summed.
        dimension: D of the new embedding; at most that of the start encoder.
        whitening: power in [0, 1] with which the projection's start, a PCA, evens out the variances.
        batch_size: examples a step.
        per_class: examples of one class in a batch (``m_per_class``).
        sampler: ``"m_per_class"``: every image every epoch; ``"class_balanced"``: every class equally often.
        mine_every: steps between two searches of the whole training set for hard examples; batches are then made of
            anchors, each with a hard positive and a hard negative. 0: batches of ``per_class`` images a class.
        augment: preset of the augmentation (scope ``"full"``).
        trials: factors on the projection's learning rate, all of which are tried; the one that validation likes best is
            kept. On embeddings that are there already a trial takes seconds.
        head_terms: the losses of the projection's own epochs, before the whole encoder (scope ``"full"``); none: those
            of ``terms``.
        head_epochs: epochs of the projection alone, before the whole encoder (scope ``"full"``).
        head_rate: learning rate of those.
        blend: whether validation may choose a point on the straight line between the start's and the trained
            weights in place of its end (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
        loop: everything else: epochs, rates, schedule, precision.
    """

    name: str
    summary: str
    cost: str
    expected: str
    scope: Scope
    terms: tuple[Term, ...]
    dimension: int = 512
    whitening: float = 0.5
    batch_size: int = 128
    per_class: int = 4
    sampler: Literal["m_per_class", "class_balanced"] = "m_per_class"
    mine_every: int = 0
    augment: str = "standard"
    trials: tuple[float, ...] = (1.0,)
    head_terms: tuple[Term, ...] = ()
    head_epochs: int = 40
    head_rate: float = 1e-3
    blend: bool = True
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """Raises ValueError for a value out of range."""
        for name, least in (
            ("dimension", 1),
            ("batch_size", 2),
            ("per_class", 2),
            ("mine_every", 0),
            ("head_epochs", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {least} or more, not {getattr(self, name)}.")
        if not 0 <= self.whitening <= 1:
            raise ValueError(f"whitening is 0 to 1, not {self.whitening}.")
        if not self.trials or not all(factor > 0 for factor in self.trials):
            raise ValueError(f"trials are one or more factors above 0, not {list(self.trials)}.")
        require_one_device(self.loop)
        if self.head_rate <= 0:
            raise ValueError(f"head_rate is above 0, not {self.head_rate}.")

    @property
    def first_terms(self) -> tuple[Term, ...]:
        """The losses that the projection is trained with while the backbone rests."""
        return self.head_terms if self.head_terms and self.scope == "full" else self.terms

    def keys(self) -> dict[str, Any]:
        """Every key that can be set, with its present value: own fields, the loop's, ``LOSS.option``, and
        ``head.LOSS.option`` for ``head_terms``."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("terms", "head_terms", "loop")}
        loop = {f.name: getattr(self.loop, f.name) for f in fields(self.loop)}
        terms = {key: value for term in self.terms for key, value in _term_keys(term).items()}
        first = {f"{_HEAD}{key}": value for term in self.head_terms for key, value in _term_keys(term).items()}
        return own | loop | terms | first

    def with_values(self, values: Mapping[str, Any]) -> "Recipe":
        """The recipe with some keys changed.

        Args:
            values: by key; texts are read as TOML values where they are some, else taken as they are.

        Raises:
            BadValue: an unknown key (the nearest one is named), or a value of the wrong type.
        """
        refuse_unknown(self.name, values, self.keys())
        own, loop = typed_fields(values, Recipe), typed_fields(values, LoopConfig)
        terms = tuple(_changed_term(term, values) for term in self.terms)
        firsts = {key.removeprefix(_HEAD): value for key, value in values.items() if key.startswith(_HEAD)}
        first = tuple(_changed_term(term, firsts) for term in self.head_terms)
        try:
            return replace(self, **own, terms=terms, head_terms=first, loop=replace(self.loop, **loop))
        except ValueError as error:
            raise BadValue(f"This recipe cannot be: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, from which ``from_dict`` makes the same recipe."""
        return asdict(self) | {"terms": _plain(self.terms), "head_terms": _plain(self.head_terms)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """The inverse of ``to_dict``. Raises BadValue for anything else."""
        try:
            terms, first = (tuple(Term(**term) for term in values[key]) for key in ("terms", "head_terms"))
            trials, loop = tuple(values["trials"]), LoopConfig(**values["loop"])
            parts = {"terms": terms, "head_terms": first, "trials": trials, "loop": loop}
            return cls(**{**values, **parts})
        except (KeyError, TypeError, ValueError) as error:
            raise BadValue(f"This is no recipe of this version: {error}") from error


def _plain(terms: Iterable[Term]) -> list[dict[str, Any]]:
    return [asdict(term) | {"options": dict(term.options)} for term in terms]


def _term_keys(term: Term) -> dict[str, Any]:
    options = {f"{term.loss}.{name}": value for name, value in _options(term).items()}
    return {f"{term.loss}.weight": term.weight, f"{term.loss}.miner": term.miner} | options


def _options(term: Term) -> dict[str, Any]:
    from retrieval.losses import LOSSES

    return {**LOSSES[term.loss].options, **term.options}


def _changed_term(term: Term, values: Mapping[str, Any]) -> Term:
    for key, value in values.items():
        loss, _, name = key.partition(".")
        if loss != term.loss or not name:
            continue
        if name == "weight":
            term = replace(term, weight=typed(key, value, float))
        elif name == "miner":
            term = replace(term, miner=typed(key, value, str | None))
        else:
            kind = type(_options(term)[name])
            term = replace(term, options={**term.options, name: typed(key, value, kind)})
    return term
