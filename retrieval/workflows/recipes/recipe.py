"""``Recipe``: a typed training configuration, and the keys by which a file or a command line changes it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from retrieval.core.errors import BadValue
from retrieval.methods.metric_learning import Term
from retrieval.training.config import LoopConfig
from retrieval.workflows.recipes.keys import flattened, nearest_hint, refuse_unknown, require_one_device, typed_fields
from retrieval.workflows.recipes.terms import changed_terms, named_terms, plain_terms, term_keys, with_miners

Scope = Literal["head", "full"]

_HEAD = "head."
"""Before the keys of ``head_terms``."""

_SUMS = ("terms", "head_terms")
"""What a file may name anew, and a single key may not."""


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
        mine_positives: which of its class an anchor gets under ``mine_every``: the ``"nearest"``, or the
            ``"farthest"``, which are the hard ones, and often outliers or wrong labels.
        normalise: False hands embeddings of any length to losses and miners; a search compares directions all the same.
        centre_rate: alpha in [0, 1] by which the centres of ``center`` follow the embeddings after every step.
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
    mine_positives: Literal["nearest", "farthest"] = "nearest"
    normalise: bool = True
    centre_rate: float = 0.5
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
        if not 0 <= self.centre_rate <= 1:
            raise ValueError(f"centre_rate is 0 to 1, not {self.centre_rate}.")
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
        """Every key that can be set, with its present value: own fields, the loop's, ``LOSS.option`` and
        ``LOSS.miner.option``, and the same behind ``head.`` for ``head_terms``."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in (*_SUMS, "loop")}
        loop = {f.name: getattr(self.loop, f.name) for f in fields(self.loop)}
        first = {f"{_HEAD}{key}": value for key, value in term_keys(self.head_terms).items()}
        return own | loop | term_keys(self.terms) | first

    def with_values(self, values: Mapping[str, Any]) -> "Recipe":
        """The recipe with some keys changed.

        Args:
            values: by key; texts are read as TOML values where they are some, else taken as they are.

        Raises:
            BadValue: an unknown key (the nearest one is named), or a value of the wrong type.
        """
        firsts = {key.removeprefix(_HEAD): value for key, value in values.items() if key.startswith(_HEAD)}
        # A miner that is named here brings the keys of its options.
        mined = replace(self, terms=with_miners(self.terms, values), head_terms=with_miners(self.head_terms, firsts))
        refuse_unknown(self.name, values, mined.keys())
        own, loop = typed_fields(values, Recipe), typed_fields(values, LoopConfig)
        terms, first = changed_terms(self.terms, values), changed_terms(self.head_terms, firsts)
        try:
            return replace(self, **own, terms=terms, head_terms=first, loop=replace(self.loop, **loop))
        except ValueError as error:
            raise BadValue(f"This recipe cannot be: {error}") from error

    def with_table(self, where: str, table: Mapping[str, Any]) -> "Recipe":
        """The recipe with the keys of a file changed, where ``terms`` and ``head_terms`` name other sums of losses.

        Args:
            where: the file, for messages.
            table: nested, as TOML gives it.

        Raises:
            BadValue: as ``with_values``; losses that cannot be, or none.
        """
        terms, first = (
            named_terms(f"{where}: {name}", table[name]) if name in table else getattr(self, name) for name in _SUMS
        )
        if not terms:
            raise BadValue(f"{where}: terms names no loss.", 'Write [[terms]] and below it loss = "triplet".')
        rest = {key: value for key, value in table.items() if key not in _SUMS}
        for key, value in rest.items():
            if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
                raise BadValue(f"{where} has no list of tables {key!r}.", nearest_hint(key, _SUMS))
        return replace(self, terms=terms, head_terms=first).with_values(flattened(rest))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, from which ``from_dict`` makes the same recipe."""
        return asdict(self) | {"terms": plain_terms(self.terms), "head_terms": plain_terms(self.head_terms)}

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
