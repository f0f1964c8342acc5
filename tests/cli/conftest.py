"""Running the command in this process, as a script would see it, and the workflows' small galleries."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from retrieval.cli import main
from tests.workflows.conftest import (  # noqa: F401
    _blank_once,
    _fast,
    _pool,
    _six_once,
    folder,
    gallery,
    other_model,
    own_pools,
    six,
    tiny_model,
)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be nothing but JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line that says what went wrong."""
        assert "Traceback" not in self.err
        assert self.out == ""
        errors = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, self.err
        # It is the last thing said, and whole: a long path does not break it.
        assert self.err.endswith(f"{errors[0]}\n")
        return errors[0]


class Terminal(io.StringIO):
    """A person's answers."""

    def isatty(self) -> bool:
        return True


Command = Callable[..., Done]


@pytest.fixture
def retrieval(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """``retrieval(arguments, answers="y")`` runs the command; without answers there is nobody to ask."""

    def run(*arguments: str | Path, answers: str | None = None) -> Done:
        monkeypatch.setattr(sys, "argv", ["retrieval", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO() if answers is None else Terminal(answers))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run
