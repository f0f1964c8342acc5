"""A method of the table, built for an encoder, and what it has beside the encoder, kept for later stages."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from safetensors.torch import save

from retrieval.core.errors import BadValue
from retrieval.core.types import Ids, Vectors
from retrieval.methods.self_supervised import SelfSupervised
from retrieval.models.encoder import Encoder
from retrieval.workflows.hard_mining import build_index
from retrieval.workflows.recipes import ViewRecipe


def build_method(recipe: ViewRecipe, encoder: Encoder, examples: int, **more: Any) -> SelfSupervised:
    """The method of a recipe.

    Args:
        recipe: with the method and its options.
        encoder: what it trains.
        examples: images of the dataset.
        more: what else a method is handed (see ``methods.spec.HANDED``): ``classes``, ``teacher`` and the like.

    Raises:
        BadValue: the method cannot take these options, or so few images.
    """
    handed = {"examples": examples, "nearest": nearest_rows, **more}
    given = {name: value for name, value in handed.items() if recipe.spec.needs(name)}
    try:
        return recipe.spec.make(encoder, **recipe.options, **given, seed=recipe.loop.seed)
    except ValueError as error:
        raise cannot_be(recipe, error) from error


def fitted_to(recipe: ViewRecipe, examples: int, say: Callable[[str], None]) -> ViewRecipe:
    """The recipe with what so few images need otherwise, which is said. Never another one for the same images."""
    options = {**recipe.spec.options, **recipe.options}
    changed, lines = recipe.spec.make.fitted_options(options, examples)
    for line in lines:
        say(line)
    return replace(recipe, options={**recipe.options, **changed})


def require_enough(recipe: ViewRecipe, examples: int) -> None:
    """Raises BadValue where so few images make no batch that the method can learn from."""
    least = recipe.spec.least_batch(recipe.options)
    if examples < least:
        raise BadValue(
            f"{recipe.method} learns from batches of {least} images or more, and there are {examples}.",
            "Give more images, or take another method.",
        )


def cannot_be(recipe: ViewRecipe, error: ValueError) -> BadValue:
    """The error of a method that refuses its options, for people."""
    return BadValue(f"The recipe {recipe.name!r} cannot be: {error}", "`retrieval recipes NAME` shows its keys.")


def nearest_rows(queries: Vectors, base: Vectors) -> Ids:
    """[Q] place of the row of ``base`` [N, D] nearest to each row of ``queries`` [Q, D], by the project's own index.

    By cosine: for rows of unit norm, which k-means on the sphere has, that is the greatest dot product.
    """
    index = build_index(np.arange(len(base), dtype=np.int64), base)
    found: Ids = index.search(queries, 1).ids[:, 0]
    return found


def learned_beside(method: SelfSupervised) -> bytes:
    """The modules that a method has learned beside its encoder (projector, predictor, prototypes), as safetensors.

    Tensors have the names that they have in the method, e.g. ``projector.0.weight``. Twins that only follow, queues and
    memory banks are left out: they are of use to the run alone.
    """
    modules = {id(module) for module, _ in method.learned()}
    tensors = {
        f"{name}.{key}": tensor.detach().cpu().contiguous().clone()
        for name, module in method.named_modules()
        if id(module) in modules
        for key, tensor in module.state_dict().items()
    }
    return save(tensors)
