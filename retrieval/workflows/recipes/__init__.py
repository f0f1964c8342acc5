"""Recipes: typed training configurations."""

from retrieval.workflows.recipes.recipe import Recipe, parse_settings
from retrieval.workflows.recipes.table import DEFAULT_RECIPE, RECIPES, load_recipe

__all__ = ["DEFAULT_RECIPE", "RECIPES", "Recipe", "load_recipe", "parse_settings"]
