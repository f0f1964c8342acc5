"""The recipes of methods that learn from views, in explicit tables: one for every method, and further ones by name.

The papers' rates are for LARS and batches of thousands; which optimiser and rate serve a batch of 128 has been found
by others: lightly's published CIFAR-10 runs train most of these methods for 200 epochs with SGD at 0.06 and a weight
decay of 5e-4 (https://github.com/lightly-ai/lightly, docs/source/getting_started/benchmarks/cifar10_benchmark.py). The
rate of another batch size is for the user to scale (linearly: Goyal et al. 2017, https://arxiv.org/abs/1706.02677).
The papers train for 200 to 1000 epochs; more of them is what helps most.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from retrieval.core.errors import BadValue
from retrieval.methods.table import METHODS
from retrieval.training.config import LoopConfig
from retrieval.workflows.recipes.keys import nearest_hint, refuse_unknown
from retrieval.workflows.recipes.reading import Recipes
from retrieval.workflows.recipes.starter import STARTER
from retrieval.workflows.recipes.view_recipe import ViewRecipe

_BATCH = 128
_LOOP = LoopConfig(
    epochs=50,
    learning_rate=1e-3,
    weight_decay=1e-4,
    optimiser="adamw",
    warmup_share=0.1,
    backbone_rate=1.0,
    batch_norm="train",
    log_every=10,
)


_SGD = replace(_LOOP, optimiser="sgd", learning_rate=0.06, weight_decay=5e-4)
"""What lightly's runs have in common."""

_ADAM = replace(_LOOP, weight_decay=1e-6)
"""W-MSE's section 4 on CIFAR-10, and lightly's for SwAV."""


_KNN = {
    "simclr": 0.414, "autoencoder": 0.380, "moco": 0.380, "vicreg": 0.377, "byol": 0.373, "w_mse": 0.368,
    "swav": 0.354, "barlow_twins": 0.354, "simsiam": 0.354, "deepcluster": 0.344, "dino": 0.341,
}  # fmt: skip
"""kNN accuracy that ``tests.benchmarks.ssl_table`` measured; the README has the whole table."""


_ADAPTED = (
    "a little: MobileNetV2 at 96 pixels on photos of groceries went from 0.131 to 0.143 in MAP@R, in recall@1 not for "
    "certain; your photos differ: measure with `retrieval evaluate`"
)
"""``tests.benchmarks.adaptation`` measured it."""


def _expected(method: str, name: str) -> str:
    if name == "adapt":
        return _ADAPTED
    if name or method not in _KNN:
        return "not measured; look at the report's diagnostics, and measure with `retrieval evaluate`"
    return (
        f"{100 * _KNN[method]:.0f} % of 5,000 small pictures (CIFAR-10) named right by their nearest neighbours after "
        "six epochs with a small network and small layers beside it (`tests/benchmarks/ssl_table.py`), 28 % untrained; "
        "this recipe is the paper's, and your photos differ: measure with `retrieval evaluate`"
    )


def _recipe(method: str, loop: LoopConfig, name: str = "", summary: str = "", **options: Any) -> ViewRecipe:
    cost = "every image decoded once, then twice or more through the encoder in every epoch: hours; a GPU helps"
    expected = _expected(method, name)
    spec = METHODS[method]
    said = summary or f"{spec.summary} ({spec.paper})"
    return ViewRecipe(name or method, said, cost, expected, method, options, batch_size=_BATCH, loop=loop)


_PLAIN = {"jitter": 0.0, "grey": 0.0, "blur": 0.0}


_GENTLY = replace(_LOOP, epochs=10, batch_norm="frozen", backbone_rate=0.01, clip=1.0)
"""For weights that are good already: a hundredth of the new layers' rate, and their batch-norm keeps its statistics."""


def _later(method: str, loop: LoopConfig, batch_size: int, **options: Any) -> ViewRecipe:
    """A recipe of a stage that follows training without labels: one view, crop and flip."""
    cost = "every image decoded once, then once through the encoder (and a teacher) in every epoch; a GPU helps"
    made = _recipe(method, loop, **options)
    return replace(made, cost=cost, looks="simclr", views=1, look=_PLAIN, batch_size=batch_size)


_PRETRAIN = (
    _recipe("simclr", _SGD),
    _recipe(
        "simclr",
        _SGD,
        "simclrv2",
        "SimCLR with three layers in the projector: the first stage of SimCLRv2, for `retrieval finetune`",
        layers=3,
    ),
    replace(
        _recipe(
            "simclr",
            _GENTLY,
            "adapt",
            "SimCLR, gently: goes on from an encoder that is good already, on your own photos",
            temperature=0.2,
        ),
        batch_size=64,
    ),
    # The twin of a run of thousands of steps, not of hundreds of thousands: 0.99, as in lightly's runs.
    _recipe("byol", _SGD, momentum=0.99),
    _recipe("simsiam", _SGD),
    _recipe("barlow_twins", _SGD),
    _recipe("vicreg", _SGD),
    _recipe("w_mse", _ADAM),
    _recipe("w_mse", _ADAM, "w_mse_4", "W-MSE with four views of every image", views=4),
    # A queue of a few thousand images, and a twin of thousands of steps, as in lightly's runs, which have the
    # temperature 0.1 and both ways beside; here they are version 2's.
    _recipe("moco", _SGD, queue=4096, momentum=0.99),
    # As many prototypes and clusters as are for thousands of images, not for ImageNet's million.
    _recipe("swav", _ADAM, prototypes=512),
    _recipe("deepcluster", _ADAM, clusters=256),
    _recipe("dino", _SGD, prototypes=2048, layers=2, momentum=0.99, warmup_epochs=10),
    _recipe("autoencoder", _LOOP),
)
# SimCLRv2, section 3: of the augmentations only crop and flip remain. Batch-norm keeps its statistics: those of a few
# labelled images are worse than those of all images that were seen without labels.
_LABELS = replace(_LOOP, epochs=60, batch_norm="frozen", backbone_rate=0.1, clip=1.0)
_FINETUNE = (_later("fine_tuning", _LABELS, 64),)
_DISTIL = (_later("feature_distillation", _LOOP, _BATCH), _later("distillation", _LOOP, _BATCH, alpha=0.5), STARTER)

PRETRAIN_RECIPES: Mapping[str, ViewRecipe] = {recipe.name: recipe for recipe in _PRETRAIN}
"""For ``retrieval pretrain``, by name; a method's own recipe has the method's name."""

FINETUNE_RECIPES: Mapping[str, ViewRecipe] = {recipe.name: recipe for recipe in _FINETUNE}
"""For ``retrieval finetune``."""

DISTIL_RECIPES: Mapping[str, ViewRecipe] = {recipe.name: recipe for recipe in _DISTIL}
"""For ``retrieval distil``: features always, answers where the teacher has a classifier and labels are given."""

_RECIPES = Recipes(
    PRETRAIN_RECIPES,
    "from retrieval.workflows.recipes import PRETRAIN_RECIPES; recipe = PRETRAIN_RECIPES['simclr'].with_values({...})",
)
_FINETUNES = Recipes(
    FINETUNE_RECIPES,
    "from retrieval.workflows.recipes import FINETUNE_RECIPES; "
    "recipe = FINETUNE_RECIPES['fine_tuning'].with_values({...})",
)

_DISTILS = Recipes(
    DISTIL_RECIPES,
    "from retrieval.workflows.recipes import DISTIL_RECIPES; recipe = DISTIL_RECIPES['starter'].with_values({...})",
)


def load_pretrain_recipe(
    method: str | None = None, name: str | None = None, settings: Mapping[str, Any] | None = None
) -> ViewRecipe:
    """A recipe of a method, by name, or from a file, with some keys changed.

    Args:
        method: a name in ``METHODS``.
        name: a name in ``PRETRAIN_RECIPES``, or a file as in ``load_recipe``; a ``.toml`` file without ``base``
            changes the method's recipe. None: the method's own recipe.
        settings: see ``ViewRecipe.with_values``.

    Raises:
        NoSuchPath: it looks like a file and there is none.
        BadValue: neither is given, or they name two methods; an unknown method, name, key or value; the nearest is
            named.
    """
    methods = list(dict.fromkeys(recipe.method for recipe in PRETRAIN_RECIPES.values()))
    if method in METHODS and method not in methods:
        command = "finetune" if method in FINETUNE_RECIPES else "distil"
        raise BadValue(f"The method {method!r} is a later stage.", f"Use `retrieval {command}`.")
    if method is not None and method not in methods:
        raise BadValue(f"There is no method {method!r}.", nearest_hint(method, methods, "There are"))
    chosen = name or method
    if chosen is None:
        raise BadValue("There is no method.", f"Give one with --method: {', '.join(methods)}.")
    recipe = _RECIPES.load(chosen, method, settings or {})
    if method is not None and recipe.method != method:
        raise BadValue(f"The recipe {recipe.name!r} is for {recipe.method}, not for {method}.", "Leave --method out.")
    return recipe


def load_finetune_recipe(name: str = "fine_tuning", settings: Mapping[str, Any] | None = None) -> ViewRecipe:
    """A recipe for fine-tuning with labels, by name or from a file; see ``load_pretrain_recipe``."""
    return _FINETUNES.load(name, "fine_tuning", settings or {})


def load_distil_recipes(
    settings: Mapping[str, Any] | None = None,
    *,
    with_labels: bool = False,
    name: str = "feature_distillation",
) -> tuple[ViewRecipe, ViewRecipe | None]:
    """The recipes for the features and, with labels, for the answers of a teacher.

    Args:
        name: of the features' recipe, or a file with one.
        settings: keys of either; one that both have changes both.
        with_labels: whether there is the second part.

    Raises:
        BadValue: a key that neither has (the nearest one is named), or a value that cannot be.
    """
    features = _DISTILS.load(name, "feature_distillation", {})
    if features.method != "feature_distillation":
        raise BadValue(f"The recipe {features.name!r} is not for features.", "Use feature_distillation or starter.")
    recipes = [features, DISTIL_RECIPES["distillation"]][: 1 + with_labels]
    settings = settings or {}
    keys = [recipe.keys() for recipe in recipes]
    refuse_unknown("distil", settings, [key for some in keys for key in some])
    made = [
        recipe.with_values({key: value for key, value in settings.items() if key in some})
        for recipe, some in zip(recipes, keys, strict=True)
    ]
    return made[0], made[1] if with_labels else None
