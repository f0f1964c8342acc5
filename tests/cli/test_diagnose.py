"""``diagnose`` as scripts and people see it."""

from pathlib import Path

from tests.workflows.support import fill
from tests.workflows.test_diagnosing import _few  # noqa: F401

from .conftest import Command


def test_figures_alarms_and_the_page(retrieval: Command, tiny_model: Path, other_model: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("red", "blue")):
        fill(tmp_path / "photos" / name, range(5 * number, 5 * number + 5))
    page = tmp_path / "page.html"
    arguments = ("diagnose", tmp_path / "photos", "--model", tiny_model, "--workers", "1")
    done = retrieval(*arguments, "--out", page)
    assert done.code == 0, done.err
    assert f"Page: {page}" in done.out
    for word in ("Neighbour purity", "Effective rank", "Hubness", "mirrored left-right", "larm"):
        assert word in done.out
    assert page.read_text("utf-8").startswith("<!doctype html>")
    script = retrieval(*arguments, "--against", other_model, "--json")
    assert script.code == 0, script.err
    values = script.json
    assert f"{values['figures']['recall_at_1']['value']['mean']:.3f}" in done.out
    assert {one["name"] for one in values["alarms"]} >= {"complete collapse", "dimensional collapse", "hubness"}
    assert values["against"]["model"] == "other"
    assert values["page"] is None
    beside = retrieval(*arguments, "--against", other_model)
    assert "difference" in beside.out
    assert "--out FILE.html" in beside.err


def test_wrong_input_is_one_line_with_the_way_out(retrieval: Command, tiny_model: Path, tmp_path: Path) -> None:
    done = retrieval("diagnose", tmp_path / "nothing", "--model", tiny_model)
    assert done.code == 3
    assert "Give a folder" in done.error
