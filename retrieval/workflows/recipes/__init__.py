"""Recipes: typed training configurations."""

from retrieval.workflows.recipes.finding import find_recipe
from retrieval.workflows.recipes.keys import parse_settings
from retrieval.workflows.recipes.pretrain_recipe import PretrainRecipe
from retrieval.workflows.recipes.pretrain_table import PRETRAIN_RECIPES, load_pretrain_recipe
from retrieval.workflows.recipes.recipe import Recipe
from retrieval.workflows.recipes.table import DEFAULT_RECIPE, RECIPES, load_recipe

__all__ = [
    "DEFAULT_RECIPE",
    "PRETRAIN_RECIPES",
    "RECIPES",
    "PretrainRecipe",
    "Recipe",
    "find_recipe",
    "load_pretrain_recipe",
    "load_recipe",
    "parse_settings",
]
