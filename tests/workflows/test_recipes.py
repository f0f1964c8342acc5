"""Recipes: typed, changed by keys, refused with the nearest key."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.workflows.recipes import RECIPES, Recipe, load_recipe, parse_settings

NAMED = ("quick-head", "triplet-center", "contrastive", "infonce", "circle", "proxy-anchor", "arcface")


def test_the_recipes_that_are_promised_are_there() -> None:
    assert set(NAMED) <= set(RECIPES)
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.summary
        assert recipe.cost
        assert recipe.expected


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_survives_json(name: str) -> None:
    recipe = RECIPES[name]
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_key_can_be_set_to_its_own_value(name: str) -> None:
    recipe = RECIPES[name]
    values = {key: value for key, value in recipe.keys().items() if key not in ("terms", "loop")}
    again = recipe.with_values(values)
    assert again.keys() == recipe.keys()


def test_keys_reach_the_recipe_the_loop_and_the_losses() -> None:
    recipe = load_recipe(
        "triplet-center",
        parse_settings(
            ["epochs=3", "batch_size=32", "triplet.margin=0.5", "center.weight=0.1", "clip=none", "average=0.9"]
        ),
    )
    assert (recipe.loop.epochs, recipe.batch_size, recipe.loop.clip, recipe.loop.average) == (3, 32, None, 0.9)
    assert recipe.keys()["triplet.margin"] == 0.5
    assert next(term.weight for term in recipe.terms if term.loss == "center") == 0.1


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("epoch", "epochs"),
        ("learning-rate", "learning_rate"),
        ("triplet.margn", "triplet.margin"),
        ("tripplet.margin", "triplet.margin"),
    ],
)
def test_an_unknown_key_is_refused_and_the_nearest_is_named(key: str, near: str) -> None:
    with pytest.raises(BadValue) as caught:
        load_recipe("triplet-center", {key: "1"})
    assert key in caught.value.message
    assert near in caught.value.hint


@pytest.mark.parametrize(
    "setting",
    ["epochs=many", "epochs=1.5", "epochs=-1", "blend=perhaps", "schedule=linear", "triplet.margin=wide", "clip=0"],
)
def test_a_value_that_cannot_be_is_refused(setting: str) -> None:
    with pytest.raises(BadValue):
        load_recipe("triplet-center", parse_settings([setting]))


@pytest.mark.parametrize("text", ["epochs", "=3", " =3"])
def test_a_setting_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="key=value"):
        parse_settings([text])


def test_an_unknown_recipe_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(BadValue) as caught:
        load_recipe("triplet-centre")
    assert "triplet-center" in caught.value.hint


def test_a_toml_file_changes_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "triplet-center"\nepochs = 2\n[triplet]\nmargin = 0.4\n', encoding="utf-8")
    recipe = load_recipe(str(path), {"seed": "7"})
    assert recipe.name == "mine"
    assert (recipe.loop.epochs, recipe.loop.seed, recipe.keys()["triplet.margin"]) == (2, 7, 0.4)


def test_a_python_file_defines_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import replace\n"
        "from retrieval.workflows.recipes import RECIPES\n"
        "recipe = replace(RECIPES['quick-head'], name='mine', dimension=64)\n",
        encoding="utf-8",
    )
    assert load_recipe(str(path)) == replace(RECIPES["quick-head"], name="mine", dimension=64)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.toml", "epochs ="),
        ("a.toml", 'base = "nothing"'),
        ("a.toml", "base = 3"),
        ("a.toml", 'base = "b.toml"'),
        ("a.toml", "epoch = 3"),
        ("a.py", "recipe = 3"),
        ("a.py", "raise RuntimeError('no')"),
        ("a.py", "def ("),
    ],
)
def test_a_recipe_file_that_is_none_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(BadValue):
        load_recipe(str(tmp_path / name))


def test_a_missing_recipe_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoSuchPath):
        load_recipe(str(tmp_path / "none.toml"))
