"""A recipe of any kind by its name."""

from pathlib import Path

from retrieval.core.errors import BadValue
from retrieval.workflows.recipes.keys import nearest_hint
from retrieval.workflows.recipes.recipe import Recipe
from retrieval.workflows.recipes.table import RECIPES, load_recipe
from retrieval.workflows.recipes.view_recipe import ViewRecipe
from retrieval.workflows.recipes.view_table import DISTIL_RECIPES, FINETUNE_RECIPES, PRETRAIN_RECIPES


def find_recipe(name: str) -> Recipe | ViewRecipe:
    """A recipe by name, for training with labels or without; or one with labels from a file.

    Raises:
        NoSuchPath: it looks like a file and there is none.
        BadValue: an unknown name; the nearest one is named.
    """
    views = {**PRETRAIN_RECIPES, **FINETUNE_RECIPES, **DISTIL_RECIPES}
    if name in views:
        return views[name]
    if name in RECIPES or Path(name).suffix in (".toml", ".py"):
        return load_recipe(name)
    raise BadValue(f"There is no recipe {name!r}.", nearest_hint(name, [*RECIPES, *views], "There are"))
