"""Recipes without labels: one for every method, typed, changed by keys, refused with the nearest key."""

import json
from pathlib import Path

import pytest

from retrieval.core.errors import BadValue, NoSuchPath
from retrieval.methods.ranges import RANGES
from retrieval.methods.table import METHODS
from retrieval.workflows.methods_at_work import fitted_to, require_enough
from retrieval.workflows.recipes import (
    DISTIL_RECIPES,
    FINETUNE_RECIPES,
    PRETRAIN_RECIPES,
    RECIPES,
    ViewRecipe,
    load_distil_recipes,
    load_finetune_recipe,
    load_pretrain_recipe,
    parse_settings,
)

EVERYTHING = {**PRETRAIN_RECIPES, **FINETUNE_RECIPES, **DISTIL_RECIPES}
every = pytest.mark.parametrize("name", list(EVERYTHING))


def test_every_method_has_a_recipe_of_its_name() -> None:
    assert set(METHODS) <= set(EVERYTHING)
    assert len(EVERYTHING) == len(PRETRAIN_RECIPES) + len(FINETUNE_RECIPES) + len(DISTIL_RECIPES)
    assert not set(EVERYTHING) & set(RECIPES)
    for name, recipe in EVERYTHING.items():
        assert recipe.name == name
        assert recipe.summary
        assert recipe.cost
        assert recipe.expected
        assert recipe.loop.schedule == "cosine"
        assert recipe.loop.warmup_share > 0
    for name, recipe in PRETRAIN_RECIPES.items():
        gentle = (0.01, "frozen") if name == "adapt" else (1.0, "train")
        assert (recipe.loop.backbone_rate, recipe.loop.batch_norm) == gentle
    assert all(EVERYTHING[name].method == name for name in METHODS)


def test_later_stages_are_no_way_to_begin() -> None:
    for method, command in (
        ("fine_tuning", "finetune"),
        ("distillation", "distil"),
        ("feature_distillation", "distil"),
    ):
        with pytest.raises(BadValue) as caught:
            load_pretrain_recipe(method)
        assert f"retrieval {command}" in caught.value.hint
    with pytest.raises(BadValue, match="average"):
        load_finetune_recipe(settings={"average": "0.9"})


def test_a_key_that_both_parts_of_distillation_have_changes_both() -> None:
    features, answers = load_distil_recipes({"epochs": "3", "distillation.alpha": "1"}, with_labels=True)
    assert answers is not None
    assert (features.loop.epochs, answers.loop.epochs, answers.options) == (3, 3, {"alpha": 1.0})
    assert load_distil_recipes()[1] is None
    with pytest.raises(BadValue) as caught:
        load_distil_recipes({"distillation.alpha": "1"})
    assert "feature_distillation" in caught.value.hint


@every
def test_a_recipe_survives_json(name: str) -> None:
    recipe = EVERYTHING[name].with_values({"look.scale": "[0.3, 1.0]", "look.flip": "0.25"})
    assert ViewRecipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    with pytest.raises(BadValue, match="no recipe of this version"):
        ViewRecipe.from_dict({"name": name})


@every
def test_every_key_can_be_set_to_its_own_value(name: str) -> None:
    recipe = EVERYTHING[name]
    assert recipe.with_values(recipe.keys()).keys() == recipe.keys()


@every
def test_the_views_are_as_many_as_the_method_takes(name: str) -> None:
    recipe = EVERYTHING[name]
    for size in (32, 224):
        full = sum(look.count for look in recipe.views_at(size) if look.size == size)
        wanted = recipe.options.get("views", recipe.spec.options.get("views", getattr(recipe.spec.make, "views", 2)))
        assert full >= wanted


def test_keys_reach_the_recipe_the_loop_the_method_and_the_looks() -> None:
    settings = ["epochs=3", "batch_size=32", "simclr.temperature=1", "look.flip=0", "look.scale=[0.5, 1]", "views=3"]
    recipe = load_pretrain_recipe("simclr", settings=parse_settings(settings))
    assert (recipe.loop.epochs, recipe.batch_size) == (3, 32)
    assert recipe.options == {"temperature": 1.0}
    assert [(look.count, look.flip, look.scale) for look in recipe.views_at(64)] == [(3, 0.0, (0.5, 1.0))]
    as_before = recipe.with_values({"look.flip": None, "look.scale": "none", "views": "none"})
    assert as_before.views_at(64) == PRETRAIN_RECIPES["simclr"].views_at(64)


def test_small_crops_keep_their_own_scale() -> None:
    settings = {"looks": "swav-multi-crop", "look.scale": [0.5, 1.0], "look.grey": 0.0, "crops": 3}
    full, small = load_pretrain_recipe("simclr", settings=settings).views_at(224)
    assert (full.scale, full.grey) == ((0.5, 1.0), 0.0)
    assert (small.scale, small.grey, small.count) == ((0.05, 0.14), 0.0, 3)


@pytest.mark.parametrize(
    ("key", "near"),
    [("epoch", "epochs"), ("simclr.temprature", "simclr.temperature"), ("look.flipp", "look.flip")],
)
def test_an_unknown_key_is_refused_and_the_nearest_is_named(key: str, near: str) -> None:
    with pytest.raises(BadValue) as caught:
        load_pretrain_recipe("simclr", settings={key: "1"})
    assert key in caught.value.message
    assert near in caught.value.hint


@pytest.mark.parametrize(
    "setting",
    [
        "epochs=many", "batch_size=1", "views=0", "crops=2", "look.flip=2", "look.scale=0.5", "look.scale=[1.0, 0.5]",
        "looks=simcrl", "simclr.temperature=warm", "simclr.layers=1.5", "devices=2", "method=moco",
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused(setting: str) -> None:
    with pytest.raises(BadValue):
        load_pretrain_recipe("simclr", settings=parse_settings([setting]))


def test_an_unknown_method_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(BadValue) as caught:
        load_pretrain_recipe("simcrl")
    assert "simclr" in caught.value.hint
    with pytest.raises(BadValue) as caught:
        load_pretrain_recipe()
    assert "--method" in caught.value.hint


def test_a_recipe_by_name_decides_the_method() -> None:
    assert load_pretrain_recipe(name="simclrv2").options["layers"] == 3
    assert load_pretrain_recipe("simclr", "simclrv2").name == "simclrv2"
    with pytest.raises(BadValue) as caught:
        load_pretrain_recipe(name="simclr-v2")
    assert "simclrv2" in caught.value.hint


def test_a_toml_file_changes_the_methods_recipe_or_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("epochs = 2\n[simclr]\ntemperature = 0.2\n[look]\nflip = 0.0\n", encoding="utf-8")
    recipe = load_pretrain_recipe("simclr", str(path), {"seed": "7"})
    assert (recipe.name, recipe.loop.epochs, recipe.loop.seed) == ("mine", 2, 7)
    assert (recipe.options, recipe.look) == ({"temperature": 0.2}, {"flip": 0.0})
    with pytest.raises(BadValue, match="base"):
        load_pretrain_recipe(name=str(path))
    path.write_text('base = "simclrv2"\nepochs = 2\n', encoding="utf-8")
    assert load_pretrain_recipe(name=str(path)).options["layers"] == 3


def test_a_python_file_defines_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from retrieval.workflows.recipes import PRETRAIN_RECIPES\nrecipe = PRETRAIN_RECIPES['simclr']\n",
        encoding="utf-8",
    )
    assert load_pretrain_recipe(name=str(path)) == PRETRAIN_RECIPES["simclr"]
    path.write_text("from retrieval.workflows.recipes import RECIPES\nrecipe = RECIPES['circle']\n", encoding="utf-8")
    with pytest.raises(BadValue, match="of this kind"):
        load_pretrain_recipe(name=str(path))
    with pytest.raises(NoSuchPath):
        load_pretrain_recipe(name=str(tmp_path / "none.toml"))


IMPOSSIBLE: dict[str, list[str]] = {
    "simclr": ["temperature=0", "temperature=-1", "layers=0", "hidden=0", "dimension=-3"],
    "barlow_twins": ["redundancy=-0.1", "hidden=0", "dimension=0"],
    "vicreg": ["invariance=-1", "variance=-1", "covariance=-1", "scaling=ours", "hidden=0", "dimension=0"],
    "w_mse": [
        "views=1", "hidden=0", "dimension=0", "slice_size=127", "iterations=0", "shrinkage=1",
        "shrinkage=-0.1",
    ],
    "moco": [
        "temperature=0", "queue=0", "momentum=1.5", "momentum=-1", "splits=0", "layers=0", "hidden=0", "dimension=0",
    ],
    "autoencoder": ["side=0", "side=12", "width=0"],
    "byol": ["momentum=2", "hidden=0", "dimension=0"],
    "simsiam": ["hidden=0", "dimension=0", "bottleneck=0"],
    "swav": [
        "temperature=0", "epsilon=0", "epsilon=-1", "iterations=0", "prototypes=1", "freeze_epochs=-1", "queue=-1",
        "queue_epoch=-1", "hidden=0", "dimension=0",
    ],
    "deepcluster": ["temperature=0", "clusters=1", "heads=0", "iterations=0", "hidden=0", "dimension=0"],
    "dino": [
        "temperature=0", "teacher_temperature=0", "warmup_temperature=0", "warmup_epochs=-1", "centre_momentum=1.1",
        "momentum=-0.1", "freeze_epochs=-1", "prototypes=1", "layers=0", "hidden=0", "bottleneck=0",
    ],
    "fine_tuning": [],
    "distillation": ["alpha=1.1", "alpha=-0.1", "temperature=0"],
    "feature_distillation": [
        *("cosine=-1", "similarity=-1", "supervised=-1", "temperature=0", "layers=-1", "hidden=0"),
    ],
}  # fmt: skip
"""Of each method: values of the right type that no run can have."""


@pytest.mark.parametrize(("method", "setting"), [(m, one) for m, some in IMPOSSIBLE.items() for one in some])
def test_an_option_that_cannot_be_is_refused_with_the_recipe(method: str, setting: str) -> None:
    """In one line, before an image is read."""
    with pytest.raises(BadValue) as caught:
        EVERYTHING[method].with_values(parse_settings([f"{method}.{setting}"]))
    assert "\n" not in caught.value.message
    assert setting.partition("=")[0].split("_")[0] in caught.value.message


def test_every_option_has_its_impossible_value() -> None:
    for name, spec in METHODS.items():
        numbers = {option for option, default in spec.options.items() if not isinstance(default, bool)}
        assert {one.partition("=")[0] for one in IMPOSSIBLE[name]} == numbers
        assert {one for one in numbers if not isinstance(spec.options[one], str)} <= RANGES.keys()


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("vicreg", {"invariance": 0.0, "variance": 0.0, "covariance": 0.0}),
        ("feature_distillation", {"cosine": 0.0, "similarity": 0.0}),
    ],
)
def test_weights_that_teach_nothing_are_refused(method: str, settings: dict[str, float]) -> None:
    values = {f"{method}.{name}": value for name, value in settings.items()}
    with pytest.raises(BadValue, match="nothing is learned"):
        EVERYTHING[method].with_values(values)


@every
def test_pieces_of_a_batch_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(BadValue, match="batch-norm"):
        EVERYTHING[name].with_values({"chunk": "16"})


def test_batches_and_views_that_are_too_few_are_refused() -> None:
    with pytest.raises(BadValue, match="batch_size is at least 128"):
        load_pretrain_recipe("w_mse", settings={"batch_size": "64"})
    with pytest.raises(BadValue, match="views is at least 2"):
        load_pretrain_recipe("simclr", settings={"views": "1"})
    with pytest.raises(BadValue, match="views is at least 4"):
        load_pretrain_recipe(name="w_mse_4", settings={"views": "2"})


@pytest.mark.parametrize(
    ("method", "settings", "examples", "queue"),
    [
        ("moco", {}, 50_000, 4096),
        ("moco", {}, 2000, 500),
        ("moco", {"moco.queue": 3}, 2, 1),
        ("swav", {"swav.queue": 3840}, 1000, 250),
        ("swav", {}, 1000, 0),
    ],
)
def test_a_queue_is_far_shorter_than_an_epoch(method: str, settings: dict[str, int], examples: int, queue: int) -> None:
    recipe, said = load_pretrain_recipe(method, settings=settings), []
    before = recipe.keys()[f"{method}.queue"]
    fitted = fitted_to(recipe, examples, said.append)
    assert fitted.keys() == {**recipe.keys(), f"{method}.queue": queue}
    assert len(said) == (before != queue)
    assert all(f"{queue:,}" in line for line in said)


def test_fewer_images_than_a_batch_needs_are_refused() -> None:
    require_enough(load_pretrain_recipe("w_mse"), 128)
    with pytest.raises(BadValue, match="128 images or more, and there are 127"):
        require_enough(load_pretrain_recipe("w_mse"), 127)
