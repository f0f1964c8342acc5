"""``temperature`` as scripts and people see it."""

from pathlib import Path

from retrieval.workflows.embedding_sets import EmbeddedSet
from tests.workflows.test_probing import make
from tests.workflows.test_temperature_study import _short, kept  # noqa: F401

from .conftest import Command


def test_the_table_and_the_json_say_the_same(
    retrieval: Command,
    tiny_model: Path,
    tmp_path: Path,
    kept: dict[str, EmbeddedSet],  # noqa: F811
) -> None:
    folder = make(tmp_path / "data", 12, 6)
    arguments = ("temperature", folder, "--model", tiny_model, "--workers", "1", "--values", "0.05, 0.5")
    people, script = retrieval(*arguments), retrieval(*arguments, "--json")
    assert people.code == script.code == 0, people.err
    values = script.json
    assert [one["temperature"] for one in values["temperatures"]] == [0.05, 0.5]
    for one in values["temperatures"]:
        assert f"{one['map_at_r']['mean']:.3f}" in people.out
    best = values["recommendation"]["temperature"]
    assert f"Take {best:g}." in people.out
    assert values["recommendation"]["uncertainty"] in people.out
    assert f"supervised_contrastive.temperature={best:g}" in people.err


def test_wrong_values_are_one_line_with_the_way_out(retrieval: Command, tiny_model: Path, tmp_path: Path) -> None:
    folder = make(tmp_path / "data", 3, 2)
    done = retrieval("temperature", folder, "--model", tiny_model, "--values", "0.1;0.2")
    assert done.code == 14
    assert "0.05,0.1,0.2" in done.error
    assert retrieval("temperature", folder, "--model", tiny_model, "--values", "0.1").code == 14


def test_the_advice_is_a_setting_that_exists() -> None:
    from retrieval.workflows.recipes import load_recipe

    recipe = load_recipe("quick-head", {"supervised_contrastive.temperature": "0.2"})
    assert recipe.terms[0].options["temperature"] == 0.2
