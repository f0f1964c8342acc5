"""Recipes: typed training configurations."""

from retrieval.workflows.recipes.finding import find_recipe
from retrieval.workflows.recipes.keys import parse_settings
from retrieval.workflows.recipes.recipe import Recipe
from retrieval.workflows.recipes.table import DEFAULT_RECIPE, RECIPES, load_recipe
from retrieval.workflows.recipes.view_recipe import ViewRecipe
from retrieval.workflows.recipes.view_table import (
    DISTIL_RECIPES,
    FINETUNE_RECIPES,
    PRETRAIN_RECIPES,
    load_distil_recipes,
    load_finetune_recipe,
    load_pretrain_recipe,
)

__all__ = [
    "DEFAULT_RECIPE",
    "DISTIL_RECIPES",
    "FINETUNE_RECIPES",
    "PRETRAIN_RECIPES",
    "RECIPES",
    "Recipe",
    "ViewRecipe",
    "find_recipe",
    "load_distil_recipes",
    "load_finetune_recipe",
    "load_pretrain_recipe",
    "load_recipe",
    "parse_settings",
]
