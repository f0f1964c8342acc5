"""``ViewRecipe``: a typed configuration of the methods that learn from views of images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, get_type_hints

from retrieval.core.errors import BadValue
from retrieval.methods.spec import MethodSpec
from retrieval.methods.table import METHODS
from retrieval.models.looks import PRESETS, Look, looks_for
from retrieval.training.config import LoopConfig
from retrieval.workflows.recipes.keys import (
    flattened,
    nearest_hint,
    refuse_unknown,
    require_one_device,
    typed,
    typed_fields,
)

_FIXED = ("size", "count", "filter")
"""What of a look follows from the encoder, ``views`` and ``crops``, or is the preset's."""

_OF_TEACHER = ("views_kept", "whitening", "target_dimension")

_NONE_OR_MORE = ("view_size", "views_kept", "target_dimension")

_USUAL_SIZE = 224

_LOOK = "look"
"""``look.flip`` and the like: every look of the preset has that value."""


@dataclass(frozen=True, slots=True)
class ViewRecipe:
    """Everything that decides how an encoder is trained on views: without labels, or after such a stage.

    Attributes:
        name: by which ``--recipe`` finds it.
        summary: what it is for, in one line.
        cost: what it takes, in words.
        expected: what it has been seen to bring, in words.
        method: a name in ``METHODS``.
        options: of the method, those that differ from its defaults.
        looks: preset of the views, a name in ``models.looks.PRESETS``; None: the method's.
        views: full-size views of an image; None: as many as the method's option ``views`` says, else as the preset has.
        crops: small crops beside them, where the preset has any; None: as many as the preset has.
        look: fields of ``models.looks.Look`` that shall differ from the preset, for all views; ``scale``, which
            full-size views and small crops share out between them, for the full-size ones.
        view_size: side of the full-size views in pixels; 0: the encoder's input size. Things look larger in a crop than
            in a whole picture, so that views somewhat smaller than the input cost less and teach as well (Touvron et
            al., "Fixing the train-test resolution discrepancy", NeurIPS 2019: https://arxiv.org/abs/1906.06423).
        batch_size: images a step, at least 2; fewer where the dataset has fewer.
        views_kept: of a method with a teacher: the views of a picture are these many, and the teacher looks at each
            only once, before the training; 0: views without end, the teacher beside the student.
        whitening: power in [0, 1] with which the teacher's kept embeddings are evened out on their main directions.
        target_dimension: how many of those; 0: as they are, not centred either.
        loop: everything else: epochs, rates, schedule, precision. Nothing is validated, so the last weights are kept
            (the averaged ones where ``average`` is set, but for a classifier, which would not fit them).
    """

    name: str
    summary: str
    cost: str
    expected: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    looks: str | None = None
    views: int | None = None
    crops: int | None = None
    look: Mapping[str, Any] = field(default_factory=dict)
    view_size: int = 0
    batch_size: int = 128
    views_kept: int = 0
    whitening: float = 0.0
    target_dimension: int = 0
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """Raises BadValue for an unknown method, option, preset or look, ValueError for a value out of range."""
        _known("method", self.method, METHODS)
        _known("preset of views", self.preset, PRESETS)
        for name in self.options:
            _known(f"option of {self.method}", name, self.spec.options)
        for name in self.look:
            _known("look", name, _look_types())
        for name, least in (("batch_size", 2), ("views", 1), ("crops", 0), *((key, 0) for key in _NONE_OR_MORE)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {least} or more, not {value}.")
        self._require_method()
        self._check_targets()
        require_one_device(self.loop)
        if self.loop.average is not None and self.spec.needs("classes"):
            raise ValueError("average is none: a classifier is not averaged, and would not fit the averaged encoder.")
        # A value that no look can have is said here, and not after the images were prepared.
        full = sum(look.count for look in self.views_at(_USUAL_SIZE) if look.size == _USUAL_SIZE)
        wanted = self.spec.views_with(self.options)
        if full < wanted:
            raise ValueError(f"views is at least {wanted}: {self.method} learns from so many, not from {full}.")

    def _require_method(self) -> None:
        """Raises ValueError or BadValue where the method cannot be so, or cannot be trained so."""
        self.spec.check(self.options)
        least = self.spec.least_batch(self.options)
        if self.batch_size < least:
            raise ValueError(f"batch_size is at least {least} for {self.method}, not {self.batch_size}.")
        if self.loop.chunk is not None:
            raise ValueError(
                "chunk is none: batch-norm and momentum twins see a batch as a whole, and would see each piece alone; "
                "use a smaller batch_size, or accumulate"
            )

    def _check_targets(self) -> None:
        if not 0 <= self.whitening <= 1:
            raise ValueError(f"whitening is 0 to 1, not {self.whitening}.")
        if self.views_kept and not self.spec.needs("teacher"):
            raise ValueError(f"views_kept is 0: {self.method} has no teacher.")
        if (self.target_dimension or self.whitening) and not self.views_kept:
            raise ValueError("target_dimension and whitening are 0 where views_kept is.")
        if self.learns_labels and not self.views_kept:
            raise ValueError("supervised needs views_kept.")
        if self.whitening and not self.target_dimension:
            raise ValueError("whitening needs a target_dimension.")

    @property
    def spec(self) -> MethodSpec:
        """What the table says about the method."""
        return METHODS[self.method]

    @property
    def learns_labels(self) -> bool:
        """Whether the method has a term that learns from the dataset's own labels."""
        return bool((self.spec.options | dict(self.options)).get("supervised"))

    @property
    def preset(self) -> str:
        """Name of the preset of views."""
        return self.looks or self.spec.looks

    def views_at(self, input_size: int) -> tuple[Look, ...]:
        """The looks at an encoder's input size in pixels, full-size ones first. Raises BadValue."""
        # A method that says how many views it compares gets as many.
        views = self.views or (self.spec.options | dict(self.options)).get("views")
        looks = looks_for(self.preset, input_size, views=views, crops=self.crops)
        for_crops = {name: value for name, value in self.look.items() if name != "scale"}
        return tuple(replace(one, **(self.look if one.size == input_size else for_crops)) for one in looks)

    def keys(self) -> dict[str, Any]:
        """Every key that can be set, with its present value: own fields, the loop's, ``METHOD.option``, and
        ``look.FIELD``, which is None where it is as in the preset."""
        of_teacher = _OF_TEACHER if self.spec.needs("teacher") else ()
        own = {
            name: getattr(self, name) for name in ("looks", "views", "crops", "view_size", "batch_size", *of_teacher)
        }
        loop = {f.name: getattr(self.loop, f.name) for f in fields(self.loop)}
        options = {f"{self.method}.{name}": value for name, value in (self.spec.options | dict(self.options)).items()}
        return own | loop | options | {f"{_LOOK}.{name}": self.look.get(name) for name in _look_types()}

    def with_values(self, values: Mapping[str, Any]) -> "ViewRecipe":
        """The recipe with some keys changed; see ``Recipe.with_values``.

        Raises:
            BadValue: an unknown key (the nearest one is named), or a value that cannot be.
        """
        refuse_unknown(self.name, values, self.keys())
        own, loop = typed_fields(values, ViewRecipe), typed_fields(values, LoopConfig)
        options = _below(self.method, values, self.spec.option_types)
        look = {
            name: value
            for name, value in (dict(self.look) | _below(_LOOK, values, _look_types())).items()
            if value is not None
        }
        try:
            loop_config = replace(self.loop, **loop)
            return replace(self, **own, options={**self.options, **options}, look=look, loop=loop_config)
        except ValueError as error:
            keys = f"`retrieval recipes {self.name}` shows its keys."
            raise BadValue(f"This recipe cannot be: {error}", keys) from error

    def with_table(self, _where: str, table: Mapping[str, Any]) -> "ViewRecipe":
        """The recipe with the keys of a file changed: ``table`` is nested, as TOML gives it. Raises as
        ``with_values``."""
        return self.with_values(flattened(table))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, from which ``from_dict`` makes the same recipe."""
        return asdict(self) | {"options": dict(self.options), "look": dict(self.look)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ViewRecipe":
        """The inverse of ``to_dict``. Raises BadValue for anything else."""
        try:
            method, types = values["method"], _look_types()
            options = {
                name: typed(name, value, METHODS[method].option_types[name])
                for name, value in values["options"].items()
            }
            look = {name: typed(name, value, types[name]) for name, value in values["look"].items()}
            return cls(**{**values, "options": options, "look": look, "loop": LoopConfig(**values["loop"])})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadValue(f"This is no recipe of this version: {error}") from error


def _look_types() -> dict[str, Any]:
    return {name: kind | None for name, kind in get_type_hints(Look).items() if name not in _FIXED}


def _below(prefix: str, values: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """The values whose keys are ``prefix.NAME``, by NAME, as their types want them."""
    found = {}
    for key, value in values.items():
        first, _, name = key.partition(".")
        if first == prefix and name:
            found[name] = typed(key, value, types[name])
    return found


def _known(what: str, name: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise BadValue(f"There is no {what} called {name!r}.", nearest_hint(name, known, "There are"))
