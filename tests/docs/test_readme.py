"""The READMEs cannot drift: from the commands that exist, from each other, from the layers that are checked."""

import re
import tomllib
from pathlib import Path

import pytest
import typer

from retrieval.cli.app import app
from retrieval.core import settings
from retrieval.workflows.recipes import PRETRAIN_RECIPES
from retrieval.workflows.views import FULL_SIDE
from tests.conftest import REPOSITORY

ENGLISH = (REPOSITORY / "README.md").read_text("utf-8")
CHINESE = (REPOSITORY / "README.zh-CN.md").read_text("utf-8")


def headings(text: str) -> list[int]:
    """Levels of the headings, in order, outside code blocks."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [len(marks) for marks in re.findall(r"^(#+) ", prose, flags=re.MULTILINE)]


def code_blocks(text: str) -> list[str]:
    """The shell blocks without their comments."""
    return [re.sub(r"\s*#.*", "", block) for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)]


def command_table(text: str) -> list[str]:
    """First column of the command table."""
    return re.findall(r"^\| `(retrieval [^`]*)` \|", text, flags=re.MULTILINE)


def figures(text: str) -> list[str]:
    """Every row of numbers in tables."""
    return re.findall(r"\d+(?:[.,]\d+)*", "\n".join(re.findall(r"^\|.*\d.*\|$", text, flags=re.MULTILINE)))


def commands() -> set[str]:
    """The commands that exist, with their groups' names."""
    root = typer.main.get_command(app)
    names = set()
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        names |= {f"{name} {sub}" for sub in command.commands} if hasattr(command, "commands") else {name}
    return names


@pytest.mark.parametrize("text", [ENGLISH, CHINESE], ids=["english", "chinese"])
def test_the_command_table_names_every_command_and_no_other(text: str) -> None:
    listed = {re.match(r"retrieval ((?:model |labels )?[a-z]+)", row).group(1) for row in command_table(text)}  # type: ignore[union-attr]
    assert listed == commands()


def test_both_languages_have_the_same_headings_commands_and_figures() -> None:
    assert headings(ENGLISH) == headings(CHINESE)
    assert code_blocks(ENGLISH) == code_blocks(CHINESE)
    assert command_table(ENGLISH) == command_table(CHINESE)
    assert figures(ENGLISH) == figures(CHINESE)


def test_every_option_that_the_command_table_names_exists() -> None:
    root = typer.main.get_command(app)
    for line in re.findall(r"^\| `retrieval .*$", ENGLISH, flags=re.MULTILINE):
        path = re.match(r"\| `retrieval ((?:model |labels )?[a-z]+)", line).group(1).split()  # type: ignore[union-attr]
        command = root
        for name in path:
            command = command.commands[name]  # type: ignore[attr-defined]
        known = {flag for parameter in command.params for flag in parameter.opts}
        options = set(re.findall(r"`(--?[a-z-]+)", line)) - ({"--model"} if path == ["models"] else set())
        assert options <= known, line


def test_the_layer_picture_is_the_checked_contract() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    # Layers in brackets are reserved for packages that do not exist yet.
    checked = [[name for name in layer.split(" | ") if not name.startswith("(")] for layer in layers]
    picture = re.search(r"```\n(retrieval\.cli.*?)```", ENGLISH, flags=re.DOTALL)
    assert picture is not None
    drawn = [re.findall(r"retrieval\.([a-z]+)", line) for line in picture.group(1).splitlines()]
    assert [layer for layer in drawn if layer] == checked


def test_files_that_the_readme_points_to_exist() -> None:
    for text in (ENGLISH, CHINESE):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (REPOSITORY / target).exists(), target


def test_the_readme_has_no_gaps() -> None:
    for text in (ENGLISH, CHINESE):
        assert "@@" not in text
        assert "TODO" not in text


def test_make_targets_that_are_named_exist() -> None:
    made = set(re.findall(r"^([a-z-]+):", Path(REPOSITORY / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:`|^|# )make ([a-z-]+)", ENGLISH + CHINESE, flags=re.MULTILINE))
    assert named <= made


def variables(text: str) -> dict[str, str]:
    """The table of environment variables: name and default."""
    rows = re.findall(r"^\| (`RETRIEVAL_[^|]*) \| ([^|]*) \|", text, flags=re.MULTILINE)
    return {name: default for names, default in rows for name in re.findall(r"RETRIEVAL_[A-Z_]+", names)}


def test_the_environment_variables_are_those_that_the_settings_name() -> None:
    told = dict(re.findall(r"^``(RETRIEVAL_[A-Z_]+)`` +(\S+)", str(settings.__doc__), flags=re.MULTILINE))
    source = Path(str(settings.__file__)).read_text("utf-8")
    assert set(told) == set(re.findall(r'"(RETRIEVAL_[A-Z_]+)"', source)) | {"RETRIEVAL_PLUGINS"}
    commands = "".join(path.read_text("utf-8") for path in (REPOSITORY / "retrieval" / "cli").glob("*.py"))
    asked = set(re.findall(r'"(RETRIEVAL_[A-Z_]+)"', commands))
    assert "RETRIEVAL_AUTH" in asked
    for text in (ENGLISH, CHINESE):
        listed = variables(text)
        assert set(listed) == set(told) | asked
        assert {name: value for name, value in listed.items() if value.isdigit()} == {
            name: value for name, value in told.items() if value.isdigit()
        }


def test_torch_is_the_one_that_is_constrained() -> None:
    pinned = dict(line.split("==") for line in (REPOSITORY / "constraints.txt").read_text("utf-8").split())
    for text in (ENGLISH, CHINESE, (REPOSITORY / "Makefile").read_text("utf-8")):
        for name, version in re.findall(r"\b(torch|torchvision)==([0-9.]+)", text):
            assert version == pinned[name]
    assert all(f"torch=={pinned['torch']} torchvision=={pinned['torchvision']}" in text for text in (ENGLISH, CHINESE))


def test_what_a_backup_leaves_out_is_said_where_it_is_made() -> None:
    said = str(typer.main.get_command(app).commands["backup"].help)  # type: ignore[attr-defined]
    for left_out in ("Training runs", "searched with", "jobs", "pictures themselves"):
        assert left_out in said
    for text in (ENGLISH, CHINESE):
        assert all(f"`{part}/`" in text for part in ("runs", "history", ".jobs"))


def test_the_size_of_a_full_picture_is_the_one_that_is_served() -> None:
    for text in (ENGLISH, CHINESE):
        (told,) = re.findall(r"`/images/ID/full`.*?JPEG\D+(\d+)", text, flags=re.DOTALL)
        assert int(told) == FULL_SIDE


def test_the_screenshot_of_the_search_names_its_encoder() -> None:
    for text in (ENGLISH, CHINESE):
        caption = text.split("(.github/search.png)")[1].strip().splitlines()[0]
        assert "MobileNetV2" in caption
        assert "starter" in caption


def test_recipes_without_labels_promise_what_the_table_says() -> None:
    for name, recipe in PRETRAIN_RECIPES.items():
        row = re.search(rf"^\| {name} \| (0\.\d+) \[", ENGLISH, flags=re.MULTILINE)
        if name == "adapt":
            (row,) = re.findall(r"^\| gently: .* \| (0\.\d+) → (0\.\d+) \| [^|]* \|$", ENGLISH, flags=re.MULTILINE)
            assert "from {} to {} in MAP@R".format(*row) in recipe.expected
            continue
        assert (row is None) == recipe.expected.startswith("not measured")
        if row is not None:
            assert recipe.expected.startswith(f"{100 * float(row[1]):.0f} % ")
