"""The table of all samplers that need nothing but labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retrieval.mining.class_balanced import ClassBalanced
from retrieval.mining.epochs import Ints, Sampler
from retrieval.mining.m_per_class import MPerClass
from retrieval.mining.shuffled import Shuffled

__all__ = ["SAMPLERS", "ClassBalanced", "MPerClass", "Sampler", "SamplerSpec", "Shuffled"]


@dataclass(frozen=True, slots=True)
class SamplerSpec:
    """One sampler.

    Attributes:
        make: ``make(labels [N], batch_size=..., seed=..., rank=0, world=1, **options)``.
        options: what else can be set, with defaults.
        summary: one line.
    """

    make: Callable[..., Sampler]
    options: Mapping[str, Any]
    summary: str


PER_CLASS = 4
"""Images a class where nobody says otherwise: as in Hermans et al. 2017."""


def _m_per_class(labels: Ints, *, per_class: int = PER_CLASS, **run: Any) -> MPerClass:
    return MPerClass(labels, per_class=per_class, **run)


def _shuffled(labels: Ints, **run: Any) -> Shuffled:
    return Shuffled(len(labels), **run)


SAMPLERS: dict[str, SamplerSpec] = {
    "m_per_class": SamplerSpec(
        _m_per_class,
        {"per_class": PER_CLASS, "singletons": "error"},
        "batches of P classes with M images each; every image every epoch",
    ),
    "class_balanced": SamplerSpec(
        ClassBalanced,
        {"singletons": "keep"},
        "every class equally often, whatever its size",
    ),
    "shuffled": SamplerSpec(_shuffled, {}, "every image once, labelled or not"),
}
"""Every sampler by the name that recipes use."""
