"""What the table says about a self-supervised method, so that a workflow can run it without knowing it."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrieval.methods.self_supervised import SelfSupervised

HANDED = ("encoder", "seed", "examples", "nearest", "classes", "teacher", "teacher_classifier")
"""Arguments that a workflow hands over and no recipe sets."""


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One method.

    Attributes:
        make: the class; positional is the encoder, by keyword come options, ``seed``, and of ``HANDED`` what its
            signature names: ``examples`` (n, images of the dataset), ``nearest`` (a search, see ``core.protocols``),
            ``classes`` (C; batches then come with labels), ``teacher`` (an encoder) and ``teacher_classifier`` (a
            module from images to logits).
        summary: one line.
        paper: where it comes from.
        looks: preset of the augmentation that the paper uses, by name (``models.looks``).
    """

    make: type[SelfSupervised]
    summary: str
    paper: str
    looks: str

    @property
    def options(self) -> dict[str, Any]:
        """What a recipe can set, with the defaults of the signature."""
        parameters = inspect.signature(self.make).parameters.values()
        return {one.name: one.default for one in parameters if one.name not in HANDED}

    @property
    def option_types(self) -> dict[str, Any]:
        """The annotated type of every option."""
        parameters = inspect.signature(self.make, eval_str=True).parameters.values()
        return {one.name: one.annotation for one in parameters if one.name not in HANDED}

    def check(self, options: Mapping[str, Any]) -> None:
        """Refuse options that cannot be, those left out having their defaults. Raises ValueError or BadValue."""
        self.make.check_options({**self.options, **options})

    def least_batch(self, options: Mapping[str, Any]) -> int:
        """Fewest images of a batch with these options, those left out having their defaults."""
        return self.make.least_batch({**self.options, **options})

    def views_with(self, options: Mapping[str, Any]) -> int:
        """Full-size views of an image that the method learns from with these options."""
        return int({**self.options, **options}.get("views", self.make.views))

    def needs(self, name: str) -> bool:
        """Whether the method takes this one of ``HANDED``."""
        return name in inspect.signature(self.make).parameters
