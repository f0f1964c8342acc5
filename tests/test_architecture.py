"""Rules that the whole tree keeps."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SOURCES = sorted([*(REPOSITORY / "retrieval").rglob("*.py"), *(REPOSITORY / "ui").rglob("*.py")])
HOSTS = ("pypi" + ".org", "files.python" + "hosted.org", "registry.npm" + "js.org", "deb." + "debian.org")


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    bare = [] if ast.get_docstring(tree) else ["the module"]
    if "migrations" not in path.parts:
        bare += [name for name, node in _public(tree) if not ast.get_docstring(node)]
    assert not bare


def _public(tree: ast.AST) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    found = []
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            overload = any("overload" in ast.dump(decorator) for decorator in node.decorator_list)
            if not overload:
                found.append((node.name, node))
            if isinstance(node, ast.ClassDef):
                found += [(f"{node.name}.{name}", inner) for name, inner in _public(node)]
    return found


def test_no_file_grows_beyond_its_subject() -> None:
    long = {str(p.relative_to(REPOSITORY)): n for p in SOURCES if (n := len(p.read_text("utf-8").splitlines())) > 420}
    assert not long


def test_constraints_are_names_and_versions_only() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+", line)] == []


def test_no_file_names_a_registrys_host() -> None:
    tracked = subprocess.run(
        ["git", "grep", "-l", "-I", "-E", "|".join(HOSTS).replace(".", r"\.")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tracked.stdout == ""
