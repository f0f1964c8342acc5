"""The Makefile with what a machine can have in place of a whole Python."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, need

# Debian without python3-venv: the environment has a python, and ensurepip fails.
HALF = """#!/bin/sh
case "$*" in
  *venv*) mkdir -p "$3/bin"; : > "$3/bin/python"; chmod +x "$3/bin/python"; echo "no ensurepip" >&2; exit 1;;
esac
"""


@pytest.mark.skipif(os.name == "nt", reason="make is not for Windows; the README has the steps")
def test_a_half_made_environment_does_not_stay(tmp_path: Path) -> None:
    need(shutil.which("make"), "make is not installed")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    python = tmp_path / "python3"
    python.write_text(HALF)
    python.chmod(0o755)
    for _ in range(2):
        made = subprocess.run(
            ["make", "install", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert made.returncode != 0
        assert "no ensurepip" in made.stderr
        assert "python3-venv" in made.stdout
        assert not (tmp_path / ".venv").exists()


def test_the_readmes_say_what_debian_lacks() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        assert "`apt install python3-venv`" in (REPOSITORY / name).read_text("utf-8")
