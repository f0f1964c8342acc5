"""Rules that the whole tree keeps."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
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
    texts = {path for path in _own_files(REPOSITORY) if b"\0" not in path.read_bytes()}
    # An unpacked archive has no git to ask which files are ours.
    assert {REPOSITORY / "README.md", REPOSITORY / "Makefile", REPOSITORY / ".ci" / "run", *SOURCES} <= texts
    found = [path for path in texts if any(host.encode() in path.read_bytes() for host in HOSTS)]
    assert not found


def _own_files(folder: Path) -> Iterator[Path]:
    """The files below a folder, without what `.gitignore` leaves out."""
    ignored = {line.rstrip("/") for line in (REPOSITORY / ".gitignore").read_text("utf-8").split()} | {".git"}
    for path in folder.iterdir():
        if not any(fnmatch(path.name, pattern) for pattern in ignored):
            if path.is_dir() and not path.is_symlink():
                yield from _own_files(path)
            elif path.is_file():
                yield path
