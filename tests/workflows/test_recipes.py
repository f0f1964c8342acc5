"""Recipes: typed, changed by keys, refused with the nearest key."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.methods.metric_learning import Term
from retrieval.mining import MINERS
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
        ("normalize", "normalise"),
        ("center_rate", "centre_rate"),
        ("triplet.miner.margin", "triplet.margin"),
    ],
)
def test_an_unknown_key_is_refused_and_the_nearest_is_named(key: str, near: str) -> None:
    with pytest.raises(BadValue) as caught:
        load_recipe("triplet-center", {key: "1"})
    assert key in caught.value.message
    assert near in caught.value.hint


@pytest.mark.parametrize(
    "setting",
    [
        "epochs=many",
        "epochs=1.5",
        "epochs=-1",
        "blend=perhaps",
        "schedule=linear",
        "triplet.margin=wide",
        "clip=0",
        "normalise=2",
        "centre_rate=1.5",
        "mine_positives=hard",
        "triplet.miner=semi",
    ],
)
def test_a_value_that_cannot_be_is_refused(setting: str) -> None:
    with pytest.raises(BadValue):
        load_recipe("triplet-center", parse_settings([setting]))


def test_a_miners_options_are_keys_once_it_is_named() -> None:
    named = {"triplet.miner": "distance_weighted", "triplet.miner.nearest": "0.4"}
    recipe = load_recipe("triplet-center", named)
    assert recipe.terms[0] == Term("triplet", 1.0, "distance_weighted", {"margin": 0.2}, miner_options={"nearest": 0.4})
    assert recipe.keys()["triplet.miner.farthest"] == MINERS["distance_weighted"].options["farthest"]
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(BadValue) as caught:
        recipe.with_values({"triplet.miner.farhest": "1.0"})
    assert "triplet.miner.farthest" in caught.value.hint
    with pytest.raises(BadValue, match="takes a number"):
        recipe.with_values({"triplet.miner.nearest": "wide"})
    # Another miner begins with its own options, and shares the loss's margin until it is given one.
    other = recipe.with_values({"triplet.miner": "semihard"})
    assert other.terms[0].miner_options == {}
    assert other.keys()["triplet.miner.margin"] == 0.2
    assert other.with_values({"triplet.miner": "semihard", "triplet.miner.limit": "7"}).terms[0].miner_options == {
        "limit": 7
    }


def test_every_option_of_every_miner_is_a_key() -> None:
    for name, spec in MINERS.items():
        recipe = replace(RECIPES["quick-head"], terms=(Term("triplet" if spec.gives == "triplets" else "circle"),))
        loss = recipe.terms[0].loss
        keys = recipe.with_values({f"{loss}.miner": name}).keys()
        options = {key.rpartition(".")[2] for key in keys if key.startswith(f"{loss}.miner.")}
        assert options == set(spec.options), name


def test_the_same_keys_reach_the_losses_of_the_head() -> None:
    recipe = load_recipe(
        "triplet-center",
        {"head.supervised_contrastive.miner": "multi_similarity", "head.supervised_contrastive.miner.epsilon": "0.3"},
    )
    assert (recipe.head_terms[0].miner, recipe.head_terms[0].miner_options) == ("multi_similarity", {"epsilon": 0.3})
    assert recipe.terms == RECIPES["triplet-center"].terms


SUM = """
base = "triplet-center"
epochs = 2
center.weight = 0.5

[[terms]]
loss = "triplet"
weight = 2
miner = "distance_weighted"
options = {margin = 0.3, soft = true}
miner_options = {nearest = 0.4}

[[terms]]
loss = "center"
"""


def test_a_toml_file_names_another_sum_of_losses(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SUM, encoding="utf-8")
    recipe = load_recipe(str(path), {"triplet.margin": "0.1"})
    assert recipe.terms == (
        Term("triplet", 2.0, "distance_weighted", {"margin": 0.1, "soft": True}, {"nearest": 0.4}),
        Term("center", 0.5),
    )
    assert recipe.head_terms == RECIPES["triplet-center"].head_terms
    assert recipe.loop.epochs == 2
    path.write_text('base = "triplet-center"\n[[head_terms]]\nloss = "info_nce"\n', encoding="utf-8")
    recipe = load_recipe(str(path))
    assert (recipe.first_terms, recipe.terms) == ((Term("info_nce"),), RECIPES["triplet-center"].terms)
    path.write_text('base = "triplet-center"\nhead_terms = []\n', encoding="utf-8")
    assert load_recipe(str(path)).first_terms == RECIPES["triplet-center"].terms


@pytest.mark.parametrize(
    ("content", "near"),
    [
        ("terms = []", 'loss = "triplet"'),
        ('terms = "triplet"', 'loss = "triplet"'),
        ('terms = ["triplet"]', 'loss = "triplet"'),
        ("[[terms]]\nweight = 1.0", "triplet"),
        ('[[terms]]\nloss = "tripplet"', "triplet"),
        ('[[terms]]\nloss = "triplet"\nwieght = 1.0', "weight"),
        ('[[terms]]\nloss = "triplet"\noptions = {margn = 1.0}', "triplet.margin"),
        ('[[terms]]\nloss = "triplet"\noptions = 3', "name = value"),
        ('[[terms]]\nloss = "triplet"\nminer = "semihrd"', "semihard"),
        ('[[terms]]\nloss = "triplet"\nminer = "all_pairs"', "semihard"),
        ('[[terms]]\nloss = "triplet"\nminer = "semihard"\nminer_options = {limt = 3}', "triplet.miner.limit"),
        ('[[terms]]\nloss = "triplet"\nminer_options = {limit = 3}', "triplet."),
        ('[[terms]]\nloss = "softmax"\nminer = "all_pairs"', "softmax.miner = none"),
        ('[[term]]\nloss = "triplet"', "terms"),
    ],
)
def test_a_sum_that_cannot_be_is_refused_and_the_nearest_is_named(tmp_path: Path, content: str, near: str) -> None:
    (tmp_path / "a.toml").write_text(content, encoding="utf-8")
    with pytest.raises(BadValue) as caught:
        load_recipe(str(tmp_path / "a.toml"))
    assert near in caught.value.hint


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
