"""``probe`` as scripts and people see it."""

from pathlib import Path

from tests.workflows.test_probing import _short, kept, make  # noqa: F401

from .conftest import Command


def test_the_table_and_the_json_say_the_same(retrieval: Command, tiny_model: Path, tmp_path: Path) -> None:
    folder = make(tmp_path / "data", 4, 8)
    arguments = ("probe", folder, "--model", tiny_model, "--workers", "1", "--seed", "2")
    people, script = retrieval(*arguments), retrieval(*arguments, "--json")
    assert people.code == script.code == 0, people.err
    values = script.json
    assert set(values["knn"]) == {"1", "5", "20"}
    for one in (*values["knn"].values(), values["linear"], *values["few_labels"]):
        assert one["low"] <= one["mean"] <= one["high"]
        assert f"{one['mean']:.3f}  {one['low']:.3f} to {one['high']:.3f}" in people.out
    assert [draw["seed"] for draw in values["few_labels"][0]["draws"]] == [2, 3, 4, 5, 6]
    assert "grouped split" in people.out


def test_too_few_labels_are_one_line_with_the_way_out(retrieval: Command, tiny_model: Path, tmp_path: Path) -> None:
    done = retrieval("probe", make(tmp_path / "data", 3, 2), "--model", tiny_model, "--workers", "1")
    assert done.code == 14
    assert "Label more images" in done.error
    assert retrieval("probe", tmp_path / "nothing", "--model", tiny_model).code == 3
