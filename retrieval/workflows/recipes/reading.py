"""A recipe of one kind by its name, or from a file."""

import runpy
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, TypeVar

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.workflows.recipes.recipe import Recipe
from retrieval.workflows.recipes.view_recipe import ViewRecipe

R = TypeVar("R", Recipe, ViewRecipe)


@dataclass(frozen=True)
class Recipes(Generic[R]):
    """The recipes of one kind.

    Attributes:
        table: by name.
        example: Python that makes one, for the hint of an error.
    """

    table: Mapping[str, R]
    example: str

    def load(self, name: str, base: str | None, settings: Mapping[str, Any]) -> R:
        """See ``load_recipe``; ``base`` is what a ``.toml`` file changes that names no recipe itself."""
        path = Path(name).expanduser()
        if name in self.table:
            recipe = self.table[name]
        elif path.suffix in (".toml", ".py"):
            if not path.is_file():
                raise NoSuchPath(f"There is no recipe file {path}.", "Check the path, or see `retrieval recipes`.")
            recipe = self._from_toml(path, base) if path.suffix == ".toml" else self._from_python(path)
        else:
            near = get_close_matches(name, self.table, n=1, cutoff=0.4)
            raise BadValue(f"There is no recipe {name!r}.", f"Did you mean {near[0]}?" if near else self._there_are())
        changed: R = recipe.with_values(settings)
        return changed

    def _from_toml(self, path: Path, default: str | None) -> R:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadValue(f"{path} is not TOML: {error}") from error
        base = table.pop("base", default)
        if not isinstance(base, str):
            raise BadValue(f"{path}: `base` takes the name of a recipe.", self._there_are())
        if base.endswith((".toml", ".py")):
            raise BadValue(f"{path}: `base` takes the name of a recipe, not a file.", self._there_are())
        named: R = replace(self.load(base, None, {}), name=path.stem)
        changed: R = named.with_table(str(path), table)
        return changed

    def _from_python(self, path: Path) -> R:
        try:
            recipe = runpy.run_path(str(path)).get("recipe")
        except Exception as error:
            raise BadValue(f"{path} cannot be run: {type(error).__name__}: {error}") from error
        for known in self.table.values():
            if isinstance(recipe, type(known)):
                return recipe
        raise BadValue(f"{path} defines no `recipe` of this kind.", f"Write: {self.example}")

    def _there_are(self) -> str:
        return f"There are: {', '.join(self.table)}."
